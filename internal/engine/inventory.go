// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file shows how many keys stand. It reads a record for each key that is not in memory, drives none out of it, and writes
// nothing.

// InventoryQuery asks for some of the keys. What is zero excludes none.
type InventoryQuery struct {
	Page          // Limit is how many keys the answer has at most
	Scan   int    // how many are looked at at most
	Prefix string // of the names

	Policy string
	State  *lifecycle.KeyState
	Status lifecycle.Status // of the rotation
	Type   keytype.Type     // of the active version
	Owner  string
	Label  string // a name, or name=value
}

// Inventory is a page of the keys.
type Inventory struct {
	Keys    []InventoryKey
	Scanned int    // keys looked at
	Next    string // the key that the next page begins behind; empty: this is the last one
}

// InventoryKey is how one key stands.
type InventoryKey struct {
	View       // without dates
	Name       string
	States     map[lifecycle.State]int // how many versions are in which
	Next       *lifecycle.Forecasted   // nil: the clock will do nothing to it
	Drift      []policy.Finding        // that its record tells
	Unreadable error                   // why only the name is known; nil: all is
}

// Inventory returns a page of the keys whose names a list has, which is in alphabetical order. A key that cannot be read has a
// row that says so, whatever is asked for.
func (s Keys) Inventory(ctx context.Context, names []string, q InventoryQuery) (page Inventory, err error) {
	names, more := q.of(names)
	wrapped := s.protection()
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return Inventory{}, err
		}
		if len(page.Keys) == q.Limit {
			more = true
			break
		}
		page.Scanned++
		page.Next = name
		k, err := s.data.KeyOfMany(ctx, name)
		switch {
		case errors.Is(err, refusal.ErrNotFound): // it has gone since it was listed
		case err != nil:
			page.Keys = append(page.Keys, InventoryKey{Name: name, Unreadable: err})
		case q.wants(k):
			if row := s.inventoryKey(ctx, k, wrapped); q.wantsStatus(row) {
				page.Keys = append(page.Keys, row)
			}
		}
	}
	if !more {
		page.Next = ""
	}
	return page, ctx.Err()
}

// of returns the names that a page looks at; more: others follow.
func (q InventoryQuery) of(names []string) (page []string, more bool) {
	names = namesAfter(names, q.After)
	first, _ := slices.BinarySearch(names, q.Prefix)
	for _, name := range names[first:] {
		switch {
		case !strings.HasPrefix(name, q.Prefix):
			return page, false
		case strings.HasSuffix(name, "/"): // a folder of storage, and no name
		case len(page) == q.Scan:
			return page, true
		default:
			page = append(page, name)
		}
	}
	return page, false
}

// wants reports whether a key is asked for, as far as its record tells.
func (q InventoryQuery) wants(k *lifecycle.Key) bool {
	return (q.Policy == "" || k.Policy == q.Policy) &&
		(q.State == nil || k.Status.State == *q.State) &&
		(q.Type == "" || lifecycle.TypesOf(k).Active() == q.Type) &&
		(q.Owner == "" || k.Owner == q.Owner) &&
		(q.Label == "" || q.wantsLabel(k.Labels))
}

func (q InventoryQuery) wantsLabel(labels map[string]string) bool {
	name, value, valued := strings.Cut(q.Label, "=")
	label, labelled := labels[name]
	return labelled && (!valued || label == value)
}

// wantsStatus reports whether a key stands as is asked for. One whose plan cannot be told is not passed over.
func (q InventoryQuery) wantsStatus(k InventoryKey) bool {
	return q.Status == "" || k.Unreadable != nil || k.Plan.Status == q.Status || k.Plan.Alerts().Has(q.Status)
}

func (s Keys) inventoryKey(ctx context.Context, k *lifecycle.Key, wrapped *protection) InventoryKey {
	row := InventoryKey{Name: k.Name, View: s.summary(ctx, k)}
	if row.Fault != nil && !dataplane.SaysNothing(row.Fault) {
		row.Unreadable = row.Fault
		return row
	}
	now := s.Now()
	row.States = lifecycle.CountStates(k)
	row.Drift = lifecycle.Drift(*k, row.Policy, now)
	row.Protection = wrapped.level(ctx, k)
	if next := lifecycle.Forecast(*k, row.Policy, lifecycle.RecordedDates(*k), now, 1); len(next) > 0 {
		row.Next = &next[0]
	}
	return row
}

// level tells where a key is without reading its versions; empty: it is destroyed, or its versions would have to tell. It asks
// once for a page whether material is being wrapped anew, where an HSM keeps any key encryption key.
func (p *protection) level(ctx context.Context, k *lifecycle.Key) lifecycle.Protection {
	switch {
	case k.Status.IsDestroyed():
		return ""
	case k.Protection == lifecycle.Resident:
		return lifecycle.Resident
	}
	return p.wrappedBy(ctx, purposeOf(k))
}

// purposeOf is that of what wraps the version of a key that is used, or the last one.
func purposeOf(k *lifecycle.Key) string {
	if lifecycle.LocationOf(*k, cmp.Or(k.Primary, k.Latest)) == lifecycle.InArchive {
		return envelope.PurposeArchive
	}
	return envelope.PurposeOnline
}

// wrappedBy tells it of what is wrapped for a purpose.
func (p *protection) wrappedBy(ctx context.Context, purpose string) lifecycle.Protection {
	one, _, err := p.data.Wrappers.Wrapper(ctx, purpose, false)
	if w, ok := one.(levels); err != nil || !ok {
		return ""
	} else if !w.AnyHardware() {
		return lifecycle.Software
	}
	if p.of == nil {
		if p.of, err = p.wrappers(ctx); err != nil {
			return ""
		}
	}
	switch by, known := p.of[purpose]; {
	case !known || by.wrapper != nil:
		return ""
	case by.active:
		return lifecycle.HSMWrapped
	default:
		return lifecycle.Software
	}
}
