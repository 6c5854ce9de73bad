// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package migrate moves keys from one secrets engine to another, Transit's or keylife's, one after the other: it reads the key, makes a
// backup, restores it at the target, proves that both hold the same key, and says so in a report. It speaks to both as a client of Vault
// does, and keeps no state but the keys themselves: a run that was cut short is run again, and what is at the target already is proven and
// not copied.
//
// Invariants: nothing is written at the source but the two flags that let a key leave, where they are asked for. At the target nothing is
// replaced but an older copy of the same key, of which every version was proven to be the source's. A key is called moved only when each
// version that may still be used was proven. No sample, backup or export is in a report, an error or a file.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options say what is moved, and how.
type Options struct {
	Keys        []string // empty: all
	Policy      string   // that the keys come under at a target which is keylife; empty: as the target decides
	Reason      string   // for the custody records of keylife
	AllowBackup bool     // set exportable and allow_plaintext_backup at the source where they are missing; neither can be unset
	DryRun      bool     // read, and change nothing

	Rand   io.Reader
	Now    func() time.Time
	Report func(line any) error // writes a line so that it outlives the process
	Tell   func(done, all int, e *Entry)
}

// Run moves the keys. The error is of what ended the run; what became of a key is in its entry of the report.
func Run(ctx context.Context, from, to Mount, o Options) (Summary, error) {
	p := pair{Options: o, from: &engine{Mount: from, role: "source", reason: o.Reason}, to: &engine{Mount: to, role: "target", reason: o.Reason}}
	keys, err := p.begin(ctx)
	if err != nil {
		return Summary{}, err
	}
	sum := Summary{Keys: len(keys), DryRun: o.DryRun, Outcomes: map[Outcome]int{}}
	for i, key := range keys {
		e, err := p.one(ctx, key)
		if reported := o.Report(e); reported != nil {
			return sum, fmt.Errorf("report: %w", reported)
		}
		sum.Outcomes[e.Outcome]++
		o.Tell(i+1, len(keys), e)
		if err != nil {
			return sum, err
		}
	}
	sum.Time = o.Now().UTC()
	if err := o.Report(sum); err != nil {
		return sum, fmt.Errorf("report: %w", err)
	}
	return sum, nil
}

// begin finds out what the two engines are, and which keys are to be moved.
func (p pair) begin(ctx context.Context) ([]string, error) {
	for _, e := range []*engine{p.from, p.to} {
		if err := e.recognise(ctx); err != nil {
			return nil, err
		}
	}
	if p.Policy != "" && !p.to.keylife {
		return nil, errors.New("policy: the target is Transit, which has no policies")
	}
	if len(p.Keys) > 0 {
		return p.Keys, nil
	}
	keys, err := p.from.list(ctx)
	slices.Sort(keys)
	return keys, err
}

// one moves a key. The error is not nil where the other keys would fare no better.
func (p pair) one(ctx context.Context, key string) (*Entry, error) {
	before := p.from.requests + p.to.requests
	e := &Entry{Key: key}
	err := p.move(ctx, e)
	e.Time, e.Requests = p.Now().UTC(), p.from.requests+p.to.requests-before
	if err == nil {
		return e, nil
	}
	e.Reason = err.Error()
	if e.Outcome = Failed; errors.As(err, new(*blocked)) {
		e.Outcome = Needs
	} else if errors.As(err, new(*conflict)) {
		e.Outcome = Conflict
	}
	if errors.As(err, new(*unanswered)) || ctx.Err() != nil {
		return e, fmt.Errorf("key %q: %w", key, err)
	}
	return e, nil
}

// blocked is what somebody has to do before a key moves.
type blocked struct{ why []string }

func (b *blocked) Error() string { return strings.Join(b.why, "; ") }

// conflict is what is at the target under the name, and is not the key.
type conflict struct{ why string }

func (c *conflict) Error() string {
	return "the target has another key of the name, which is left as it is: " + c.why
}
