// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// A key whose rotation has stalled is named by the alert; on the same mount, the panels of the dashboard show something.
func TestPrometheusTellsOfAStalledKey(t *testing.T) {
	t.Parallel()
	s := clocked(t)
	w := startWatch(t, s, "keylife")
	s.Must(t, http.MethodPost, "keylife/policies/p", object("owner", "security", "rotation_period", "1d", "rotation_jitter", "0s",
		"rotation_retry_base", "1s", "rotation_retry_max", "10s", "rotation_retry_cycles", 2))
	s.Must(t, http.MethodPost, "keylife/keys/orders", object("policy", "p"))
	s.Must(t, http.MethodPost, "keylife/encrypt/orders", object("plaintext", hello))
	s.Must(t, http.MethodPost, "keylife/custody/checkpoint", nil)
	s.Must(t, http.MethodPost, "keylife/policies/p", object("hsm", "required"))
	s.Advance(t, 25*time.Hour)
	tickUntil(t, s, "keylife", "stalled", 1)
	require.Contains(t, w.fires(t, "KeylifeRotationStalled", "keylife"), "1 in all: orders")
	w.requirePanels(t)
	s.Must(t, http.MethodPost, "keylife/policies/p", object("hsm", "optional"))
	tickUntil(t, s, "keylife", "stalled", 0)
	w.ends(t, "KeylifeRotationStalled", "keylife")
}

// tickUntil has ticks come until so many keys of a mount have a status.
func tickUntil(t *testing.T, s *harness.Server, mount, status string, keys int) {
	t.Helper()
	harness.Eventually(t, alertAfter, func() error {
		s.Tick(t, mount)
		if found := s.Must(t, http.MethodGet, mount+"/rotation/status", nil); number(found[status]) != keys {
			return fmt.Errorf("want %d %s: %v", keys, status, found)
		}
		return nil
	})
}

// What was altered in storage is told, be it a chain of custody or material, until it is as it was.
func TestPrometheusTellsOfWhatWasAlteredInStorage(t *testing.T) {
	t.Parallel()
	s := clocked(t)
	w := startWatch(t, s, "keylife")
	s.Must(t, http.MethodPost, "keylife/keys/orders", nil)
	s.Must(t, http.MethodPost, "keylife/keys/orders/rotate", object("reason", lifeReason))

	restore := alter(t, s, "journal/orders/", `"outcome":"done"`, `"outcome":"lost"`)
	s.Must(t, http.MethodPost, "keylife/custody/verify", nil)
	require.Contains(t, w.fires(t, "KeylifeCustodyBroken", "keylife"), "1.")
	restore()
	s.Must(t, http.MethodPost, "keylife/custody/verify", nil)
	w.ends(t, "KeylifeCustodyBroken", "keylife")

	restore = alter(t, s, "versions/orders/", `"fingerprint":"`, `"fingerprint":"AAAA`)
	nextRound(t, s)
	require.Contains(t, w.fires(t, "KeylifeIntegrityFailed", "keylife"), "fingerprint says: 1.")
	restore()
	nextRound(t, s)
	harness.Eventually(t, alertAfter, func() error {
		if said := w.fires(t, "KeylifeIntegrityFailed", "keylife"); !strings.Contains(said, "in 15 minutes: 1.") {
			return fmt.Errorf("it says: %s", said)
		}
		return nil
	})
}

// nextRound has a tick come that begins, and ends, a round of the scrub.
func nextRound(t *testing.T, s *harness.Server) {
	t.Helper()
	s.Advance(t, 61*time.Minute)
	s.Tick(t, "keylife")
}

// alter replaces a text in the last entry under a prefix of the mount's storage, and returns what brings the old one back.
func alter(t *testing.T, s *harness.Server, prefix, from, to string) (restore func()) {
	t.Helper()
	entry := prefix + slices.Max(s.StoredKeys(t, "keylife", prefix))
	kept := s.Stored(t, "keylife", entry)
	require.Contains(t, string(kept), from)
	s.Store(t, "keylife", entry, []byte(strings.Replace(string(kept), from, to, 1)))
	return func() { s.Store(t, "keylife", entry, kept) }
}

// quiet are the panels that show nothing where there is no HSM, ticks keep up, no destruction is planned and nothing waits for people.
var quiet = []string{
	"Oldest key due",
	"Time until the next destruction",
	"HSM answers",
	"Oldest pending request",
	"Approvers",
	"Oldest review, past its date",
}

// requirePanels waits until all queries of the dashboard return data but those of panels that are quiet, which return none.
func (w watch) requirePanels(t *testing.T) {
	t.Helper()
	panels := panelsOf(t)
	harness.Eventually(t, alertAfter, func() error {
		var empty []string
		for _, p := range panels {
			if slices.ContainsFunc(p.Targets, func(q panelQuery) bool { return len(w.Query(t, q.Expr)) == 0 }) {
				empty = append(empty, p.Title)
			}
		}
		if !slices.Equal(quiet, empty) {
			return fmt.Errorf("panels with a query that returns nothing:\n%q\nthey should be:\n%q", empty, quiet)
		}
		return nil
	})
}

type (
	panel struct {
		Title   string
		Targets []panelQuery
	}
	panelQuery struct{ Expr string }
)

// panelsOf are the panels of the dashboard, with values for Grafana's variables.
func panelsOf(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile(observability + "grafana/keylife.json")
	require.NoError(t, err)
	var dashboard struct{ Panels []panel }
	text = []byte(strings.NewReplacer("$mount", ".*", "$__rate_interval", "1m").Replace(string(text)))
	require.NoError(t, json.Unmarshal(text, &dashboard))
	require.NotEmpty(t, dashboard.Panels)
	return dashboard.Panels
}
