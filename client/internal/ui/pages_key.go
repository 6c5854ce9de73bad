// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
	"github.com/keylife/vault-plugin-keylife/client/internal/ui/timeline"
)

const (
	planned      = 30 // events of the clock that are asked for
	historyPages = 5  // of a thousand records
	actsShown    = 50 // the newest, where not all are asked for
)

// keyPage is the life of a key.
type keyPage struct {
	Name     string
	Clock    mount.Part[mount.Clock]
	Key      mount.Part[mount.Key]
	Rotation mount.Part[mount.Rotation]
	Versions mount.Part[mount.Table[mount.Version]]
	Plan     mount.Part[mount.Plan]
	Acts     mount.Part[[]mount.Act] // the newest first
	Users    mount.Part[mount.AccessReview]
	Active   mount.Part[mount.VersionDetail]
	Picture  timeline.Picture
	More     bool // acts that are not read
	Hidden   int  // acts that are read and not shown
}

// Rows are the versions, the newest first.
func (p keyPage) Rows() []mount.Row[mount.Version] {
	rows := p.Versions.Value.Rows()
	slices.Reverse(rows)
	return rows
}

func (s *Server) key(w http.ResponseWriter, r *http.Request, name string) {
	ctx, p := r.Context(), keyPage{Name: name}
	p.Key = s.mount.Key(ctx, name)
	var g sync.WaitGroup
	g.Go(func() { p.Clock = s.mount.Clock(ctx) })
	g.Go(func() { p.Rotation = s.mount.Rotation(ctx, name) })
	g.Go(func() { p.Versions = s.mount.Versions(ctx, name) })
	g.Go(func() { p.Plan = s.mount.Plan(ctx, name, planned) })
	g.Go(func() { p.Acts, p.More = s.mount.Acts(ctx, name, historyPages) })
	g.Go(func() { p.Users = s.mount.UsersOf(ctx, name) })
	if active := p.Key.Value.Primary; active > 0 {
		g.Go(func() { p.Active = s.mount.Version(ctx, name, active) })
	}
	g.Wait()
	now := s.nowOf(p.Clock)
	p.Picture = timeline.Draw(timeline.Input{
		Now: now, Acts: actsOf(p.Acts.Value), Versions: versionsOf(p.Versions.Value), Planned: plannedOf(p.Plan.Value.Events),
	})
	slices.Reverse(p.Acts.Value)
	if r.URL.Query().Get("acts") != "all" && len(p.Acts.Value) > actsShown {
		p.Hidden = len(p.Acts.Value) - actsShown
		p.Acts.Value = p.Acts.Value[:actsShown]
	}
	if m := p.Key.Missing; m != nil && m.Absent() && p.Acts.Value == nil {
		s.nothing(w, r)
		return
	}
	s.show(w, r, "key", name, now, p)
}

// actsOf are the acts that took effect, as the timeline takes them.
func actsOf(acts []mount.Act) (out []timeline.Act) {
	for _, a := range acts {
		if a.Outcome == "failed" {
			continue
		}
		one := timeline.Act{At: a.Time.Time, Name: a.Act, Versions: a.Versions, To: a.To, Title: titleOf(a), Irreversible: a.To == "destroyed"}
		one.Superseded, _ = strconv.Atoi(a.Details["superseded"])
		one.Successor, _ = strconv.Atoi(a.Details["successor"])
		out = append(out, one)
	}
	return out
}

func titleOf(a mount.Act) string {
	title := fmt.Sprintf("%s: %s, by %s", a.Time.UTC().Format("2006-01-02 15:04"), a.Act, a.Actor)
	if a.Reason != "" {
		title += ": " + a.Reason
	}
	return title
}

func versionsOf(table mount.Table[mount.Version]) (out []timeline.Version) {
	for _, row := range table.Rows() {
		if number, err := strconv.Atoi(strings.TrimSpace(row.Name)); err == nil {
			out = append(out, timeline.Version{Number: number, State: row.Info.State, Created: row.Info.Created.Time})
		}
	}
	return out
}

func plannedOf(events []mount.Event) (out []timeline.Act) {
	for _, e := range events {
		a := timeline.Act{At: e.Time.Time, Name: e.Act, Title: e.Time.UTC().Format("2006-01-02 15:04") + ": " + e.Act + ": " + e.Why, Irreversible: e.Irreversible}
		if e.Version > 0 {
			a.Versions = []int{e.Version}
		}
		out = append(out, a)
	}
	return out
}
