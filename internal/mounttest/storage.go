// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

// Storage is what a mount stores on. Looking at it goes past the mount: nothing that is read here comes from its memory,
// and nothing that is planted here does the mount know of.
type Storage struct {
	*storagetest.Storage
	t     testing.TB
	clock *Clock
}

func newStorage(t testing.TB, clock *Clock) *Storage {
	return &Storage{Storage: storagetest.New(), t: t, clock: clock}
}

// All returns everything that is stored, by path.
func (s *Storage) All() map[string][]byte {
	s.t.Helper()
	all, err := s.Dump(context.Background())
	require.NoError(s.t, err)
	return all
}

// Plant stores an entry.
func (s *Storage) Plant(path string, value []byte) {
	s.t.Helper()
	require.NoError(s.t, s.Put(context.Background(), &logical.StorageEntry{Key: path, Value: value}))
}

// setFields sets fields of a stored record that are there.
func (s *Storage) setFields(path string, fields map[string]any) {
	s.t.Helper()
	record := map[string]any{}
	require.NoError(s.t, json.Unmarshal(s.All()[path], &record))
	for field, value := range fields {
		require.Contains(s.t, record, field)
		record[field] = value
	}
	data, err := json.Marshal(record)
	require.NoError(s.t, err)
	s.Plant(path, data)
}

// During runs do once, when the mount asks for an entry of which the path begins so.
func (s *Storage) During(path string, do func()) {
	done := false
	s.AlterGets(func(asked string, value []byte) []byte {
		if !done && strings.HasPrefix(asked, path) {
			done = true
			do()
		}
		return value
	})
}

// Store is the storage as a request of the plugin sees it.
func (s *Storage) Store() store.Handle {
	return store.New(s.clock.Now, hclog.NewNullLogger()).On(s.Storage, store.Caller{Actor: custody.Actor{System: true}})
}

// Key returns a key as it is stored.
func (s *Storage) Key(name string) lifecycle.Key {
	s.t.Helper()
	k, err := s.Store().Keys().Key(context.Background(), name)
	require.NoError(s.t, err)
	return k
}

// Sealed returns the sealed material in a stored entry; nil: none, or no entry.
func (s *Storage) Sealed(path string) []byte {
	s.t.Helper()
	var record struct{ Sealed []byte }
	if entry, ok := s.All()[path]; ok {
		require.NoError(s.t, json.Unmarshal(entry, &record))
	}
	return record.Sealed
}

// Unchecked reports whether the record of key k says that the active version has not passed its checks.
func (s *Storage) Unchecked() bool {
	s.t.Helper()
	var record struct {
		Unchecked *bool `json:"rotation_unchecked"`
	}
	require.NoError(s.t, json.Unmarshal(s.All()["keys/k"], &record))
	require.NotNil(s.t, record.Unchecked)
	return *record.Unchecked
}

// Journal returns the custody records of key k, the oldest first.
func (s *Storage) Journal() []custody.Record {
	s.t.Helper()
	return s.JournalOf("k")
}

// JournalOf returns the custody records of a key, the oldest first.
func (s *Storage) JournalOf(name string) (records []custody.Record) {
	s.t.Helper()
	for path, line := range s.All() {
		if strings.HasPrefix(path, "journal/"+name+"/") {
			record, err := custody.Decode(line)
			require.NoError(s.t, err)
			records = append(records, record)
		}
	}
	slices.SortFunc(records, func(a, b custody.Record) int { return a.Seq - b.Seq })
	return records
}

// JournalLine returns the n-th last custody record of key k as it is stored.
func (s *Storage) JournalLine(n int) string {
	s.t.Helper()
	var paths []string
	all := s.All()
	for path := range all {
		if strings.HasPrefix(path, "journal/k/") {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return string(all[paths[len(paths)-n]])
}

// LastAct is what custody keeps of the newest act on key k, which has ended.
func (s *Storage) LastAct() map[string]any {
	s.t.Helper()
	journal := s.Journal()
	require.NotEmpty(s.t, journal)
	record := map[string]any{}
	begin := s.All()[fmt.Sprintf("journal/k/%010d", journal[len(journal)-1].Seq-1)]
	require.NoError(s.t, json.Unmarshal(begin, &record))
	return record
}

// CutJournal removes those of the paths that are custody records.
func (s *Storage) CutJournal(paths ...string) {
	s.t.Helper()
	for _, path := range paths {
		if strings.HasPrefix(path, "journal/") {
			require.NoError(s.t, s.Delete(context.Background(), path))
		}
	}
}

// OutcomeOf is how the act ended whose first record has the number; "": it is open.
func OutcomeOf(journal []custody.Record, begin int) custody.Outcome {
	for _, end := range journal {
		if end.Kind == custody.End && end.Of == begin {
			return end.Outcome
		}
	}
	return ""
}
