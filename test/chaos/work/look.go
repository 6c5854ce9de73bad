// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package work

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Look reads what is there, from one node. The clients have stopped, the cluster is well, and the clock has done what was due
// (ticked). The first error ends it: a mount that cannot be read is no verdict about what it holds.
func (l *Load) Look(node Node, now time.Time, ticked bool) (*history.Final, error) {
	k := &looker{load: l, node: node, final: &history.Final{
		Now: now, At: l.History.Since(time.Now()), Ticked: ticked,
		Keys: map[string]history.Key{}, Approvals: map[string]history.Approval{},
		Policies: map[string]history.Policy{
			minute: {Period: period, Compromised: "allow", Suspended: "deny"},
			gated:  {Compromised: "allow", Suspended: "deny"},
		},
	}}
	for _, part := range []func() error{k.keys, k.uses, k.approvals, k.custody} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return k.final, nil
}

type looker struct {
	load  *Load
	node  Node
	final *history.Final
}

// again is how often a read is tried that is answered 5xx, half a second apart.
const again = 6

func (k *looker) send(method, path string, body any) (harness.Reply, error) {
	for try := 1; ; try++ {
		reply, err := k.node.Send(harness.Request{Method: method, Path: k.load.Mount + "/" + path, Body: body})
		if err == nil && reply.Status < http.StatusInternalServerError {
			return reply, nil
		}
		if try == again {
			return reply, fmt.Errorf("%s %s: %d %v: %w", method, path, reply.Status, reply.Body, err)
		}
		<-time.After(500 * time.Millisecond)
	}
}

func (k *looker) must(method, path string, body any) (map[string]any, error) {
	reply, err := k.send(method, path, body)
	if err == nil && reply.Status >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: %d %v", method, path, reply.Status, reply.Body)
	}
	return reply.Data(), err
}

func (k *looker) keys() error {
	names := map[string]bool{}
	for _, o := range k.load.History.Operations {
		if o.Key != "" && !names[o.Key] {
			names[o.Key] = true
			key, err := k.key(o.Key)
			if err != nil {
				return err
			}
			k.final.Keys[o.Key] = key
		}
	}
	return nil
}

func (k *looker) key(name string) (history.Key, error) {
	reply, err := k.send(http.MethodGet, "keys/"+name, nil)
	if err != nil {
		return history.Key{}, err
	}
	if reply.Status == http.StatusNotFound {
		return history.Key{Absent: true}, nil
	}
	d := reply.Data()
	key := history.Key{
		Revision: number(d["revision"]), Latest: number(d["latest_version"]), Primary: number(d["primary_version"]),
		Staged: number(d["staged_version"]), Floor: number(d["min_decryption_version"]), Available: number(d["min_available_version"]),
		Hold: d["legal_hold"] == true, Next: date(d["next_rotation_time"]), Versions: map[int]history.Version{},
	}
	key.Type, _ = d["type"].(string)
	key.State, _ = d["state"].(string)
	key.Policy, _ = d["policy"].(string)
	key.Rotation, _ = d["rotation_status"].(string)
	list, err := k.must("LIST", "keys/"+name+"/versions", nil)
	if err != nil {
		return key, err
	}
	numbers, _ := list["keys"].([]any)
	for _, text := range numbers {
		n, err := strconv.Atoi(fmt.Sprint(text))
		if err != nil {
			return key, err
		}
		key.Versions[n] = k.version(name, n)
	}
	return key, nil
}

// version reads a version. That it cannot be read is what is there of it.
func (k *looker) version(name string, n int) history.Version {
	d, err := k.must(http.MethodGet, fmt.Sprintf("keys/%s/versions/%d", name, n), nil)
	if err != nil {
		return history.Version{State: err.Error()}
	}
	v := history.Version{Created: date(d["created_time"]), Locked: d["locked"] == true}
	v.State, _ = d["state"].(string)
	v.Fingerprint, _ = d["fingerprint"].(string)
	return v
}

func date(value any) time.Time {
	text, _ := value.(string)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{} // empty: there is none
	}
	return t
}

// custodyPage is how many records an export is asked for at once.
const custodyPage = 1000

func (k *looker) custody() error {
	keys, err := k.must(http.MethodGet, "custody/public-key", nil)
	if err != nil {
		return err
	}
	checkpoint, err := k.must(http.MethodPost, "custody/checkpoint", nil)
	if err != nil {
		return err
	}
	report, err := k.must(http.MethodPost, "custody/verify", map[string]any{"checkpoint": checkpoint})
	if err != nil {
		return err
	}
	k.final.Mount = history.Verdict{Valid: report["valid"] == true, Said: fmt.Sprint(report["problems"], report["unfinished"])}
	for after := ""; ; {
		page, err := k.must(http.MethodGet, fmt.Sprintf("custody/export?limit=%d&after=%s", custodyPage, after), nil)
		if err != nil {
			return err
		}
		records, _ := page["records"].([]any)
		for _, line := range records {
			k.final.Export = append(k.final.Export, fmt.Sprint(line))
		}
		if after, _ = page["next_after"].(string); after == "" {
			break
		}
	}
	k.final.Offline, err = offline(k.final.Export, keys, checkpoint)
	return err
}

func (k *looker) approvals() error {
	for _, o := range k.load.History.Operations {
		if o.Approval == "" {
			continue
		}
		if _, seen := k.final.Approvals[o.Approval]; seen {
			continue
		}
		reply, err := k.send(http.MethodGet, "approvals/"+o.Approval, nil)
		if err != nil {
			return err
		}
		a := history.Approval{Absent: reply.Status >= http.StatusBadRequest}
		a.State, _ = reply.Data()["state"].(string)
		votes, _ := reply.Data()["votes"].([]any)
		for _, v := range votes {
			v, _ := v.(map[string]any)
			var vote history.Vote
			vote.Entity, _ = v["entity_id"].(string)
			vote.Vote, _ = v["vote"].(string)
			a.Votes = append(a.Votes, vote)
		}
		k.final.Approvals[o.Approval] = a
	}
	return nil
}
