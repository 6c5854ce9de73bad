// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fCheckpoint = vaultapi.Object("checkpoint", "A signed checkpoint to hold the records against.")
	fValid      = vaultapi.Bool("valid", "No problem was found.")
	fVerified   = vaultapi.Int("records", "Records verified.")
	fProblems   = vaultapi.Strings("problems", "What is wrong.")
	fUnfinished = vaultapi.List("unfinished", "Acts that began and have no outcome yet.")
)

// mostVerified bounds one request; a larger journal is verified from an export.
const mostVerified = 100_000

func (a custodyAPI) verify(ctx context.Context, c *request) (*logical.Response, error) {
	checkpoints, err := readCheckpoint(c)
	if err != nil {
		return nil, err
	}
	names, err := verifiable(ctx, c)
	if err != nil {
		return nil, err
	}
	problems, err := checkEnds(ctx, c, names)
	if err != nil {
		return nil, err
	}
	keys, err := c.stored.Signing().SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	if err := checkScope(c, publicOf(keys), checkpoints); err != nil {
		return nil, err
	}
	report, err := custody.Verify(records(ctx, c.stored.Journals(), names), publicOf(keys), "", checkpoints)
	if err != nil {
		return nil, err
	}
	for i := range report.Problems {
		problems = append(problems, report.Problems[i].Error())
	}
	return vaultapi.Data(
		fValid.Is(len(problems) == 0), fVerified.Is(report.Records), fProblems.Is(problems),
		fUnfinished.Is(append([]custody.Unfinished{}, report.Unfinished...)),
	), nil
}

// verifiable returns the keys to verify: the one that is named, or all that have or should have a journal.
func verifiable(ctx context.Context, c *request) ([]string, error) {
	journals, err := c.stored.Journals().JournalNames(ctx)
	if err != nil {
		return nil, err
	}
	keys, err := c.stored.Keys().KeyNames(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(append(journals, keys...))))
	key := fKey.Get(c)
	if key == "" {
		return names, nil
	}
	if _, found := slices.BinarySearch(names, key); !found {
		return nil, lifecycle.NoKey(key)
	}
	return []string{key}, nil
}

// checkEnds settles acts that were cut short, so that only true gaps are left, and holds the end of each journal against
// the record of its key.
func checkEnds(ctx context.Context, c *request, names []string) (problems []string, err error) {
	problems = []string{}
	for _, name := range names {
		_, err := c.stored.Journals().JournalHead(ctx, name)
		if err != nil && !isDamage(err) {
			return nil, err
		}
		problem, err := c.stored.Journals().CheckJournal(ctx, name)
		if err != nil && !isDamage(err) {
			return nil, err
		}
		if err != nil {
			problem = err.Error()
		}
		if problem != "" {
			problems = append(problems, problem)
		}
	}
	return problems, nil
}

// isDamage reports an error that is a finding of the verification rather than its failure.
func isDamage(err error) bool {
	for _, kind := range []error{store.ErrCorrupt, store.ErrNewerSchema, custody.ErrMalformed, custody.ErrNewer} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// checkScope refuses to hold one key against a checkpoint of others: what it does not look at would seem cut off.
func checkScope(c *request, keys custody.PublicKeys, checkpoints []custody.Signed) error {
	for _, signed := range checkpoints {
		checkpoint, err := signed.Open(keys)
		if err != nil || fKey.Get(c) == "" {
			continue // what is wrong with a checkpoint, the report says
		}
		for _, head := range checkpoint.Heads {
			if head.Key != fKey.Get(c) {
				return vaultapi.Invalidf("key: %q: the checkpoint is of %d keys: leave key out, or use a checkpoint of this key", fKey.Get(c), len(checkpoint.Heads))
			}
		}
	}
	return nil
}

// readCheckpoint reads a checkpoint as custody/checkpoint returned it.
func readCheckpoint(c *request) ([]custody.Signed, error) {
	given := fCheckpoint.Lookup(c)
	if given == nil {
		return nil, nil
	}
	var texts [3]string
	for i, name := range []string{fPayload.Name, fKeyID.Name, fSignature.Name} {
		text, ok := (*given)[name].(string)
		if !ok {
			return nil, vaultapi.Invalidf("checkpoint: must have %s as custody/checkpoint returned it", name)
		}
		texts[i] = text
	}
	return []custody.Signed{{Payload: texts[0], KeyID: texts[1], Signature: texts[2]}}, nil
}

// records returns the custody records of some keys.
func records(ctx context.Context, r store.Journals, names []string) iter.Seq2[[]byte, error] {
	const some = 256
	return func(yield func([]byte, error) bool) {
		read := 0
		for _, name := range names {
			for page := (store.Page{More: true}); page.More; {
				var err error
				page, err = r.Journal(ctx, name, page.Last, some)
				if read += len(page.Lines); err == nil && read > mostVerified {
					err = vaultapi.Invalidf("key: more than %d records: name one key, or verify an export", mostVerified)
				}
				if err != nil {
					yield(nil, err)
					return
				}
				for _, line := range page.Lines {
					if !yield([]byte(line), nil) {
						return
					}
				}
			}
		}
	}
}
