// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// Chain is what the records of a key, a policy or the mount say of themselves.
type Chain struct {
	Name     string // of a key; "policy:" and its name; "mount:"
	Records  int
	Last     Time
	Problems []string // none: each record names the hash of the one before, and no number is missing
	Breaks   []string // that the chain says of itself: it was damaged before, and went on
}

// Chains are those of the mount, or as many as there was time for: Next is then not empty.
type Chains struct {
	Chains  []Chain
	Records int
	Broken  int
	Next    string
}

type exported struct {
	Records []string `json:"records"`
	Next    string   `json:"next_after"`
}

// linked is a record with what links it to the one before.
type linked struct {
	Record
	Key  string `json:"key"`
	Prev string `json:"prev"`
}

var beginning = strings.Repeat("0", 2*sha256.Size)

// Chains reads the export of custody, at most pages times a thousand records, and checks on this machine that each chain is
// whole: it takes the mount's word for nothing but what the newest record is. What was cut off at an end, a checkpoint shows.
func (m *Mount) Chains(ctx context.Context, pages int) Part[Chains] {
	w := walk{}
	for range pages {
		fields := Fields{"limit": {"1000"}}
		if w.Next != "" {
			fields["after"] = []string{w.Next}
		}
		page := exact[exported](ctx, m, "custody/export", fields)
		if page.Missing != nil {
			return Part[Chains]{Missing: page.Missing}
		}
		for _, text := range page.Value.Records {
			w.add(text)
		}
		if w.Next = page.Value.Next; w.Next == "" {
			break
		}
	}
	for _, chain := range w.Chains.Chains {
		if len(chain.Problems) > 0 {
			w.Broken++
		}
	}
	return Part[Chains]{Value: w.Chains}
}

// walk goes along chains, which the export has one after the other.
type walk struct {
	Chains
	hash string // of the record before
	seq  int
}

func (w *walk) add(text string) {
	w.Records++
	var r linked
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		w.chain("?").Problems = append(w.chain("?").Problems, "a record that is no JSON")
		return
	}
	chain := w.chain(Visible(r.Key))
	switch {
	case r.Seq != w.seq+1:
		chain.problem("record %d is behind record %d", r.Seq, w.seq)
	case r.Prev != w.hash:
		chain.problem("record %d does not name the hash of the one before", r.Seq)
	}
	if why := r.Details["custody_break"]; why != "" {
		chain.Breaks = append(chain.Breaks, fmt.Sprintf("record %d: %s", r.Seq, Visible(why)))
	}
	chain.Records++
	chain.Last = r.Time
	sum := sha256.Sum256([]byte(text))
	w.seq, w.hash = r.Seq, hex.EncodeToString(sum[:])
}

// chain is the one that goes on, or a new one.
func (w *walk) chain(name string) *Chain {
	if n := len(w.Chains.Chains); n > 0 && w.Chains.Chains[n-1].Name == name {
		return &w.Chains.Chains[n-1]
	}
	w.Chains.Chains = append(w.Chains.Chains, Chain{Name: name})
	w.seq, w.hash = 0, beginning
	return &w.Chains.Chains[len(w.Chains.Chains)-1]
}

const mostProblems = 5 // of a chain

func (c *Chain) problem(format string, args ...any) {
	if len(c.Problems) < mostProblems {
		c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
	}
}
