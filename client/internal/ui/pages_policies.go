// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

const policiesShown = 200

type policiesPage struct {
	mount.Part[mount.Table[mount.PolicyRow]]
	After string
}

func (s *Server) policies(w http.ResponseWriter, r *http.Request) {
	p := policiesPage{After: r.URL.Query().Get("after")}
	p.Part = s.mount.Policies(r.Context(), p.After, policiesShown)
	s.show(w, r, "policies", "Policies", s.now().UTC(), p)
}

// policyPage is a policy.
type policyPage struct {
	Name      string
	Policy    mount.Part[mount.Policy]
	Revisions mount.Part[mount.Table[mount.Revision]]
	Drift     mount.Part[mount.Drift]
	Acts      mount.Part[[]mount.Act]
	From, To  int // revisions that are compared; 0: none are
	Diff      mount.Part[[]difference]
	Candidate string
	Plan      *mount.Part[mount.PolicyPlan] // nil: none was asked for
}

// difference is a field in which two revisions are not alike.
type difference struct {
	Field string
	From  any
	To    any
}

// made are fields that the mount gives a revision, and nobody writes.
var made = []string{"created_time", "hash", "name", "revision", "document"}

// Fields are those of the policy, in alphabetical order.
func (p policyPage) Fields() (fields []difference) {
	for _, name := range slices.Sorted(maps.Keys(p.Policy.Value)) {
		if !slices.Contains(made, name) {
			fields = append(fields, difference{Field: name, To: p.Policy.Value[name]})
		}
	}
	return fields
}

// Rows are the revisions, the newest first.
func (p policyPage) Rows() []mount.Row[mount.Revision] {
	rows := p.Revisions.Value.Rows()
	slices.Reverse(rows)
	return rows
}

func (s *Server) policy(w http.ResponseWriter, r *http.Request, name string) {
	s.showPolicy(w, r, policyPage{Name: name})
}

func (s *Server) planPolicy(w http.ResponseWriter, r *http.Request, name string) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			http.Error(w, fmt.Sprintf("candidate: more than %d bytes", large.Limit), http.StatusRequestEntityTooLarge)
			return
		}
		http.Error(w, "candidate: the form cannot be read", http.StatusBadRequest)
		return
	}
	candidate := strings.ReplaceAll(r.PostForm.Get("candidate"), "\r\n", "\n")
	plan := s.mount.PlanPolicy(r.Context(), name, candidate)
	s.showPolicy(w, r, policyPage{Name: name, Candidate: candidate, Plan: &plan})
}

func (s *Server) showPolicy(w http.ResponseWriter, r *http.Request, p policyPage) {
	ctx := r.Context()
	var clock mount.Part[mount.Clock]
	var g sync.WaitGroup
	g.Go(func() { clock = s.mount.Clock(ctx) })
	g.Go(func() { p.Policy = s.mount.Policy(ctx, p.Name) })
	g.Go(func() { p.Revisions = s.mount.Revisions(ctx, p.Name) })
	g.Go(func() { p.Drift = s.mount.Drift(ctx, p.Name, driftKeys) })
	g.Go(func() { p.Acts, _ = s.mount.PolicyActs(ctx, p.Name, historyPages) })
	g.Wait()
	slices.Reverse(p.Acts.Value)
	s.compare(r, &p)
	if p.Candidate == "" {
		p.Candidate = documentOf(p.Policy.Value)
	}
	if m := p.Policy.Missing; m != nil && m.Absent() && p.Acts.Value == nil && p.Plan == nil {
		s.nothing(w, r)
		return
	}
	s.show(w, r, "policy", p.Name, s.nowOf(clock), p)
}

// compare reads the two revisions that were asked for, or the newest two.
func (s *Server) compare(r *http.Request, p *policyPage) {
	numbers := p.Revisions.Value.Keys
	newest := 0
	if len(numbers) > 0 {
		newest, _ = strconv.Atoi(numbers[len(numbers)-1])
	}
	p.From, p.To = numberOf(r, "from", newest-1), numberOf(r, "to", newest)
	if p.From < 1 || p.To < 1 {
		p.From, p.To = 0, 0
		return
	}
	from, to := s.mount.Revision(r.Context(), p.Name, p.From), s.mount.Revision(r.Context(), p.Name, p.To)
	switch {
	case from.Missing != nil:
		p.Diff.Missing = from.Missing
	case to.Missing != nil:
		p.Diff.Missing = to.Missing
	default:
		p.Diff.Value = differencesOf(from.Value, to.Value)
	}
}

func numberOf(r *http.Request, field string, otherwise int) int {
	if n, err := strconv.Atoi(r.URL.Query().Get(field)); err == nil {
		return n
	}
	return otherwise
}

func differencesOf(from, to mount.Policy) (out []difference) {
	fields := map[string]bool{}
	for _, p := range []mount.Policy{from, to} {
		for name := range p {
			fields[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if (name == "document" || !slices.Contains(made, name)) && !reflect.DeepEqual(from[name], to[name]) {
			out = append(out, difference{name, from[name], to[name]})
		}
	}
	return out
}

// documentOf writes a policy as HCL, to be changed and planned. Attributes of JSON's values are HCL's, but for templates.
func documentOf(p mount.Policy) string {
	if text, ok := p["document"].(string); ok && text != "" {
		return text
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if slices.Contains(made, name) {
			continue
		}
		var text strings.Builder
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(p[name]); err != nil {
			continue // of what JSON gave, all can be written
		}
		escaped := strings.NewReplacer("${", "$${", "%{", "%%{").Replace(mount.Escaped(strings.TrimSpace(text.String())))
		fmt.Fprintf(&b, "%s = %s\n", name, escaped)
	}
	return b.String()
}
