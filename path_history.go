// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"encoding/json"
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

func (a custodyAPI) historyPath() path {
	return path{
		Pattern: "keys/" + named + "/history/?$", ID: vaultapi.ID{Suffix: "key-history"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fName, vaultapi.AfterNumber, vaultapi.Limit),
		Operations: operations{
			logical.ReadOperation: {
				Handle: a.history, Summary: "Read the custody records of a key: what was done to it, when, by whom and why.",
				Answer: "A page of the history.", Fields: vaultapi.FieldsOf(fName, fRecords, fNext),
			},
			logical.ListOperation: {
				Handle: a.listHistory, Summary: "List the acts on a key: what was done to it, when, by whom and why.",
				Answer: "Numbers of the records that the acts begin with, the oldest first.",
				Fields: tableFields("By act: when, what, by whom, to which versions, why, and how it ended."),
			},
		},
		Synopsis: "What was done to a key.",
		Description: "Every act has a record of its beginning and one of its outcome. The history of a name outlives the key. Reading has " +
			"pages of 100 records, or limit, at most 1000. A list has the acts as a table: without after the newest 100, or limit, at most " +
			"1000; after=0 begins with the oldest.",
	}
}

func (custodyAPI) history(ctx context.Context, c *request) (*logical.Response, error) {
	after, limit, err := historyPage(c)
	if err != nil {
		return nil, err
	}
	history, err := c.Ledger().History(ctx, fName.Get(c), after, limit)
	if err != nil {
		return nil, err
	}
	records := vaultapi.Rows(history.Records, recordData)
	return vaultapi.Data(fName.Is(fName.Get(c)), fRecords.Is(records), fNext.Is(history.Next)), nil
}

var historyRows = vaultapi.Answer[ledger.Act]{
	vaultapi.Show(vaultapi.Text("time", "When, RFC 3339."), func(a ledger.Act) string { return vaultapi.Time(a.Time) }),
	vaultapi.Show(vaultapi.Text("act", "What."), func(a ledger.Act) string { return a.Act }),
	vaultapi.Show(vaultapi.Text("by", "Display name or entity id of who asked; system: the clock."), func(a ledger.Act) string { return actorText(a.Actor) }),
	vaultapi.Show(vaultapi.Text("versions", "To which versions; all: the whole key."), func(a ledger.Act) string { return versionsText(a.Versions) }),
	vaultapi.Show(vaultapi.Text("to", "The state that they got."), func(a ledger.Act) string { return a.To }),
	vaultapi.Show(vaultapi.Text("outcome", "done or failed; empty: no record says so."), func(a ledger.Act) string { return string(a.Outcome) }),
	vaultapi.Show(fReason, func(a ledger.Act) string { return a.Reason }),
}

// listHistory shows acts, of two records each, where history shows records.
func (custodyAPI) listHistory(ctx context.Context, c *request) (*logical.Response, error) {
	after, limit, err := historyPage(c)
	if err != nil {
		return nil, err
	}
	newest := vaultapi.AfterNumber.LookupNonNull(c) == nil
	var acts []ledger.Act
	var more bool
	if newest {
		acts, more, err = c.Ledger().NewestActs(ctx, fName.Get(c), limit)
	} else {
		acts, more, err = c.Ledger().Acts(ctx, fName.Get(c), after, limit)
	}
	if err != nil {
		return nil, err
	}
	resp := vaultapi.Lines(acts, historyRows, func(a ledger.Act) int { return a.Seq })
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
