// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/report"
)

// bounds are how many records a report reads.
type bounds struct {
	chain int // of one chain: of a longer one the newest
	page  int // of the keys of a page: once there are so many, the keys that are left are for the next page
}

var usualBounds = bounds{chain: 10_000, page: 20_000}

// Reports is what the custody of a mount shows for the controls of standards.
type Reports struct{ Ledger }

// Reports returns what custody shows for the controls of standards.
func (l Ledger) Reports() Reports { return Reports{l} }

// Report adds what custody tells to the facts, and returns the page of what they show, signed. Head has the tag and where the page
// stands among others. Reading the chains settles nothing; a mount that has no signing key gets its first, as with a checkpoint.
func (l Reports) Report(ctx context.Context, head report.Page, f report.Facts) (page report.Page, signed custody.Signed, err error) {
	keys, err := l.signingKeys(ctx)
	if err != nil {
		return page, signed, err
	}
	if head.Instance, err = l.store.Identity.Instance(ctx); err != nil {
		return page, signed, err
	}
	if err = l.addChains(ctx, &f); err != nil {
		return page, signed, err
	}
	whole := len(f.Keys)
	if f.Keys, err = l.withChains(ctx, f); err != nil {
		return page, signed, err
	}
	if n := len(f.Keys); n < whole {
		head.Next = f.Keys[n-1].Name
	}
	head.Time = l.Now().UTC()
	page = report.Assess(head, f)
	text, err := page.Encode()
	if err != nil {
		return page, signed, err
	}
	key, err := l.open(ctx, keys[len(keys)-1])
	if err != nil {
		return page, signed, err
	}
	signed, err = custody.SignReport(text, key)
	return page, signed, err
}

// addChains adds the chains of the mount and of the policies.
func (l Reports) addChains(ctx context.Context, f *report.Facts) (err error) {
	if f.Mount.Chain, err = l.chain(ctx, custody.MountChain, *f); err != nil {
		return err
	}
	for i := range f.Policies {
		p := &f.Policies[i]
		if p.Chain, err = l.chain(ctx, custody.PolicyChain(p.Name), *f); err != nil {
			return err
		}
	}
	return nil
}

// withChains returns the keys with their chains, the first of them where their records are too many for a page; at least one.
func (l Reports) withChains(ctx context.Context, f report.Facts) (keys []report.Key, err error) {
	read := 0
	for _, k := range f.Keys {
		if read > l.bounds.page {
			break
		}
		if k.Chain, err = l.chain(ctx, k.Name, f); err != nil {
			return nil, err
		}
		read += k.Chain.Records
		keys = append(keys, k)
	}
	return keys, nil
}

// chain reads a chain, and verifies it as far as it is read and as the record that it belongs to allows.
func (l Reports) chain(ctx context.Context, name string, f report.Facts) (c report.Chain, err error) {
	committed, err := l.store.Journals.Committed(ctx, name)
	if err != nil {
		return c, err
	}
	after := max(committed+1-l.bounds.chain, 0)
	page, err := firstLines(l.store.Journals.Lines(ctx, name, after), 2*l.bounds.chain) // behind the newest act there is little, or what was planted
	if err != nil {
		return c, err
	}
	c = report.Chain{Name: name, Records: len(page.lines), Partial: after > 0 || page.more}
	if !c.Partial {
		if err := verifyFor(&c, page.lines, committed); err != nil {
			return c, err
		}
	}
	addActs(&c, page.lines, f.From, f.To)
	return c, nil
}

// verifyFor verifies a chain that was read from its beginning, up to the record that the newest act began with.
func verifyFor(c *report.Chain, lines []custody.Line, committed int) error {
	found, err := custody.Verify(textsOf(lines), nil, "", nil)
	if err != nil {
		return err
	}
	for i := range found.Problems {
		c.Problems = append(c.Problems, found.Problems[i].Error())
	}
	c.Unfinished = found.UnfinishedCount
	if last := len(lines); last == 0 && committed > 0 || last > 0 && lines[last-1].Seq < committed {
		c.Problems = append(c.Problems, fmt.Sprintf("record %d is missing, which the newest act began with", committed))
	}
	return nil
}

func textsOf(lines []custody.Line) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, line := range lines {
			if !yield(line.Text, nil) {
				return
			}
		}
	}
}

// addActs adds the acts that began in the period, with their outcomes. A record that cannot be read is one of the problems.
func addActs(c *report.Chain, lines []custody.Line, from, to time.Time) {
	for _, line := range lines {
		r, err := custody.Decode(line.Text)
		if err != nil {
			continue
		}
		if c.First.IsZero() {
			c.First = r.Time
		}
		last := len(c.Acts) - 1
		switch {
		case r.Kind == custody.Begin && !r.Time.Before(from) && r.Time.Before(to):
			c.Acts = append(c.Acts, actOf(r))
		case r.Kind == custody.End && last >= 0 && c.Acts[last].Seq == r.Of:
			c.Acts[last].Done = r.Outcome != custody.Failed
		}
	}
}

// actOf takes an act for done until a record says otherwise: what leaves material may have left it.
func actOf(r custody.Record) report.Act {
	return report.Act{
		Seq: r.Seq, Name: r.Act, Time: r.Time, Versions: r.Versions, By: personOf(r.Actor), System: r.Actor.System, Reason: r.Reason, Done: true,
		Details: r.Details,
	}
}

// personOf names who asked by name and entity: a name alone may be somebody else's at another time.
func personOf(a custody.Actor) string {
	if a.DisplayName != "" && a.EntityID != "" {
		return a.DisplayName + " (" + a.EntityID + ")"
	}
	return cmp.Or(a.DisplayName, a.EntityID)
}
