// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

// What the first page looks at of the whole mount.
const (
	alertsShown   = 100
	driftPolicies = 10                  // with keys bound to them, in the order of their names
	driftKeys     = 100                 // of each
	soon          = 14 * 24 * time.Hour // in which destruction is near
)

// attentionPage is what needs somebody.
type attentionPage struct {
	Clock    mount.Part[mount.Clock]
	Health   mount.Part[mount.Health]
	Status   mount.Part[mount.Status]
	Alerts   mount.Part[mount.Table[mount.Alert]]
	Pending  mount.Part[mount.Table[mount.Approval]]
	Approved mount.Part[mount.Table[mount.Approval]]
	Reviews  mount.Part[[]mount.Row[mount.Review]] // open and overdue
	Access   mount.Part[mount.AccessReview]
	Drift    mount.Part[drift]
	Soon     mount.Part[[]mount.CalendarEvent] // what is irreversible
}

// drift is what policies say of their keys, as far as was looked.
type drift struct {
	Policies       []policyDrift
	Checked, Bound int
}

type policyDrift struct {
	Policy string
	mount.Drift
}

// Calm reports that nothing of what can be read needs anybody.
func (p attentionPage) Calm() bool {
	return len(p.Alerts.Value.Keys) == 0 && len(p.Pending.Value.Keys) == 0 && len(p.Approved.Value.Keys) == 0 &&
		len(p.Reviews.Value) == 0 && len(p.Drift.Value.Policies) == 0 && len(p.Soon.Value) == 0 && !p.Clock.Value.Frozen &&
		!p.ReviewDue() && (p.Health.Missing != nil || p.Health.Value.Status == "ok")
}

// ReviewDue reports that who uses which keys is to be reviewed: a mount that nobody used has nothing to review.
func (p attentionPage) ReviewDue() bool {
	return p.Access.Value.Due && len(p.Access.Value.Entities) > 0
}

// Blind lists what could not be read, so that calm is not taken for more than it is.
func (p attentionPage) Blind() (missing []*mount.Missing) {
	for _, m := range []*mount.Missing{
		p.Status.Missing, p.Alerts.Missing, p.Pending.Missing, p.Reviews.Missing, p.Drift.Missing, p.Soon.Missing, p.Clock.Missing, p.Access.Missing,
	} {
		if m != nil {
			missing = append(missing, m)
		}
	}
	return missing
}

func (s *Server) attention(w http.ResponseWriter, r *http.Request) {
	ctx, p := r.Context(), attentionPage{}
	p.Clock = s.mount.Clock(ctx)
	now := s.nowOf(p.Clock)
	var g sync.WaitGroup
	g.Go(func() { p.Health = s.mount.Health(ctx) })
	g.Go(func() { p.Status = s.mount.Status(ctx) })
	g.Go(func() { p.Alerts = s.mount.Alerts(ctx, alertsShown) })
	g.Go(func() { p.Pending = s.mount.Approvals(ctx, "pending") })
	g.Go(func() { p.Approved = s.mount.Approvals(ctx, "approved") })
	g.Go(func() { p.Reviews = s.openReviews(ctx) })
	g.Go(func() { p.Access = s.mount.AccessReview(ctx) })
	g.Go(func() { p.Drift = s.drift(ctx) })
	g.Go(func() { p.Soon = s.destructions(ctx, now) })
	g.Wait()
	s.show(w, r, "attention", "Attention", now, p)
}

// nowOf is the time of the mount, or of this machine where the token may not ask.
func (s *Server) nowOf(clock mount.Part[mount.Clock]) time.Time {
	if clock.Value.Now.IsZero() {
		return s.now().UTC()
	}
	return clock.Value.Now.UTC()
}

// show writes a page as of a time.
func (s *Server) show(w http.ResponseWriter, r *http.Request, name, title string, now time.Time, content any) {
	v := s.page(r, title, content)
	v.Now = now
	s.pages.write(w, http.StatusOK, name, v)
}

func (s *Server) openReviews(ctx context.Context) (all mount.Part[[]mount.Row[mount.Review]]) {
	for _, state := range []string{"overdue", "open"} {
		reviews := s.mount.Reviews(ctx, state)
		if reviews.Missing != nil {
			return mount.Part[[]mount.Row[mount.Review]]{Missing: reviews.Missing}
		}
		all.Value = append(all.Value, reviews.Value.Rows()...)
	}
	return all
}

func (s *Server) drift(ctx context.Context) (all mount.Part[drift]) {
	policies := s.mount.Policies(ctx, "", 1000)
	if policies.Missing != nil {
		return mount.Part[drift]{Missing: policies.Missing}
	}
	looked := 0
	for _, row := range policies.Value.Rows() {
		all.Value.Bound += row.Info.Bound
		if row.Info.Bound == 0 || looked == driftPolicies {
			continue
		}
		looked++
		one := s.mount.Drift(ctx, row.Name, driftKeys)
		if one.Missing != nil {
			return mount.Part[drift]{Missing: one.Missing}
		}
		all.Value.Checked += one.Value.Checked
		if len(one.Value.Keys) > 0 || len(one.Value.Findings) > 0 {
			all.Value.Policies = append(all.Value.Policies, policyDrift{row.Name, one.Value})
		}
	}
	return all
}

// destructions are the irreversible events of the next days.
func (s *Server) destructions(ctx context.Context, now time.Time) (events mount.Part[[]mount.CalendarEvent]) {
	calendar := s.events(ctx, now, now.Add(soon))
	events.Missing = calendar.Missing
	for _, e := range calendar.Value.Events {
		if e.Irreversible {
			events.Value = append(events.Value, e)
		}
	}
	return events
}

// mostPages of a calendar are read for a page.
const mostPages = 20

// events reads the calendar between two times, in the order of the events' times.
func (s *Server) events(ctx context.Context, from, to time.Time) mount.Part[mount.Calendar] {
	asked := url.Values{"from": {from.UTC().Format(time.RFC3339)}, "to": {to.UTC().Format(time.RFC3339)}}
	return s.mount.Events(ctx, asked, mostPages)
}
