// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

const censusPath = "config/census"

// censusRecord is config/census: how many keys and versions there are, for the next process to begin with. It is a cache of the key
// records.
type censusRecord struct {
	Schema      int                 `json:"schema"`
	At          time.Time           `json:"at"` // the end of the last whole round
	Saved       time.Time           `json:"saved"`
	Keys        []censusKeysJSON    `json:"keys"`
	Versions    map[string]int      `json:"versions"`    // by state
	Drifting    map[string]int      `json:"drifting"`    // by policy
	Destruction []censusPlannedJSON `json:"destruction"` // the keys of which something is destroyed first
	Beyond      time.Time           `json:"beyond"`      // others may be from then on; year 1: none is
}

type censusKeysJSON struct {
	Type  string `json:"type"`
	State string `json:"state"`
	Count int    `json:"n"`
}

type censusPlannedJSON struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

// Census returns the census as it was stored last; zero: it never was, or what is stored cannot be read and is of no use.
func (r Settings) Census(ctx context.Context) (s census.Snapshot, err error) {
	entry, err := r.get(ctx, censusPath)
	if err != nil || entry == nil {
		return s, storageError("get", censusPath, err)
	}
	var rec censusRecord
	if _, err := decode(censusPath, entry.Value, &rec); err != nil {
		r.dropped("the stored census is left out: it cannot be read", err)
		return s, nil
	}
	s = census.Snapshot{
		At: rec.At, Saved: rec.Saved, Keys: map[observe.TypeState]int{}, Versions: map[lifecycle.State]int{},
		Drifting: rec.Drifting, Beyond: rec.Beyond,
	}
	for _, k := range rec.Keys {
		s.Keys[observe.TypeState{Type: k.Type, State: k.State}] = k.Count
	}
	for name, n := range rec.Versions {
		s.Versions[lifecycle.ParseState(name)] = n
	}
	for _, p := range rec.Destruction {
		s.Soonest = append(s.Soonest, census.Planned(p))
	}
	return s, nil
}

// SaveCensus stores a census. Only a tick does, and one at a time.
func (r Settings) SaveCensus(ctx context.Context, s census.Snapshot) error {
	rec := censusRecord{
		Schema: schema, At: s.At, Saved: s.Saved, Keys: []censusKeysJSON{}, Versions: map[string]int{}, Drifting: s.Drifting,
		Destruction: []censusPlannedJSON{}, Beyond: s.Beyond,
	}
	for kind, n := range s.Keys {
		rec.Keys = append(rec.Keys, censusKeysJSON{kind.Type, kind.State, n})
	}
	slices.SortFunc(rec.Keys, func(a, b censusKeysJSON) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.State, b.State))
	})
	for state, n := range s.Versions {
		rec.Versions[state.String()] = n
	}
	for _, p := range s.Soonest {
		rec.Destruction = append(rec.Destruction, censusPlannedJSON(p))
	}
	return r.put(ctx, censusPath, rec, nil)
}
