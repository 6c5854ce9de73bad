// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package upgrade_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestWhatAnEarlierBuildProtectedIsWhatItWas(t *testing.T) {
	t.Parallel()
	eachBuild(t, func(t *testing.T, m opened) {
		m.requireProofs()
		for _, key := range m.keys() {
			require.Equal(t, m.was.States[key], m.StatesOf(key), key)
		}
	})
}

// TestCustodyOfAnEarlierBuildVerifies also holds the export against the checkpoints that the build signed.
func TestCustodyOfAnEarlierBuildVerifies(t *testing.T) {
	t.Parallel()
	eachBuild(t, func(t *testing.T, m opened) {
		require.NotEmpty(t, m.was.Signed)
		m.requireCustody()
		require.NoError(t, m.Tick())
		m.requireCustody()
	})
}

// TestReadingAnEarlierBuildWritesNothing reads all that a mount shows.
func TestReadingAnEarlierBuildWritesNothing(t *testing.T) {
	t.Parallel()
	eachBuild(t, func(t *testing.T, m opened) {
		m.Storage.Reset()
		for _, path := range []string{"config/keys", "config/engine", "config/clock", "cache-config", "config/approvals", "rotation/status", "inventory", "calendar", "health", "metrics", "access-review"} {
			m.Must(m.Read(path))
		}
		for _, path := range []string{"keys", "policies", "approvals", "approvers", "reviews"} {
			m.List(path) // 404 where there is none
		}
		for _, key := range m.keys() {
			for _, of := range []string{"", "/rotation", "/plan", "/history", "/compromise-report"} {
				m.Must(m.Read("keys/" + key + of))
			}
		}
		require.Zero(t, m.Storage.Reset().Writes())
	})
}

// TestKeysOfAnEarlierBuildGoOn acts on each key as its state allows.
func TestKeysOfAnEarlierBuildGoOn(t *testing.T) {
	t.Parallel()
	eachBuild(t, func(t *testing.T, m opened) {
		require.NoError(t, m.Tick())
		for _, key := range m.keys() {
			m.goOn(key)
		}
		require.NoError(t, m.Tick())
		m.requireProofs()
		m.requireCustody()
		mounttest.RequireIndexed(t, m.Storage.All())
	})
}

// goOn changes the owner of a key, and rotates it where its state allows.
func (m opened) goOn(key string) {
	m.T.Helper()
	was := m.Must(m.Read("keys/" + key)).Data
	m.Must(m.Write("keys/"+key+"/config", "owner", "somebody-else", "reason", reason))
	if key == "staged" {
		m.Must(m.Write("keys/staged/versions/4/promote", "reason", reason))
	}
	rotated := m.Write("keys/"+key+"/rotate", "reason", reason)
	if was["state"] != "enabled" || key == "public-half" {
		require.GreaterOrEqual(m.T, rotated.Status, http.StatusBadRequest, key)
		return
	}
	require.Equal(m.T, http.StatusOK, rotated.Status, "%s: %s", key, rotated.Err)
	require.Equal(m.T, was["latest_version"].(int)+1, rotated.Data["latest_version"])
}

// TestTheClockGoesOnWithWhatAnEarlierBuildBegan lives a month with the keys of the build. Which proofs hold then is the clock's
// business: those of keys without a policy do.
func TestTheClockGoesOnWithWhatAnEarlierBuildBegan(t *testing.T) {
	t.Parallel()
	eachBuild(t, func(t *testing.T, m opened) {
		before := m.Latest("clockwork")
		m.Leap(31 * 24 * time.Hour)
		require.Greater(t, m.Latest("clockwork"), before+10)
		require.Contains(t, m.StatesOf("clockwork"), "destroyed")
		require.NotContains(t, m.Log.String(), "[ERROR]", m.Log.String())
		for _, p := range m.was.Proofs {
			if _, key, _ := strings.Cut(p.Path, "/"); m.Must(m.Read("keys/" + key)).Data["policy"] == "" {
				m.requireProof(p)
			}
		}
		m.requireCustody()
		mounttest.RequireIndexed(t, m.Storage.All())
		for path := range m.Storage.All() {
			require.NotRegexp(t, "^intents/", path, "what was begun has ended")
		}
	})
}

// TestConsentThatWasAskedOfAnEarlierBuildIsGivenToThisOne has the last vote, the act and the review done by the engine as it is.
func TestConsentThatWasAskedOfAnEarlierBuildIsGivenToThisOne(t *testing.T) {
	t.Parallel()
	asked := 0
	eachBuildInTurn(t, func(t *testing.T, m opened) {
		if slices.Contains(m.was.Refused, "config/approvals: 404") {
			return // it knew of no consent
		}
		asked++
		id := ""
		for _, one := range m.Must(m.List("approvals")).Data["keys"].([]string) {
			if m.Must(m.Read("approvals/" + one)).Data["state"] == "pending" {
				id = one
			}
		}
		m.Must(m.as("carol", "approvals/"+id+"/approve"))
		m.Must(m.as("alice", "keys/governed/versions/1/retire", "reason", "CHG-4711: made for a fixture, long enough for any rule"))
		require.Equal(t, "retired", m.StatesOf("governed")[0])
		review := m.Must(m.List("reviews")).Data["keys"].([]string)[0]
		m.Must(m.as("bob", "reviews/"+review+"/close", "verdict", "justified", "reason", reason))
		m.requireCustody()
	})
	require.Positive(t, asked)
}
