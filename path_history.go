// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

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
		Pattern: "keys/" + named + "/history", ID: vaultapi.ID{Suffix: "key-history"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fName, vaultapi.AfterNumber, vaultapi.Limit),
		Operations: operations{logical.ReadOperation: {
			Handle: a.history, Summary: "Read the custody records of a key: what was done to it, when, by whom and why.",
			Answer: "A page of the history.", Fields: vaultapi.FieldsOf(fName, fRecords, fNext),
		}},
		Synopsis:    "What was done to a key.",
		Description: "Every act has a record of its beginning and one of its outcome. The history of a name outlives the key. Pages have 100 records, or limit, at most 1000.",
	}
}

func (custodyAPI) history(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := vaultapi.PageSize(c, 100, 1000)
	if err != nil {
		return nil, err
	}
	after, err := vaultapi.FirstNumber(c)
	if err != nil {
		return nil, err
	}
	head, err := c.stored.Journals().JournalHead(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	if head.Count == 0 {
		return nil, lifecycle.NoKey(fName.Get(c))
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

// lastChange returns the newest act that changed the version, as far as it is not too long ago.
func lastChange(ctx context.Context, c *request, v engine.VersionDetail) (map[string]any, error) {
	head, err := c.stored.Journals().JournalHead(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	page, err := c.stored.Journals().Journal(ctx, fName.Get(c), max(head.Count-lookBack, 0), lookBack)
	if err != nil {
		return nil, err
	}
	failed := map[int]bool{}
	for _, line := range slices.Backward(page.Lines) {
		record, err := custody.Decode([]byte(line))
		if err != nil {
			return nil, err
		}
		if record.Kind == custody.End {
			failed[record.Of] = record.Outcome == custody.Failed
		} else if !failed[record.Seq] && concerns(record, v) {
			return recordData(record), nil
		}
	}
	return map[string]any{}, nil
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
