// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Attacks by time: by who waits too briefly, and by a clock that is wrong.
func TestGovernanceGoesByTheClockThatItCanTrust(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Clock: true, Mounts: map[string]string{"keylife": harness.PluginName}})
	b := openBureau(t, s)
	retire := b.retirable("cards")
	b.must("root", http.MethodPost, "config/approvals", object("approver_wait", "24h"))

	b.appoint("mallory")
	early := b.ask("alice", http.MethodPost, retire, because)
	b.noVote(early, "mallory", "has enrolled less than approver_wait ago")
	b.approve(early, "bob", "carol")
	require.Equal(t, "approved", b.state(early))
	s.Advance(t, 25*time.Hour)
	require.Equal(t, "expired", b.state(early), "it was to be executed within 24 hours")
	b.noVote(early, "mallory", "is expired")

	again := b.ask("alice", http.MethodPost, retire, because)
	require.Equal(t, early, again, "the same content")
	require.Equal(t, 2, number(b.approval(again)["round"]))
	require.Equal(t, 0, number(b.approval(again)["given"]), "votes are of a round")
	b.approve(again, "mallory", "bob")
	require.Equal(t, "approved", b.state(again))
	b.must("root", http.MethodPost, "config/clock", object("acknowledge", true, "reason", ticket))
	require.Equal(t, "void", b.state(again), "the clock was said to be right since: dates of before do not count")

	third := b.ask("alice", http.MethodPost, retire, because)
	b.approve(third, "bob", "carol")
	b.govern("coins", map[string]string{"rotate": b.of(2)})
	rotation := b.ask("alice", http.MethodPost, "keys/coins/rotate", because)
	b.approve(rotation, "bob", "carol")
	s.Advance(t, -time.Hour)
	b.refused(http.StatusBadRequest, "the clock is behind", "alice", http.MethodPost, retire, because)
	b.refused(http.StatusBadRequest, "is not carried out while the clock cannot be trusted", "alice", http.MethodPost, "keys/coins/rotate", because)
	require.Equal(t, "archived", b.versionState("cards", 1))
	s.Advance(t, time.Hour)
	b.must("alice", http.MethodPost, retire, because)
	b.must("alice", http.MethodPost, "keys/coins/rotate", because)
}
