// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
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
	after, limit, _, err := historyPage(ctx, c)
	if err != nil {
		return nil, err
	}
	page, err := c.stored.Journals().Journal(ctx, fName.Get(c), after, limit)
	if err != nil {
		return nil, err
	}
	records := make([]map[string]any, len(page.Lines))
	for i, line := range page.Lines {
		record, err := custody.Decode([]byte(line))
		if err != nil {
			return nil, err
		}
		records[i] = recordData(record)
	}
	next := 0
	if page.More {
		next = page.Last
	}
	return vaultapi.Data(fName.Is(fName.Get(c)), fRecords.Is(records), fNext.Is(next)), nil
}

// act is an act on a key in a table.
type act struct {
	custody.Record // that it began with
	outcome        custody.Outcome
}

var historyRows = vaultapi.Answer[act]{
	vaultapi.Show(vaultapi.Text("time", "When, RFC 3339."), func(a act) string { return vaultapi.Time(a.Time) }),
	vaultapi.Show(vaultapi.Text("act", "What."), func(a act) string { return a.Act }),
	vaultapi.Show(vaultapi.Text("by", "Display name or entity id of who asked; system: the clock."), func(a act) string { return actorText(a.Actor) }),
	vaultapi.Show(vaultapi.Text("versions", "To which versions; all: the whole key."), func(a act) string { return versionsText(a.Versions) }),
	vaultapi.Show(vaultapi.Text("to", "The state that they got."), func(a act) string { return a.To }),
	vaultapi.Show(vaultapi.Text("outcome", "done or failed; empty: no record says so."), func(a act) string { return string(a.outcome) }),
	vaultapi.Show(fReason, func(a act) string { return a.Reason }),
}

// listHistory shows acts, of two records each, where history shows records.
func (custodyAPI) listHistory(ctx context.Context, c *request) (*logical.Response, error) {
	after, limit, last, err := historyPage(ctx, c)
	if err != nil {
		return nil, err
	}
	newest := vaultapi.AfterNumber.LookupNonNull(c) == nil
	if newest {
		after = max(last-2*limit, 0)
	}
	page, err := c.stored.Journals().Journal(ctx, fName.Get(c), after, 2*limit+1) // the first may be the end of an act before
	if err != nil {
		return nil, err
	}
	acts, err := actsOf(page.Lines)
	if err != nil {
		return nil, err
	}
	more := page.More || len(acts) > limit
	acts = acts[:min(limit, len(acts))]
	resp := vaultapi.Lines(acts, historyRows, func(a act) int { return a.Seq })
	switch {
	case newest && after > 0:
		resp.AddWarning("these are the newest acts; all, from the oldest on: a limit, and after=0")
	case more && len(acts) > 0:
		vaultapi.GoOn(resp, strconv.Itoa(acts[len(acts)-1].Seq), "")
	}
	return resp, nil
}

// actsOf returns the acts that begin in these records, each with its outcome where that is among them.
func actsOf(lines []string) ([]act, error) {
	var acts []act
	for _, line := range lines {
		record, err := custody.Decode([]byte(line))
		if err != nil {
			return nil, err
		}
		last := len(acts) - 1
		switch {
		case record.Kind == custody.Begin:
			acts = append(acts, act{Record: record})
		case last >= 0 && acts[last].Seq == record.Of:
			acts[last].outcome = record.Outcome
		}
	}
	return acts, nil
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

// historyPage reads which records are asked for: at most limit of those behind after. Last is the newest there is.
func historyPage(ctx context.Context, c *request) (after, limit, last int, err error) {
	if limit, err = vaultapi.PageSize(c, 100, 1000); err != nil {
		return 0, 0, 0, err
	}
	if after, err = vaultapi.FirstNumber(c); err != nil {
		return 0, 0, 0, err
	}
	head, err := c.stored.Journals().JournalHead(ctx, fName.Get(c))
	if err == nil && head.Count == 0 {
		err = lifecycle.NoKey(fName.Get(c))
	}
	return after, limit, head.Count, err
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

// lookBack is how many custody records are searched for the last change of a version.
const lookBack = 256

// lastChange returns the newest act that changed the version, as far as it is not too long ago; a zero record: none is known.
func lastChange(ctx context.Context, c *request, v engine.VersionDetail) (custody.Record, error) {
	head, err := c.stored.Journals().JournalHead(ctx, fName.Get(c))
	if err != nil {
		return custody.Record{}, err
	}
	page, err := c.stored.Journals().Journal(ctx, fName.Get(c), max(head.Count-lookBack, 0), lookBack)
	if err != nil {
		return custody.Record{}, err
	}
	failed := map[int]bool{}
	for _, line := range slices.Backward(page.Lines) {
		record, err := custody.Decode([]byte(line))
		if err != nil {
			return custody.Record{}, err
		}
		if record.Kind == custody.End {
			failed[record.Of] = record.Outcome == custody.Failed
		} else if !failed[record.Seq] && concerns(record, v) {
			return record, nil
		}
	}
	return custody.Record{}, nil
}

// changeData shows the last change of a version; an empty object: it is not known.
func changeData(record custody.Record) map[string]any {
	if record.Seq == 0 {
		return map[string]any{}
	}
	return recordData(record)
}

// concerns tells whether an act changed the version: it names it, it was one on the whole key, or it moved a floor past
// it. A version that came later has a record of its own, which is newer.
func concerns(r custody.Record, v engine.VersionDetail) bool {
	number := strconv.Itoa(v.Number)
	switch {
	case r.KeyID != v.KeyID:
		return false // of an earlier key of the name
	case slices.Contains(r.Versions, v.Number), r.Details["superseded"] == number, r.Details["successor"] == number:
		return true
	case v.Gone:
		return passed(r.Details["min_available_version"], v.Number)
	default:
		wholeKey := len(r.Versions) == 0 && r.To != ""
		return wholeKey || (v.Override.FollowsFloor() && passed(r.Details["min_decryption_version"], v.Number)) || passed(r.Details["min_available_version"], v.Number)
	}
}

// passed tells whether a floor that moved "from -> to" changed what is below it.
func passed(change string, version int) bool {
	var from, to int
	if _, err := fmt.Sscanf(change, "%d -> %d", &from, &to); err != nil {
		return false
	}
	return version >= min(from, to) && version < max(from, to)
}
