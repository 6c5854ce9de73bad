// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"net/http"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

// eventsShown are in the list; the month counts all.
const eventsShown = 500

// calendarPage is a month.
type calendarPage struct {
	mount.Part[mount.Calendar]
	Month          time.Time
	Previous, Next string // months; no previous one where that is over
	Weeks          [][]calendarDay
	Hidden         int // events that are not in the list
	Irreversible   int
}

// calendarDay is a day of the month, or of those beside it.
type calendarDay struct {
	Date    time.Time
	Inside  bool // the month
	Today   bool
	Entries []calendarEntry
}

// calendarEntry is how often something happens on a day, and to which key where that is once.
type calendarEntry struct {
	What, Key    string
	Times        int
	Irreversible bool
}

const monthLayout = "2006-01"

func (s *Server) calendar(w http.ResponseWriter, r *http.Request) {
	now := s.nowOf(s.mount.Clock(r.Context()))
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	month := first
	if asked, err := time.Parse(monthLayout, r.URL.Query().Get("month")); err == nil && asked.After(first) {
		month = asked
	}
	p := calendarPage{Month: month, Next: month.AddDate(0, 1, 0).Format(monthLayout)}
	from := now
	if month.After(first) {
		p.Previous, from = month.AddDate(0, -1, 0).Format(monthLayout), month
	}
	p.Part = s.events(r.Context(), from, month.AddDate(0, 1, 0))
	p.Weeks = weeksOf(month, now, p.Value.Events)
	for _, e := range p.Value.Events {
		if e.Irreversible {
			p.Irreversible++
		}
	}
	if p.Hidden = max(0, len(p.Value.Events)-eventsShown); p.Hidden > 0 {
		p.Value.Events = p.Value.Events[:eventsShown]
	}
	s.show(w, r, "calendar", "Calendar", now, p)
}

// weeksOf lays out a month in weeks that begin on Monday (ISO 8601).
func weeksOf(month, now time.Time, events []mount.CalendarEvent) (weeks [][]calendarDay) {
	byDay := map[string][]mount.CalendarEvent{}
	for _, e := range events {
		day := e.At.UTC().Format(time.DateOnly)
		byDay[day] = append(byDay[day], e)
	}
	at := month.AddDate(0, 0, -(int(month.Weekday())+6)%7)
	for at.Before(month.AddDate(0, 1, 0)) {
		week := make([]calendarDay, 7)
		for i := range week {
			day := at.Format(time.DateOnly)
			week[i] = calendarDay{Date: at, Inside: at.Month() == month.Month(), Today: day == now.Format(time.DateOnly), Entries: entriesOf(byDay[day])}
			at = at.AddDate(0, 0, 1)
		}
		weeks = append(weeks, week)
	}
	return weeks
}

// entriesOf counts the events of a day by what they are; what is irreversible comes first.
func entriesOf(events []mount.CalendarEvent) (entries []calendarEntry) {
	at := map[string]int{}
	for _, first := range []bool{true, false} {
		for _, e := range events {
			if e.Irreversible != first {
				continue
			}
			i, known := at[e.What]
			if !known {
				i = len(entries)
				at[e.What] = i
				entries = append(entries, calendarEntry{What: e.What, Key: e.Key, Irreversible: e.Irreversible})
			}
			entries[i].Times++
		}
	}
	return entries
}
