// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mounttest

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// What has to hold of a mount whatever failed before.

// RequireNothingOpen holds a few ticks after a failure: every act that began has ended, and custody says how.
func RequireNothingOpen(t testing.TB, m *Mount) {
	t.Helper()
	for path := range m.Storage.All() {
		require.NotRegexp(t, "^intents/", path, "every act that began has ended")
	}
	RequireTrueCustody(t, m)
	RequireCustodyWhole(t, m)
}

// RequireCustodyWhole demands that the mount finds its chains of custody unbroken, and every act in them ended.
func RequireCustodyWhole(t testing.TB, m *Mount) {
	t.Helper()
	verified := m.Must(m.Write("custody/verify")).Data
	require.Equal(t, true, verified["valid"], "%v", verified["problems"])
	require.Empty(t, verified["unfinished"])
}

// RequireTrueCustody holds custody to the record of key k: the act that wrote it has not failed, nor has one that
// deleted it.
func RequireTrueCustody(t testing.TB, m *Mount) {
	t.Helper()
	var record struct {
		Count int `json:"journal_count"`
	}
	journal := m.Storage.Journal()
	if data, ok := m.Storage.All()["keys/k"]; ok {
		require.NoError(t, json.Unmarshal(data, &record))
		require.NotEqual(t, custody.Failed, OutcomeOf(journal, record.Count), "act %d is in force", record.Count)
		return
	}
	for _, begin := range slices.Backward(journal) {
		makes := begin.Act == "create" || begin.Act == "import" || begin.Act == "restore-backup"
		if begin.Kind == custody.Begin && !makes { // what makes a key may have failed since
			require.NotEqual(t, custody.Failed, OutcomeOf(journal, begin.Seq), "act %d (%s) is in force", begin.Seq, begin.Act)
			return
		}
	}
}

// RequireIndexed compares the indexes with the key records: every key is listed under its due minute and its policy.
func RequireIndexed(t testing.TB, all map[string][]byte) {
	t.Helper()
	for path, data := range all {
		name, ok := strings.CutPrefix(path, "keys/")
		if !ok {
			continue
		}
		var record struct {
			Due    time.Time `json:"due"`
			Policy string    `json:"policy"`
		}
		require.NoError(t, json.Unmarshal(data, &record))
		if !record.Due.IsZero() {
			require.Contains(t, all, "schedule/"+record.Due.Format("20060102T1504")+"/"+name)
		}
		if record.Policy != "" {
			require.Contains(t, all, "bound/"+record.Policy+"/"+name)
		}
	}
}

// RequireNothingLeft holds after the only key of a mount was deleted.
func RequireNothingLeft(t *testing.T, m *Mount) {
	t.Helper()
	for path := range m.Storage.All() {
		require.Regexp(t, "^config/|^journal/|^access/", path, "a deleted key leaves nothing in storage but its history, and who used it")
	}
}
