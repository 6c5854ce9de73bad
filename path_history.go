// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/json"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fRecords = newField[[]any]("records", framework.TypeSlice, "The custody records, oldest first.")
	fNext    = newField[int]("next_after", framework.TypeInt, "What to pass as after for the next page; 0: this was the last one.")
)

// pageOf reads the size of a page.
func pageOf(c *request, usual, most int) (int, error) {
	limit := fLimit.get(c)
	switch {
	case limit < 0 || limit > most:
		return 0, lifecycle.Invalidf("limit: %d: must be between 0 and %d", limit, most)
	case limit == 0:
		return usual, nil
	}
	return limit, nil
}

func (b *backend) pathHistory() []*framework.Path {
	return []*framework.Path{{
		Pattern:      "keys/" + framework.GenericNameRegex(fName.name) + "/history",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "key-history"},
		Fields:       fields(fName, fAfterNumber, fLimit),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback: b.handleStrict(b.readHistory), Summary: "Read the custody records of a key: what was done to it, when, by whom and why.",
				Responses: ok("A page of the history.", fields(fName, fRecords, fNext)),
			},
		},
		HelpSynopsis:    "What was done to a key.",
		HelpDescription: "Every act has a record of its beginning and one of its outcome. The history of a name outlives the key. Pages have 100 records, or limit, at most 1000.",
	}}
}

func (b *backend) readHistory(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := pageOf(c, 100, 1000)
	if err != nil {
		return nil, err
	}
	after, err := afterNumber(c)
	if err != nil {
		return nil, err
	}
	head, err := c.store.JournalHead(ctx, fName.get(c))
	if err != nil {
		return nil, err
	}
	if head.Count == 0 {
		return nil, lifecycle.NoKey(fName.get(c))
	}
	page, err := c.store.Journal(ctx, fName.get(c), after, limit)
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
	return &logical.Response{Data: map[string]any{"name": fName.get(c), "records": records, "next_after": next}}, nil
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
