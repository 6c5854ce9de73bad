// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Attacks on where consent is kept: on the mount, and on the storage below it.

// A mount that was enabled anew at the same path is another mount. What people said on the one before is nothing to it, even where the
// record of it is put back.
func TestGovernanceConsentIsToAMountAndNotToItsPath(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	const relax = "config/engine"
	relaxed := object("require_policy", false, "reason", ticket)
	rules := object("approvals", map[string]string{"config": b.of(2)})
	setUp := func() (retire string, revision int) {
		b.must("root", http.MethodPost, relax, object("require_policy", true))
		b.must("root", http.MethodPost, "config/approvals", rules)
		return b.retirable("cards"), number(b.must("root", http.MethodGet, "config/approvals", "")["revision"])
	}
	retire, revision := setUp()
	old := map[string][]byte{}
	for path, body := range map[string]string{relax: relaxed, retire: because} {
		id := b.ask("alice", http.MethodPost, path, body)
		b.approve(id, "bob", "carol")
		require.Equal(t, "approved", b.state(id))
		old[id] = b.s.Stored(t, b.mount, "approvals/"+id)
	}
	checkpoint := b.must("root", http.MethodPost, "custody/checkpoint", "")

	b.s.Unmount(t, b.mount)
	b.s.Mount(t, b.mount, harness.PluginName)
	for _, list := range []string{"approvals", "approvers"} {
		require.Equal(t, http.StatusNotFound, b.send("root", "LIST", list, "").Status)
	}
	for id := range old {
		b.refused(http.StatusNotFound, "", "root", http.MethodGet, "approvals/"+id, "")
		b.refused(http.StatusBadRequest, "approval not found", "dave", http.MethodPost, "approvals/"+id+"/approve", "{}")
	}
	b.refused(http.StatusBadRequest, "nobody can approve", "root", http.MethodPost, "config/approvals", rules)

	b.must("root", http.MethodPost, "config/approvals", object("duties", "I look at what I approve.", "approver_wait", 0))
	b.enrol("bob")
	b.enrol("carol")
	b.appoint("erin")
	_, again := setUp()
	require.Equal(t, revision, again, "but for its identity the mount is as it was")
	for id, record := range old {
		b.s.Store(t, b.mount, "approvals/"+id, record)
	}
	for path, body := range map[string]string{relax: relaxed, retire: because} {
		id := b.ask("alice", http.MethodPost, path, body)
		require.NotContains(t, old, id)
		require.Equal(t, 0, number(b.approval(id)["given"]))
		b.noVote(id, "dave", "has not enrolled")
	}
	require.Equal(t, true, b.must("root", http.MethodGet, relax, "")["require_policy"])
	require.Equal(t, "archived", b.versionState("cards", 1))
	report := b.must("root", http.MethodPost, "custody/verify", object("checkpoint", checkpoint))
	require.Equal(t, false, report["valid"], "a checkpoint of the mount before shows that it is gone")
}

// A snapshot takes back what happened to a consent since: that it was used, withdrawn or denied. The clock guard holds back what is
// older than half a day. Of what is younger, only a checkpoint that was kept outside tells.
func TestGovernanceAnOlderSnapshotTakesBackTheUseOfAConsent(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Clock: true})
	b := openBureau(t, s)
	retire, rotate := b.retirable("cards"), "keys/coins/rotate"
	b.govern("coins", map[string]string{"rotate": b.of(2)})
	b.govern("notes", map[string]string{"rotate": b.of(2)})
	used := b.ask("alice", http.MethodPost, retire, because)
	withdrawn := b.ask("alice", http.MethodPost, rotate, because)
	denied := b.ask("alice", http.MethodPost, "keys/notes/rotate", because)
	requests := []string{used, withdrawn, denied}
	for _, id := range requests {
		b.approve(id, "bob", "carol")
	}
	s.Tick(t, b.mount)                                        // the clock guard sees the time
	b.must("root", http.MethodPost, "custody/checkpoint", "") // the key that signs is there before the snapshot
	snapshot := s.Snapshot(t)
	b.must("alice", http.MethodPost, retire, because)
	b.must("alice", http.MethodPost, "approvals/"+withdrawn+"/withdraw", because)
	b.must("dave", http.MethodPost, "approvals/"+denied+"/deny", because)
	checkpoint := b.must("root", http.MethodPost, "custody/checkpoint", "")
	b.requireStates("executed", used, "withdrawn", withdrawn, "denied", denied)
	b.requireCheckpoint(checkpoint, "")

	b.restore(snapshot, used)
	b.requireStates("approved", used, "approved", withdrawn, "approved", denied)
	require.Equal(t, "archived", b.versionState("cards", 1), "the act was taken back with the use of the consent")
	b.requireCheckpoint(checkpoint, "behind the checkpoint")
	b.must("alice", http.MethodPost, retire, because)
	b.must("alice", http.MethodPost, rotate, because)
	b.requireStates("executed", used, "executed", withdrawn, "approved", denied)
	b.requireCheckpoint(nil, "") // the chains are whole in themselves
	b.requireCheckpoint(checkpoint, "the checkpoint")

	s.Advance(t, 13*time.Hour) // what was approved is to be executed within 24
	b.restore(snapshot, used)
	for _, path := range []string{retire, rotate, "keys/notes/rotate"} {
		b.refused(http.StatusBadRequest, "is not carried out while the clock cannot be trusted", "alice", http.MethodPost, path, because)
	}
	b.must("root", http.MethodPost, "config/clock", object("acknowledge", true, "reason", ticket))
	b.requireStates("void", used, "void", withdrawn, "void", denied)
	for _, id := range requests {
		b.noVote(id, "dave", "is void")
	}
	require.Equal(t, used, b.ask("alice", http.MethodPost, retire, because))
	require.Equal(t, 0, number(b.approval(used)["given"]))
	require.Equal(t, "archived", b.versionState("cards", 1))
	b.requireCheckpoint(checkpoint, "the checkpoint")
}

// restore puts the server back to a snapshot in which a request is approved, and waits until it goes on with that.
func (b *bureau) restore(snapshot []byte, request string) {
	b.t.Helper()
	b.s.RestoreSnapshot(b.t, snapshot, false)
	harness.Eventually(b.t, backAfter, func() error {
		reply, err := b.s.Send(harness.Request{Method: http.MethodGet, Path: b.mount + "/approvals/" + request})
		if err != nil || reply.Status != http.StatusOK || reply.Data()["state"] != "approved" {
			return fmt.Errorf("the request answers %d %v %w", reply.Status, reply.Body, err)
		}
		return nil
	})
}

// requireStates takes states, each with the request that is to have it.
func (b *bureau) requireStates(pairs ...string) {
	b.t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		require.Equal(b.t, pairs[i], b.state(pairs[i+1]), "request %d", i/2)
	}
}

// requireCheckpoint verifies the custody of the mount against a checkpoint, if there is one. Wrong is in the problem that is found; empty: none is.
func (b *bureau) requireCheckpoint(checkpoint map[string]any, wrong string) {
	b.t.Helper()
	body := "{}"
	if checkpoint != nil {
		body = object("checkpoint", checkpoint)
	}
	report := b.must("root", http.MethodPost, "custody/verify", body)
	require.Equal(b.t, wrong == "", report["valid"], "%v", report)
	require.Contains(b.t, fmt.Sprint(report["problems"]), wrong)
}

// Who writes to the storage with the keys of Vault's barrier can add a vote, and the engine counts it. Custody has no record of it, as it
// has of each that was cast.
func TestGovernanceAVoteThatIsForgedInStorageHasNoRecord(t *testing.T) {
	t.Parallel()
	b := openBureau(t, server(t))
	retire := b.retirable("cards")
	id := b.ask("alice", http.MethodPost, retire, because)
	b.approve(id, "bob")
	b.forgeVote(id, "carol")
	b.must("alice", http.MethodPost, retire, because)
	require.Equal(t, "retired", b.versionState("cards", 1))

	var voters []string
	for _, act := range storiesIn(t, gather(t, b.s, b.mount, 1000).lines)["cards"] {
		if act.Details["approval"] != id {
			continue
		}
		switch act.Act {
		case "approve":
			voters = append(voters, act.Actor.EntityID)
		case "retire":
			require.Contains(t, act.Details["approvers"], b.entities["carol"])
		}
	}
	require.Equal(t, []string{b.entities["bob"]}, voters)
	b.requireCheckpoint(nil, "consent without a vote: retire was done with the consent of entity \""+b.entities["carol"]+"\"")
}

// forgeVote adds the vote of somebody who has not voted to the record of a request that bob has approved, and makes it enough.
func (b *bureau) forgeVote(id, who string) {
	b.t.Helper()
	var record map[string]json.RawMessage
	require.NoError(b.t, json.Unmarshal(b.s.Stored(b.t, b.mount, "approvals/"+id), &record))
	var votes []map[string]any
	require.NoError(b.t, json.Unmarshal(record["votes"], &votes))
	forged := maps.Clone(votes[0])
	forged["entity"], forged["name"] = b.entities[who], who
	all, err := json.Marshal(append(votes, forged))
	require.NoError(b.t, err)
	at, err := json.Marshal(forged["at"])
	require.NoError(b.t, err)
	record["votes"], record["approved"] = all, at
	text, err := json.Marshal(record)
	require.NoError(b.t, err)
	b.s.Store(b.t, b.mount, "approvals/"+id, text)
}
