// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
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
	if f, head.Next, err = l.withChains(ctx, f, head); err != nil {
		return page, signed, err
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
	if f.Mount.Chain, _, err = l.chain(ctx, custody.MountChain, *f); err != nil {
		return err
	}
	for i := range f.Policies {
		p := &f.Policies[i]
		if p.Chain, _, err = l.chain(ctx, custody.PolicyChain(p.Name), *f); err != nil {
			return err
		}
	}
	return nil
}

// withChains returns the facts with the chains of the keys, and with the keys of the page that were deleted; and what the next page begins
// behind. Where the records are too many for a page they are of the first names, of at least one.
func (l Reports) withChains(ctx context.Context, f report.Facts, head report.Page) (with report.Facts, next string, err error) {
	gone, err := l.gone(ctx, head)
	if err != nil {
		return f, "", err
	}
	keys := make(map[string]report.Key, len(f.Keys))
	for _, k := range f.Keys {
		keys[k.Name] = k
	}
	names := slices.Compact(slices.Sorted(slices.Values(slices.AppendSeq(gone, maps.Keys(keys)))))
	with, read := f, 0
	with.Keys, with.Deleted = nil, nil
	for i, name := range names {
		if read > l.bounds.page {
			return with, names[i-1], nil
		}
		chain, policy, err := l.chain(ctx, name, f)
		if err != nil {
			return f, "", err
		}
		read += chain.Records
		if k, there := keys[name]; there {
			k.Chain = chain
			with.Keys = append(with.Keys, k)
		} else if ruled(f.Policies, policy) && slices.ContainsFunc(chain.Acts, func(a report.Act) bool { return a.Done }) {
			with.Deleted = append(with.Deleted, report.Key{Name: name, Policy: policy, State: "deleted", Chain: chain})
		}
	}
	return with, head.Next, nil
}

// gone returns the names on a page that have custody records and are of no key.
func (l Reports) gone(ctx context.Context, head report.Page) ([]string, error) {
	all, err := l.store.Journals.JournalNames(ctx)
	if err != nil {
		return nil, err
	}
	expected, err := l.store.Journals.ExpectedNames(ctx)
	slices.Sort(expected)
	return slices.DeleteFunc(all, func(name string) bool {
		_, there := slices.BinarySearch(expected, name)
		_, ofPolicy := custody.PolicyOf(name)
		return there || ofPolicy || name == custody.MountChain || name <= head.After || head.Next != "" && name > head.Next
	}), err
}

func ruled(policies []report.Policy, name string) bool {
	return slices.ContainsFunc(policies, func(p report.Policy) bool { return p.Name == name })
}

// chain reads a chain, and verifies it as far as it is read and as the record that it belongs to allows.
// The policy is the last one that an act on a key was under.
func (l Reports) chain(ctx context.Context, name string, f report.Facts) (c report.Chain, policy string, err error) {
	committed, err := l.store.Journals.Committed(ctx, name)
	if err != nil {
		return c, "", err
	}
	after := max(committed+1-l.bounds.chain, 0)
	page, err := firstLines(l.store.Journals.Lines(ctx, name, after), 2*l.bounds.chain) // behind the newest act there is little, or what was planted
	if err != nil {
		return c, "", err
	}
	c = report.Chain{Name: name, Records: len(page.lines), Partial: after > 0 || page.more}
	if !c.Partial {
		if err := verifyFor(&c, page.lines, committed); err != nil {
			return c, "", err
		}
	}
	return c, addActs(&c, page.lines, f.From, f.To), nil
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

// addActs adds the acts that began in the period, with their outcomes, and returns the last policy that is named. A record that cannot be
// read is one of the problems.
func addActs(c *report.Chain, lines []custody.Line, from, to time.Time) (policy string) {
	for _, line := range lines {
		r, err := custody.Decode(line.Text)
		if err != nil {
			continue
		}
		if c.First.IsZero() {
			c.First = r.Time
		}
		policy = cmp.Or(r.Policy, policy)
		last := len(c.Acts) - 1
		switch {
		case r.Kind == custody.Begin && !r.Time.Before(from) && r.Time.Before(to):
			c.Acts = append(c.Acts, actOf(r))
		case r.Kind == custody.End && last >= 0 && c.Acts[last].Seq == r.Of:
			c.Acts[last].Done = r.Outcome != custody.Failed
		}
	}
	return policy
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
