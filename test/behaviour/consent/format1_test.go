// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// record is format 1 of custody as releases knew it before there was consent. It is written out here, apart from
// internal/custody, and is never edited: a record that it does not read is one that a verifier out in the world does not read.
type record struct {
	Format         int               `json:"format"`
	Instance       string            `json:"instance"`
	Key            string            `json:"key"`
	Seq            int               `json:"seq"`
	Prev           string            `json:"prev"`
	Time           time.Time         `json:"time"`
	Kind           string            `json:"kind"`
	KeyID          string            `json:"key_id,omitempty"`
	Act            string            `json:"act,omitempty"`
	Versions       []int             `json:"versions,omitempty"`
	From           string            `json:"from,omitempty"`
	To             string            `json:"to,omitempty"`
	Actor          actor             `json:"actor,omitzero"`
	Reason         string            `json:"reason,omitempty"`
	Policy         string            `json:"policy,omitempty"`
	PolicyRevision int               `json:"policy_revision,omitempty"`
	RequestID      string            `json:"request_id,omitempty"`
	Details        map[string]string `json:"details,omitempty"`
	Of             int               `json:"of,omitempty"`
	Outcome        string            `json:"outcome,omitempty"`
	Note           string            `json:"note,omitempty"`
	Recovered      bool              `json:"recovered,omitempty"`
}

type actor struct {
	EntityID          string `json:"entity_id,omitempty"`
	DisplayName       string `json:"display_name,omitempty"`
	TokenAccessorHMAC string `json:"token_accessor_hmac,omitempty"`
	Address           string `json:"client_address,omitempty"`
	System            bool   `json:"system,omitempty"`
}

// verifier1 follows chains as a verifier of format 1 does.
type verifier1 struct {
	instance string
	chains   map[string][]record
	hashes   map[string]string // of the last line, by chain
}

func newVerifier1() *verifier1 {
	return &verifier1{chains: map[string][]record{}, hashes: map[string]string{}}
}

func (v *verifier1) add(line string) error {
	in := json.NewDecoder(strings.NewReader(line))
	in.DisallowUnknownFields()
	var r record
	if err := in.Decode(&r); err != nil {
		return fmt.Errorf("%w: %s", err, line)
	}
	var again bytes.Buffer
	out := json.NewEncoder(&again)
	out.SetEscapeHTML(false)
	if err := out.Encode(r); err != nil {
		return err
	}
	if again.String() != line+"\n" {
		return fmt.Errorf("not in the form of format 1: %s", line)
	}
	if err := v.follows(r); err != nil {
		return fmt.Errorf("%w: %s", err, line)
	}
	sum := sha256.Sum256([]byte(line))
	v.chains[r.Key], v.hashes[r.Key] = append(v.chains[r.Key], r), hex.EncodeToString(sum[:])
	return r.kept(len(line))
}

// follows holds a record against those before it.
func (v *verifier1) follows(r record) error {
	prev, found := v.hashes[r.Key]
	if !found {
		prev = strings.Repeat("0", 64)
	}
	if v.instance == "" {
		v.instance = r.Instance
	}
	begins := v.chains[r.Key]
	switch {
	case r.Format != 1 || r.Instance == "" || r.Instance != v.instance || r.Key == "" || r.Time.IsZero():
		return fmt.Errorf("format %d, mount %q, chain %q", r.Format, r.Instance, r.Key)
	case r.Seq != len(begins)+1 || r.Prev != prev:
		return fmt.Errorf("record %d does not follow from the one before", r.Seq)
	case r.Kind == "end" && (r.Of < 1 || r.Of >= r.Seq || begins[r.Of-1].Kind != "begin"):
		return fmt.Errorf("record %d ends nothing", r.Seq)
	}
	return nil
}

// kept holds a record against the limits of format 1.
func (r record) kept(length int) error {
	long := func(text string) bool { return len(text) > 512 }
	texts := []string{
		r.Instance, r.KeyID, r.Act, r.From, r.To, r.Reason, r.RequestID, r.Note,
		r.Actor.EntityID, r.Actor.DisplayName, r.Actor.TokenAccessorHMAC, r.Actor.Address,
	}
	for name, text := range r.Details {
		if name == "" || len(name) > 64 {
			return fmt.Errorf("record %d of %s: a detail is called %q", r.Seq, r.Key, name)
		}
		texts = append(texts, text)
	}
	end := r.Kind == "end" && r.Act == "" && r.Details == nil && r.Actor == actor{} && (r.Outcome == "done" || r.Outcome == "failed")
	begin := r.Kind == "begin" && r.Act != "" && r.Of == 0 && r.Outcome == "" && r.Note == "" && !r.Recovered
	switch {
	case slices.ContainsFunc(texts, long), length > 64<<10, len(r.Details) > 32, len(r.Versions) > 64:
		return fmt.Errorf("record %d of %s is longer than format 1 allows", r.Seq, r.Key)
	case !end && !begin:
		return fmt.Errorf("record %d of %s neither begins an act nor ends one", r.Seq, r.Key)
	}
	return nil
}

// acts returns the acts of a chain that were done.
func (v *verifier1) acts(chain string) (done []string) {
	for _, r := range v.chains[chain] {
		if r.Kind == "end" && r.Outcome == "done" {
			done = append(done, v.chains[chain][r.Of-1].Act)
		}
	}
	return done
}

// Whoever verifies with an older release finds clean what this one exports, consent and all.
func TestAnOlderVerifierReadsWhatConsentLeaves(t *testing.T) {
	o := open(t)
	o.Must(o.as("root").Write("config/approvals", "approvals", map[string]any{"config": "1 of " + approvers}, "reason", why))
	o.govern(map[string]any{"archive": "2 of " + approvers, "policy": "1 of " + approvers})
	for range 2 {
		o.Must(o.as("alice").Write("keys/orders/rotate", "reason", "a new version for the test"))
	}

	vote := func(request, who, step, field, said string) {
		o.Must(o.as(who).Write("approvals/"+request+"/"+step, field, said))
	}
	long := strings.Repeat("so ", 170) // of 512 bytes that fit
	request := o.asked("alice", "keys/orders/versions/1/archive", "reason", long)
	vote(request, "bob", "approve", "comment", strings.Repeat("<&>", 170))
	vote(request, "carol", "approve", "comment", long)
	o.Must(o.as("alice").Write("keys/orders/versions/1/archive", "reason", long))
	vote(o.asked("alice", "keys/orders/versions/2/archive", "reason", why), "bob", "deny", "reason", why)

	looser := []any{"owner", "payments", "approvals", map[string]any{"policy": "1 of " + approvers}, "reason", why}
	vote(o.asked("alice", "policies/pci", looser...), "alice", "withdraw", "reason", why)
	o.approve(o.asked("dave", "policies/pci", looser...), "bob")
	o.Must(o.as("dave").Write("policies/pci", looser...))

	o.approve(o.asked("alice", "config/keys", "disable_upsert", true, "reason", why), "bob")
	o.Must(o.as("alice").Write("config/keys", "disable_upsert", true, "reason", why))

	lines := o.Must(o.as("auditor").Read("custody/export", "limit", 1000)).Data["records"].([]string)
	require.Error(t, newVerifier1().add(lines[1]), "the first is lacking")
	v := newVerifier1()
	for _, line := range lines {
		require.NoError(t, v.add(line))
	}
	require.Subset(t, v.acts("orders"), []string{"approval-request", "approve", "archive", "deny"})
	require.Subset(t, v.acts("policy:pci"), []string{"approval-request", "withdraw", "approve", "write"})
	require.Subset(t, v.acts("mount:"), []string{"configure-approvals", "enrol", "approval-request", "approve", "configure-keys"})
	require.Len(t, v.chains, 3)
}
