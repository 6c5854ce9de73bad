// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/ledger"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fRecords = vaultapi.List("records", "The custody records, oldest first.")
	fNext    = vaultapi.Int("next_after", "What to pass as after for the next page; 0: this was the last one.")
)

// chain is a kind of chain of custody records, as the API shows it.
type chain struct {
	pattern, id string
	of, more    string                  // whose acts it holds, and what else is to be said of it
	name        *vaultapi.Field[string] // what names one of the kind; nil: there is one
	nameOf      func(string) string     // the chain of that name
	rows        vaultapi.Answer[ledger.Act]
}

func chains() []chain {
	const outlives = " The history of a name outlives "
	return []chain{
		{
			pattern: "keys/" + named + "/history", id: "key-history", of: "a key", more: outlives + "the key.", name: &fName,
			nameOf: func(key string) string { return key }, rows: keyActRows,
		},
		{
			pattern: "policies/" + named + "/history", id: "policy-history", of: "a policy", more: outlives + "the policy.", name: &fPolicyName,
			nameOf: custody.PolicyChain, rows: otherActRows,
		},
		{
			pattern: "config/history", id: "configuration-history", of: "the settings of the mount", more: " Rotations of the signing key are among them.",
			nameOf: func(string) string { return custody.MountChain }, rows: otherActRows,
		},
	}
}

func (h chain) path() path {
	fields := vaultapi.FieldsOf(vaultapi.AfterNumber, vaultapi.Limit)
	answer := vaultapi.FieldsOf(fRecords, fNext)
	if h.name != nil {
		fields, answer = fields.With(*h.name), answer.With(*h.name)
	}
	return path{
		Pattern: h.pattern + "/?$", ID: vaultapi.ID{Suffix: h.id}, Mode: vaultapi.Strict, Fields: fields,
		Operations: operations{
			logical.ReadOperation: {
				Handle: h.read, Summary: "Read the custody records of " + h.of + ": what was done to it, when, by whom and why.",
				Answer: "A page of the history.", Fields: answer,
			},
			logical.ListOperation: {
				Handle: h.list, Summary: "List the acts on " + h.of + ": what was done to it, when, by whom and why.",
				Answer: "Numbers of the records that the acts begin with, the oldest first.",
				Fields: tableFields("By act: when, what, by whom, to what, why, and how it ended."),
			},
		},
		Synopsis: "What was done to " + h.of + ".",
		Description: "Every act has a record of its beginning and one of its outcome." + h.more + " Reading has " +
			"pages of 100 records, or limit, at most 1000. A list has the acts as a table: without after the newest 100, or limit, at most " +
			"1000; after=0 begins with the oldest.",
	}
}

// asked returns the name of the chain that a request is about, and what names it in the answer.
func (h chain) asked(c *request) (name string, said []vaultapi.Value) {
	if h.name == nil {
		return h.nameOf(""), nil
	}
	return h.nameOf(h.name.Get(c)), []vaultapi.Value{h.name.Is(h.name.Get(c))}
}

func (h chain) read(ctx context.Context, c *request) (*logical.Response, error) {
	after, limit, err := historyPage(c)
	if err != nil {
		return nil, err
	}
	name, said := h.asked(c)
	history, err := c.Ledger().History(ctx, name, after, limit)
	if err != nil {
		return nil, err
	}
	records := vaultapi.Rows(history.Records, recordData)
	return vaultapi.Data(append(said, fRecords.Is(records), fNext.Is(history.Next))...), nil
}

// The columns of tables of acts.
var (
	fActTime    = vaultapi.Text("time", "When, RFC 3339.")
	fAct        = vaultapi.Text("act", "What.")
	fActBy      = vaultapi.Text("by", "Display name or entity id of who asked; system: the clock.")
	fActOutcome = vaultapi.Text("outcome", "done or failed; empty: no record says so.")
	fActChanges = vaultapi.Text("changes", "From what to what, as far as there is room.")
)

var keyActRows = vaultapi.Answer[ledger.Act]{
	vaultapi.Show(fActTime, func(a ledger.Act) string { return vaultapi.Time(a.Time) }),
	vaultapi.Show(fAct, func(a ledger.Act) string { return a.Act }),
	vaultapi.Show(fActBy, func(a ledger.Act) string { return actorText(a.Actor) }),
	vaultapi.Show(vaultapi.Text("versions", "To which versions; all: the whole key."), func(a ledger.Act) string { return versionsText(a.Versions) }),
	vaultapi.Show(vaultapi.Text("to", "The state that they got."), func(a ledger.Act) string { return a.To }),
	vaultapi.Show(fActOutcome, func(a ledger.Act) string { return string(a.Outcome) }),
	vaultapi.Show(fReason, func(a ledger.Act) string { return a.Reason }),
}

// otherActRows are of acts that are not on a key.
var otherActRows = vaultapi.Answer[ledger.Act]{
	vaultapi.Show(fActTime, func(a ledger.Act) string { return vaultapi.Time(a.Time) }),
	vaultapi.Show(fAct, func(a ledger.Act) string { return a.Act }),
	vaultapi.Show(fActBy, func(a ledger.Act) string { return actorText(a.Actor) }),
	vaultapi.Show(fActChanges, func(a ledger.Act) string { return detailsText(a.Details) }),
	vaultapi.Show(fActOutcome, func(a ledger.Act) string { return string(a.Outcome) }),
	vaultapi.Show(fReason, func(a ledger.Act) string { return a.Reason }),
}

// detailsText writes what an act changed in a line of a table.
func detailsText(details map[string]string) string {
	const longest = 120
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(details)) {
		if strings.Contains(details[name], " -> ") {
			changes = append(changes, name+" "+details[name])
		}
	}
	text := strings.Join(changes, "; ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	return text
}

// list shows acts, of two records each, where read shows records.
func (h chain) list(ctx context.Context, c *request) (*logical.Response, error) {
	after, limit, err := historyPage(c)
	if err != nil {
		return nil, err
	}
	name, _ := h.asked(c)
	newest := vaultapi.AfterNumber.LookupNonNull(c) == nil
	var acts []ledger.Act
	var more bool
	if newest {
		acts, more, err = c.Ledger().NewestActs(ctx, name, limit)
	} else {
		acts, more, err = c.Ledger().Acts(ctx, name, after, limit)
	}
	if err != nil {
		return nil, err
	}
	resp := vaultapi.Lines(acts, h.rows, func(a ledger.Act) int { return a.Seq })
	switch {
	case newest && more:
		resp.AddWarning("these are the newest acts; all, from the oldest on: a limit, and after=0")
	case more && len(acts) > 0:
		vaultapi.GoOn(resp, strconv.Itoa(acts[len(acts)-1].Seq), "")
	}
	return resp, nil
}

// actorText names who did something, as well as is known.
func actorText(a custody.Actor) string {
	if a.System {
		return "system"
	}
	return cmp.Or(a.DisplayName, a.EntityID)
}

// versionsText writes 1, 2, 3 and 7 as "1-3, 7".
func versionsText(versions []int) string {
	if len(versions) == 0 {
		return versionText(0)
	}
	var runs []string
	for i := 0; i < len(versions); {
		first, last := versions[i], versions[i]
		for i++; i < len(versions) && versions[i] == last+1; i++ {
			last = versions[i]
		}
		run := strconv.Itoa(first)
		if last > first {
			run += "-" + strconv.Itoa(last)
		}
		runs = append(runs, run)
	}
	return strings.Join(runs, ", ")
}

// versionText is a version; 0 stands for the key as a whole.
func versionText(version int) string {
	if version == 0 {
		return "all"
	}
	return strconv.Itoa(version)
}

// historyPage reads which records are asked for: at most limit of those behind after.
func historyPage(c *request) (after, limit int, err error) {
	if limit, err = vaultapi.PageSize(c, 100, 1000); err != nil {
		return 0, 0, err
	}
	after, err = vaultapi.FirstNumber(c)
	return after, limit, err
}

// recordData shows a record as its JSON has it.
func recordData(record custody.Record) map[string]any {
	data := map[string]any{}
	line, err := json.Marshal(record)
	if err == nil {
		err = json.Unmarshal(line, &data)
	}
	if err != nil {
		panic("internal error: a custody record is always JSON: " + err.Error())
	}
	return data
}

// lastChange returns the newest act that changed the version, as far as it is known; a zero record: it is not.
func lastChange(ctx context.Context, c *request, v engine.VersionDetail) (custody.Record, error) {
	record, err := c.Ledger().LastChange(ctx, ledger.Version{
		Key: fName.Get(c), KeyID: v.KeyID, Number: v.Number, Destroyed: v.Gone, FollowsFloor: v.Override.FollowsFloor(),
		LastAct: v.LastAct, Since: v.ActsSince,
	})
	if record == nil || err != nil {
		return custody.Record{}, err
	}
	return *record, nil
}

// changeData shows the last change of a version; an empty object: it is not known.
func changeData(record custody.Record) map[string]any {
	if record.Seq == 0 {
		return map[string]any{}
	}
	return recordData(record)
}
