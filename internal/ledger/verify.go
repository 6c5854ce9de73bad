// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"context"
	"iter"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// mostVerified bounds one verification; more is verified from an export.
const mostVerified = 100_000

// Verification is what was found out about the records.
type Verification struct {
	Records    int
	Problems   []string
	Unfinished []custody.Unfinished
}

// Verify verifies the records of one journal or, where name is empty, of all that there are or should be, up to 100,000
// records: also against a checkpoint that was kept outside.
func (l Ledger) Verify(ctx context.Context, name string, checkpoints []custody.Signed) (Verification, error) {
	names, err := l.verifiable(ctx, name)
	if err != nil {
		return Verification{}, err
	}
	keys, err := l.store.Signing.SigningKeys(ctx)
	if err != nil {
		return Verification{}, err
	}
	if err := checkScope(name, publicOf(keys), checkpoints); err != nil {
		return Verification{}, err
	}
	v := Verification{Problems: []string{}, Unfinished: []custody.Unfinished{}}
	report, err := custody.Verify(l.checked(ctx, names, &v), publicOf(keys), "", checkpoints)
	if err != nil {
		return Verification{}, err
	}
	unsound := map[string]bool{}
	for i := range report.Problems {
		v.Problems = append(v.Problems, report.Problems[i].Error())
		unsound[report.Problems[i].Key] = true
	}
	for _, name := range names {
		l.Observe.JudgeChain(name, observe.ChainRecords, !unsound[name])
	}
	v.Records, v.Unfinished = report.Records, append(v.Unfinished, report.Unfinished...)
	return v, nil
}

// Inspect holds the end of a stored journal against what else is stored and says what is wrong; empty: nothing is. It writes nothing.
func (l Ledger) Inspect(ctx context.Context, name string) (problem string, err error) {
	return l.store.Journals.InspectJournal(ctx, name)
}

// verifiable returns the journals to verify, of deleted keys too, and those that should be there.
func (l Ledger) verifiable(ctx context.Context, name string) ([]string, error) {
	journals, err := l.store.Journals.JournalNames(ctx)
	if err != nil {
		return nil, err
	}
	expected, err := l.store.Journals.ExpectedNames(ctx)
	if err != nil {
		return nil, err
	}
	names := slices.Compact(slices.Sorted(slices.Values(append(journals, expected...))))
	if name != "" {
		names, _, err = only(names, name)
	}
	return names, err
}

// checkScope refuses to hold one key against a checkpoint of others: what it does not look at would seem cut off.
func checkScope(name string, keys custody.PublicKeys, checkpoints []custody.Signed) error {
	for _, signed := range checkpoints {
		checkpoint, err := signed.Open(keys)
		if err != nil || name == "" {
			continue // what is wrong with a checkpoint, the report says
		}
		for _, head := range checkpoint.Heads {
			if head.Key != name {
				return refusal.Invalidf("key: %q: the checkpoint is of %d keys: leave key out, or use a checkpoint of this key", name, len(checkpoint.Heads))
			}
		}
	}
	return nil
}

// checked returns the records of journals one after another. When the turn of one comes, an act that was cut short is
// ended, so that only true gaps are left, and its end is held against what else is stored; what is wrong with that goes to v.
func (l Ledger) checked(ctx context.Context, names []string, v *Verification) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		read := 0
		for _, name := range names {
			problem, err := l.store.Journals.CheckJournal(ctx, name)
			if err != nil {
				yield(nil, err)
				return
			}
			if problem != "" {
				v.Problems = append(v.Problems, problem)
			}
			for line, err := range l.store.Journals.Lines(ctx, name, 0) {
				if read++; err == nil && read > mostVerified {
					err = refusal.Invalidf("key: more than %d records: name one key, or verify an export", mostVerified)
				}
				if !yield(line.Text, err) || err != nil {
					return
				}
			}
		}
	}
}
