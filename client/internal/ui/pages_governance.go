// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"net/http"
	"slices"
	"sync"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

// approvalsPage has requests for consent, and reviews of acts without it.
type approvalsPage struct {
	Approvals mount.Part[mount.Table[mount.Approval]]
	Reviews   mount.Part[mount.Table[mount.Review]]
}

// Waiting are the requests that somebody has to do something about; Ended the others.
func (p approvalsPage) Waiting() []mount.Row[mount.Approval] { return p.those(true) }

// Ended are the requests that were executed or came to nothing.
func (p approvalsPage) Ended() []mount.Row[mount.Approval] { return p.those(false) }

func (p approvalsPage) those(waiting bool) (rows []mount.Row[mount.Approval]) {
	for _, row := range p.Approvals.Value.Rows() {
		if (row.Info.State == "pending" || row.Info.State == "approved") == waiting {
			rows = append(rows, row)
		}
	}
	return rows
}

func (s *Server) approvals(w http.ResponseWriter, r *http.Request) {
	p, ctx := approvalsPage{}, r.Context()
	var clock mount.Part[mount.Clock]
	var g sync.WaitGroup
	g.Go(func() { clock = s.mount.Clock(ctx) })
	g.Go(func() { p.Approvals = s.mount.Approvals(ctx, "") })
	g.Go(func() { p.Reviews = s.mount.Reviews(ctx, "") })
	g.Wait()
	s.show(w, r, "approvals", "Approvals and reviews", s.nowOf(clock), p)
}

type approvalPage struct {
	ID string
	mount.Part[mount.Approval]
}

func (s *Server) approval(w http.ResponseWriter, r *http.Request, id string) {
	clock, one := s.mount.Clock(r.Context()), s.mount.Approval(r.Context(), id)
	if one.Missing != nil && one.Missing.Absent() {
		s.nothing(w, r)
		return
	}
	s.show(w, r, "approval", "Request "+id, s.nowOf(clock), approvalPage{id, one})
}

type reviewPage struct {
	ID string
	mount.Part[mount.Review]
}

func (s *Server) review(w http.ResponseWriter, r *http.Request, id string) {
	clock, one := s.mount.Clock(r.Context()), s.mount.Review(r.Context(), id)
	if one.Missing != nil && one.Missing.Absent() {
		s.nothing(w, r)
		return
	}
	s.show(w, r, "review", "Review "+id, s.nowOf(clock), reviewPage{id, one})
}

const (
	exportPages  = 100 // of a thousand records: as many as the mount itself verifies at once
	chainsShown  = 500
	settingsActs = 100
)

// custodyPage is who did what to the mount, and whether the records of all that was done are whole.
type custodyPage struct {
	Acts     mount.Part[[]mount.Act]
	Keys     []mount.Act // the generations of the signing key, the newest first
	Health   mount.Part[mount.Health]
	Verified bool
	Chains   mount.Part[mount.Chains]
	Hidden   int
}

func (s *Server) custody(w http.ResponseWriter, r *http.Request) {
	p, ctx := custodyPage{Verified: r.URL.Query().Get("verify") == "all"}, r.Context()
	var clock mount.Part[mount.Clock]
	var g sync.WaitGroup
	g.Go(func() { clock = s.mount.Clock(ctx) })
	g.Go(func() { p.Acts, _ = s.mount.MountActs(ctx, historyPages) })
	g.Go(func() { p.Health = s.mount.Health(ctx) })
	if p.Verified {
		g.Go(func() { p.Chains = s.mount.Chains(ctx, exportPages) })
	}
	g.Wait()
	slices.Reverse(p.Acts.Value)
	for _, a := range p.Acts.Value {
		if a.Act == "rotate-signing-key" {
			p.Keys = append(p.Keys, a)
		}
	}
	p.Acts.Value = p.Acts.Value[:min(settingsActs, len(p.Acts.Value))]
	p.sort()
	s.show(w, r, "custody", "Custody", s.nowOf(clock), p)
}

// sort puts the chains with problems first, and leaves out what there are too many of.
func (p *custodyPage) sort() {
	chains := p.Chains.Value.Chains
	slices.SortStableFunc(chains, func(a, b mount.Chain) int { return len(b.Problems) - len(a.Problems) })
	p.Hidden = max(0, len(chains)-chainsShown)
	p.Chains.Value.Chains = chains[:len(chains)-p.Hidden]
}
