// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// What one page of the calendar looks at.
const (
	calendarMinutes = 500  // of the due index
	calendarEvents  = 5000 // a page ends with the key that reaches it
)

// CalendarQuery asks for what will happen in a span.
type CalendarQuery struct {
	engine.Span
	After string // where the page before ended: its Next
	Limit int    // keys that are looked at
}

// Calendar is a page of what will happen. The first page has what people have to do; then come the keys in the order of the due
// index, and last the drills, by policy.
type Calendar struct {
	Events []engine.Event // in the order of their time
	Cut    []string       // keys to which more happens than is told
	Unread []Unread
	Next   string // empty: this is the last page
}

// Unread is a key that cannot be read, so that nobody can tell what will happen to it.
type Unread struct {
	Name string
	Why  error
}

// Calendar returns a page of what will happen in a span. It costs a List, one for each minute of the due index that it looks at
// and for each policy with drill_every, and a Get for each key that is not in memory; the first page what people have to do, too.
func (s *Session) Calendar(ctx context.Context, q CalendarQuery) (Calendar, error) {
	w := &calendarWalk{Session: s, query: q}
	err := w.begin()
	if err == nil {
		err = w.people(ctx)
	}
	if err == nil {
		err = w.dueKeys(ctx)
	}
	if err == nil && !w.full() {
		err = w.drills(ctx)
	}
	slices.SortStableFunc(w.page.Events, func(a, b engine.Event) int { return a.At.Compare(b.At) })
	slices.Sort(w.page.Cut)
	return w.page, err
}

// calendarWalk is a page on its way.
type calendarWalk struct {
	*Session
	query CalendarQuery
	page  Calendar
	keys  int

	drilling     bool   // the page begins among the drills
	place, after string // the minute, or policy, and the key of it, behind which it begins
}

// full reports whether the page ends here.
func (w *calendarWalk) full() bool { return w.page.Next != "" }

// begin reads where the page begins. The error is refusal.ErrInvalid.
func (w *calendarWalk) begin() error {
	if w.query.After == "" {
		return nil
	}
	w.place, w.after, _ = strings.Cut(w.query.After, "/")
	if w.place == drillsPlace {
		w.drilling = true
		w.place, w.after, _ = strings.Cut(w.after, "/")
		return nil
	}
	if _, err := time.Parse(minuteText, w.place); err != nil {
		return refusal.InvalidField("after", w.query.After, "must be next of the page before")
	}
	return nil
}

// people adds what people have to do.
func (w *calendarWalk) people(ctx context.Context) (err error) {
	if w.query.After == "" {
		w.page.Events, err = w.acts.Approvals().Events(ctx, w.query.Span)
	}
	return err
}

// A cursor is a minute of the due index and the last key of it that was looked at, 2026-03-02T12:00Z/orders, and behind all of
// these a policy and a key, drill/pci/orders. Without a key it is the place itself.
const (
	minuteText  = "2006-01-02T15:04Z"
	drillsPlace = "drill"
)

// dueKeys adds what the clock will do. A key of which the first thing comes after the span has nothing in it.
func (w *calendarWalk) dueKeys(ctx context.Context) error {
	if w.drilling {
		return nil
	}
	minutes, err := w.store.Due.DueMinutes(ctx)
	if err != nil {
		return err
	}
	looked := 0
	for _, minute := range minutes {
		place := minute.UTC().Format(minuteText)
		switch {
		case place < w.place:
			continue
		case !minute.Before(w.query.To):
			return nil
		case looked == calendarMinutes:
			w.page.Next = place + "/"
			return nil
		}
		looked++
		names, err := w.store.Due.KeysDue(ctx, minute)
		if err != nil {
			return err
		}
		if place == w.place {
			names = namesAfter(names, w.after)
		}
		if err := w.each(ctx, place, names, func(name string) error { return w.forecast(ctx, minute, name) }); err != nil || w.full() {
			return err
		}
	}
	return nil
}

// each looks at keys until the page is full.
func (w *calendarWalk) each(ctx context.Context, place string, names []string, look func(name string) error) error {
	for i, name := range names {
		if w.keys == w.query.Limit || len(w.page.Events) >= calendarEvents {
			before := ""
			if i > 0 {
				before = names[i-1]
			}
			w.page.Next = place + "/" + before
			return nil
		}
		w.keys++
		err := look(name)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && !errors.Is(err, refusal.ErrNotFound):
			w.page.Unread = append(w.page.Unread, Unread{name, err})
		}
	}
	return nil
}

// forecast adds what will happen to a key that the index lists under a minute. One that its record has elsewhere is met there.
func (w *calendarWalk) forecast(ctx context.Context, minute time.Time, name string) error {
	of, err := w.acts.Keys().Events(ctx, name, w.query.Span)
	if err != nil || !sameMinute(of.Due, minute) {
		return err
	}
	w.page.Events = append(w.page.Events, of.Events...)
	if of.Cut {
		w.page.Cut = append(w.page.Cut, name)
	}
	return nil
}

// drills adds the drills that are due.
func (w *calendarWalk) drills(ctx context.Context) error {
	policies, err := w.acts.Policies().WithDrills(ctx)
	if err != nil {
		return err
	}
	for _, p := range policies {
		if w.drilling && p.Name < w.place {
			continue
		}
		names, err := w.store.Bindings.BoundKeys(ctx, p.Name)
		if err != nil {
			return err
		}
		if w.drilling && p.Name == w.place {
			names = namesAfter(names, w.after)
		}
		if err := w.each(ctx, drillsPlace+"/"+p.Name, names, func(name string) error {
			event, err := w.acts.Keys().Drill(ctx, name, p, w.query.Span)
			if event != nil {
				w.page.Events = append(w.page.Events, *event)
			}
			return err
		}); err != nil || w.full() {
			return err
		}
	}
	return nil
}
