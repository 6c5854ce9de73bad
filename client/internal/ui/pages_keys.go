// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"context"
	"encoding/csv"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

const (
	keysShown    = 100 // a page
	keysLooks    = 5   // requests for a page, where a filter lets few keys pass
	keysAtOnce   = 1000
	keysLooksAll = 200 // requests for all keys: a million names, or 200,000 lines
)

// keyFilter are the fields by which keys are chosen, as the form and the inventory have them.
var keyFilter = []string{"prefix", "policy", "state", "status", "type", "label", "owner"}

// keysPage is a page of the inventory.
type keysPage struct {
	mount.Part[mount.Inventory]
	Filter  map[string]string // what was asked for; fields that were not are empty
	After   string
	Counts  []tally
	Counted bool // all keys that pass, and not those of the page
	Total   int
	query   url.Values
}

// tally counts keys by one thing.
type tally struct {
	Name, Field string // what people call it; the field of the filter
	Lines       []tallyLine
}

type tallyLine struct {
	Value string
	Keys  int
}

// Filtered reports whether anything was asked for.
func (p keysPage) Filtered() bool { return len(p.query) > 0 }

// Link is a query for the same filter, with a field that is another.
func (p keysPage) Link(field, value string) string { return "?" + with(p.query, field, value).Encode() }

// CSV is where the same keys are as a file.
func (p keysPage) CSV() string { return "/keys.csv?" + p.query.Encode() }

func with(q url.Values, field, value string) url.Values {
	other := url.Values{}
	for name, values := range q {
		other[name] = slices.Clone(values)
	}
	other.Set(field, value)
	return other
}

// filterOf reads what was asked for.
func filterOf(r *http.Request) (filter map[string]string, query url.Values) {
	filter, query = map[string]string{}, url.Values{}
	for _, field := range keyFilter {
		filter[field] = strings.TrimSpace(r.URL.Query().Get(field))
		if filter[field] != "" {
			query.Set(field, filter[field])
		}
	}
	return filter, query
}

func (s *Server) keys(w http.ResponseWriter, r *http.Request) {
	p := keysPage{After: r.URL.Query().Get("after"), Counted: r.URL.Query().Get("count") == "all"}
	p.Filter, p.query = filterOf(r)
	if p.Counted {
		p.Part = s.inventory(r.Context(), p.query, "", 0)
	} else {
		p.Part = s.inventory(r.Context(), p.query, p.After, keysShown)
	}
	p.Total, p.Counts = len(p.Value.Keys), talliesOf(p.Value.Keys)
	if p.Counted {
		p.Value.Keys = p.Value.Keys[:min(keysShown, p.Total)]
		if p.Total > keysShown {
			p.Value.Next = p.Value.Keys[keysShown-1].Name
		}
	}
	now := p.Value.Time.Time
	if now.IsZero() {
		now = s.now()
	}
	s.show(w, r, "keys", "Keys", now.UTC(), p)
}

// inventory reads keys behind after until there are as many as wanted; wanted 0: all.
func (s *Server) inventory(ctx context.Context, query url.Values, after string, wanted int) (all mount.Part[mount.Inventory]) {
	looks := keysLooks
	if wanted == 0 {
		looks = keysLooksAll
	}
	for range looks {
		limit := keysAtOnce
		if wanted > 0 {
			limit = wanted - len(all.Value.Keys)
		}
		asked := with(query, "limit", strconv.Itoa(limit))
		if after != "" {
			asked.Set("after", after)
		}
		page := s.mount.Inventory(ctx, asked)
		if page.Missing != nil {
			return page
		}
		page.Value.Keys = append(all.Value.Keys, page.Value.Keys...)
		page.Value.Scanned += all.Value.Scanned
		all = page
		if after = page.Value.Next; after == "" || wanted > 0 && len(all.Value.Keys) >= wanted {
			break
		}
	}
	return all
}

func talliesOf(keys []mount.InventoryKey) []tally {
	tallies := []tally{{Name: "State", Field: "state"}, {Name: "Rotation", Field: "status"}, {Name: "Policy", Field: "policy"}, {Name: "Type", Field: "type"}}
	for i, of := range []func(mount.InventoryKey) string{
		func(k mount.InventoryKey) string { return k.State },
		func(k mount.InventoryKey) string { return k.Status },
		func(k mount.InventoryKey) string { return k.Policy },
		func(k mount.InventoryKey) string { return k.Type },
	} {
		tallies[i].Lines = linesOf(keys, of)
	}
	return tallies
}

// linesOf counts keys by what they are; the most first.
func linesOf(keys []mount.InventoryKey, of func(mount.InventoryKey) string) (lines []tallyLine) {
	counts := map[string]int{}
	for _, k := range keys {
		counts[of(k)]++
	}
	for value, n := range counts {
		lines = append(lines, tallyLine{value, n})
	}
	slices.SortFunc(lines, func(a, b tallyLine) int {
		if a.Keys != b.Keys {
			return b.Keys - a.Keys
		}
		return strings.Compare(a.Value, b.Value)
	})
	return lines
}

var csvHeader = []string{
	"name", "state", "rotation_status", "why", "policy", "policy_revision", "type", "protection", "owner", "labels", "primary_version", "primary_since",
	"latest_version", "next_event", "next_event_time", "next_event_why", "irreversible", "legal_hold", "last_used_time", "drift", "created_time", "error",
}

// keysCSV sends all keys that pass the filter.
func (s *Server) keysCSV(w http.ResponseWriter, r *http.Request) {
	_, query := filterOf(r)
	all := s.inventory(r.Context(), query, "", 0)
	if m := all.Missing; m != nil {
		http.Error(w, m.Path+": "+m.Text, http.StatusBadGateway)
		return
	}
	if all.Value.Next != "" {
		http.Error(w, "there are too many keys for a file; choose fewer of them", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="keys.csv"`)
	out := csv.NewWriter(w)
	_ = out.Write(csvHeader) // what cannot be written, Flush leaves out: there is nobody to tell
	for _, k := range all.Value.Keys {
		_ = out.Write(csvLine(k))
	}
	out.Flush()
}

func csvLine(k mount.InventoryKey) []string {
	next := mount.CalendarEvent{}
	if k.NextEvent != nil {
		next = *k.NextEvent
	}
	var labels, findings []string
	for _, name := range functions["names"].(func(map[string]string) []string)(k.Labels) {
		labels = append(labels, name+"="+k.Labels[name])
	}
	for _, f := range k.Drift {
		findings = append(findings, f.Field+": "+f.Rule)
	}
	line := []string{
		k.Name, k.State, k.Status, k.Why, k.Policy, strconv.Itoa(k.PolicyRevision), k.Type, k.Protection, k.Owner, strings.Join(labels, " "),
		strconv.Itoa(k.Primary), timeText(k.PrimarySince), strconv.Itoa(k.Latest), next.What, timeText(next.At), next.Why,
		strconv.FormatBool(next.Irreversible), strconv.FormatBool(k.Hold), timeText(k.LastUsed), strings.Join(findings, "; "), timeText(k.Created), k.Error,
	}
	for i := range line {
		line[i] = cell(line[i])
	}
	return line
}

// cell keeps a spreadsheet from taking a text for a formula.
func cell(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

func timeText(t mount.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
