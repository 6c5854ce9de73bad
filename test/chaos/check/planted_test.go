// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos/check"
	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

func TestARunWithoutFaultsIsClean(t *testing.T) {
	r := recorded(t)
	require.Empty(t, check.Check(r.History, r.final))
	require.Greater(t, len(r.Operations), 300)
	require.Greater(t, len(r.final.Uses), 50)
}

// faults are planted in what was recorded: each is found, as what it is.
var faults = []struct {
	name  string
	kind  string
	plant func(t *testing.T, r run)
}{
	{"an acknowledged act is not there", check.LostAct, func(t *testing.T, r run) {
		o := r.operation(t, done("rotate"))
		r.rewrite(t, o.Key, without(because(o.Reason)))
	}},
	{"an act that was refused is there", check.RefusedDone, func(t *testing.T, r run) {
		o := r.operation(t, done("suspend"))
		o.Outcome, o.Status, o.RequestID = history.Refused, 400, ""
	}},
	{"an act is there twice", check.DoneTwice, func(t *testing.T, r run) {
		o := r.operation(t, done("archive"))
		r.rewrite(t, o.Key, twice(because(o.Reason)))
	}},
	{"an act is there that nobody asked for", check.Unclaimed, func(t *testing.T, r run) {
		o := r.operation(t, done("recover"))
		r.rewrite(t, o.Key, func(records []line) []line {
			records[at(records, o.Reason)]["reason"] = "another"
			return records
		})
	}},
	{"an act is recorded of another version", check.Mismatch, func(t *testing.T, r run) {
		o := r.operation(t, func(o history.Operation) bool { return done("suspend")(o) && o.Version > 1 })
		r.rewrite(t, o.Key, func(records []line) []line {
			records[at(records, o.Reason)]["versions"] = []int{o.Version - 1}
			return records
		})
	}},
	{"an act is recorded under another request", check.Mismatch, func(t *testing.T, r run) {
		r.operation(t, done("hold")).RequestID = "another"
	}},
	{"acts are recorded in another order than they were answered in", check.OutOfOrder, func(t *testing.T, r run) {
		rotate := done("rotate")
		first := r.operation(t, func(o history.Operation) bool {
			return rotate(o) && slices.ContainsFunc(r.Operations, func(p history.Operation) bool { return rotate(p) && p.Key == o.Key && p.Sent > o.Answered })
		})
		r.rewrite(t, first.Key, func(records []line) []line {
			i := at(records, first.Reason)
			moved := slices.Clone(records[i : i+2])
			return append(slices.Delete(records, i, i+2), moved...)
		})
	}},
	{"a record is lost from the middle of the export", check.Custody, func(t *testing.T, r run) {
		o := r.operation(t, done("hold"))
		i := slices.IndexFunc(r.final.Export, func(text string) bool { return strings.Contains(text, o.Reason) })
		r.final.Export = slices.Delete(r.final.Export, i, i+1)
	}},
	{"the end of a chain is cut from the export", check.LostAct, func(t *testing.T, r run) {
		o := r.operation(t, done("rotate"))
		r.rewrite(t, o.Key, func(records []line) []line { return records[:at(records, o.Reason)] })
	}},
	{"a record is altered", check.Custody, func(_ *testing.T, r run) {
		r.final.Export[8] = strings.Replace(r.final.Export[8], `"seq"`, ` "seq"`, 1)
	}},
	{"an act of custody has no end", check.Custody, func(t *testing.T, r run) {
		o := r.operation(t, done("rotate"))
		r.rewrite(t, o.Key, func(records []line) []line { return records[:at(records, o.Reason)+1] })
	}},
	{"the offline verifier finds something", check.Custody, func(_ *testing.T, r run) { r.final.Offline.Valid = false }},
	{"the mount finds something", check.Custody, func(_ *testing.T, r run) { r.final.Mount.Valid = false }},
	{"a ciphertext does not open", check.Unopened, func(t *testing.T, r run) {
		u := r.use(t, "decrypt")
		u.Outcome, u.Opened, u.Error = history.Refused, "", "cipher: message authentication failed"
	}},
	{"a ciphertext opens to another text", check.OtherText, func(t *testing.T, r run) {
		r.use(t, "decrypt").Opened = history.Digest("another")
	}},
	{"a ciphertext opened to another text under way", check.OtherText, func(t *testing.T, r run) {
		r.operation(t, done("decrypt")).Opened = history.Digest("another")
	}},
	{"a signature does not verify", check.Unverified, func(t *testing.T, r run) {
		no := false
		r.use(t, "verify").Valid = &no
	}},
	{"a use is denied that the state allows", check.DeniedAnyway, func(t *testing.T, r run) {
		u := r.use(t, "decrypt")
		u.Outcome, u.Opened, u.Error = history.Refused, "", "version 2 is suspended [version_suspended]"
	}},
	{"a use is done that the state forbids", check.UsedAnyway, func(t *testing.T, r run) {
		for i, u := range r.final.Uses {
			if u.Act == "decrypt" && u.Outcome == history.Refused {
				made := r.operation(t, func(o history.Operation) bool { return o.ID == u.Operation })
				r.final.Uses[i].Outcome, r.final.Uses[i].Opened, r.final.Uses[i].Error = history.Done, made.Text, ""
				return
			}
		}
		t.Fatal("nothing was refused")
	}},
	{"a number is given twice", check.NumberTwice, func(t *testing.T, r run) {
		o := r.operation(t, func(o history.Operation) bool {
			return o.Fingerprint != "" && !r.final.Keys[o.Key].Absent && kindOf(o.Key) != "scrap"
		})
		v := r.final.Keys[o.Key].Versions[o.Version]
		v.Fingerprint = "another"
		r.final.Keys[o.Key].Versions[o.Version] = v
	}},
	{"custody gives a number twice", check.Forbidden, func(t *testing.T, r run) {
		o := r.operation(t, done("rotate"))
		r.rewrite(t, o.Key, twice(because(o.Reason)))
	}},
	{"two versions are active", check.TwoActive, func(t *testing.T, r run) {
		r.version(t, "active", "deactivated", "active")
	}},
	{"a version is in a state that nobody brought it to", check.WrongState, func(t *testing.T, r run) {
		r.version(t, "deactivated", "deactivated", "archived")
	}},
	{"a key is in a state that nobody brought it to", check.WrongState, func(t *testing.T, r run) {
		name := r.operation(t, done("rotate")).Key
		key := r.final.Keys[name]
		key.Hold = !key.Hold
		r.final.Keys[name] = key
	}},
	{"a key is gone", check.WrongState, func(t *testing.T, r run) {
		r.final.Keys[r.operation(t, done("rotate")).Key] = history.Key{Absent: true}
	}},
	{"a version is gone", check.Vanished, func(t *testing.T, r run) {
		delete(r.final.Keys[r.operation(t, done("rotate")).Key].Versions, 1)
	}},
	{"custody has nothing of a key", check.Custody, func(_ *testing.T, r run) {
		r.final.Keys["another"] = history.Key{State: "enabled", Latest: 1}
	}},
	{"a vote is not shown", check.LostVote, func(t *testing.T, r run) {
		id := r.operation(t, done("approve")).Approval
		a := r.final.Approvals[id]
		a.Votes = nil
		r.final.Approvals[id] = a
	}},
	{"custody has lost a vote", check.LostVote, func(t *testing.T, r run) {
		o := r.operation(t, done("approve"))
		r.rewrite(t, o.Key, without(func(l line) bool { return l.text("act") == "approve" }))
	}},
	{"a vote counts twice", check.DoneTwice, func(t *testing.T, r run) {
		o := r.operation(t, done("approve"))
		r.rewrite(t, o.Key, twice(func(l line) bool { return l.text("act") == "approve" && l.text("request_id") == o.RequestID }))
	}},
	{"the clock has not rotated", check.Late, func(_ *testing.T, r run) { r.final.Now = r.final.Now.Add(3 * time.Minute) }},
}

func TestEachPlantedFaultIsFound(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			r := recorded(t)
			f.plant(t, r)
			findings := check.Check(r.History, r.final)
			require.Contains(t, kinds(findings), f.kind, "%v", findings)
		})
	}
}

// done fits an act that was acknowledged and changed something, of a key that is there.
func done(act string) func(o history.Operation) bool {
	return func(o history.Operation) bool {
		return o.Act == act && o.Outcome == history.Done && kindOf(o.Key) != "scrap"
	}
}

func kindOf(key string) string {
	kind, _, _ := strings.Cut(key, "-")
	return kind
}

// at is the place of the record that begins an act.
func at(records []line, reason string) int {
	return slices.IndexFunc(records, func(l line) bool { return l.text("reason") == reason })
}

// use finds a use of the last look that was done, of a version that is in use.
func (r run) use(t *testing.T, act string) *history.Use {
	t.Helper()
	for i, u := range r.final.Uses {
		if u.Act == act && u.Outcome == history.Done {
			return &r.final.Uses[i]
		}
	}
	t.Fatalf("the recorded run has no %s that was done", act)
	return nil
}

// version changes the state of a version, in a key that has one in another state.
func (r run) version(t *testing.T, with, from, to string) {
	t.Helper()
	for _, key := range r.final.Keys {
		for n, v := range key.Versions {
			if v.State == from && key.State == "enabled" && slices.ContainsFunc(values(key.Versions), func(v history.Version) bool { return v.State == with }) {
				v.State = to
				key.Versions[n] = v
				return
			}
		}
	}
	t.Fatalf("no key has a version that is %s", from)
}

func values(all map[int]history.Version) (list []history.Version) {
	for _, v := range all {
		list = append(list, v)
	}
	return list
}
