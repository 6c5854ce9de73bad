// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// A real Prometheus tells of a token that is away, of a clock that leapt and of a mount that is lost, and when it is right again.
func TestPrometheusTellsOfTheTokenTheClockAndALostMount(t *testing.T) {
	t.Parallel()
	s := withToken(t, hsmtest.SoftHSMElsewhere(t), true)
	s.Mount(t, "sealed", harness.PluginName)
	s.Mount(t, "lost", harness.PluginName)
	s.configure(t, "sealed", "cache_ttl", "0s")
	w := startWatch(t, s.Server, "keylife", "sealed", "lost")
	require.Empty(t, w.of(t, "KeylifeHSMDown", "sealed"))

	s.token.TakeAway(t)
	s.Tick(t, "sealed")
	w.fires(t, "KeylifeHSMDown", "sealed")
	require.Empty(t, w.of(t, "KeylifeHSMDown", "keylife"), "it has no HSM")
	require.Contains(t, w.fires(t, "KeylifeUnhealthy", "sealed"), "check hsm")
	s.token.GiveBack(t)
	s.Tick(t, "sealed")
	w.ends(t, "KeylifeHSMDown", "sealed")
	w.ends(t, "KeylifeUnhealthy", "sealed")

	s.Tick(t, "keylife") // what leaps has been looked at before
	s.Advance(t, 25*time.Hour)
	s.Tick(t, "keylife")
	w.fires(t, "KeylifeClockFrozen", "keylife")
	s.Must(t, http.MethodPost, "keylife/config/clock", object("acknowledge", true, "reason", ticket))
	s.Tick(t, "keylife")
	w.ends(t, "KeylifeClockFrozen", "keylife")

	s.Unmount(t, "lost")
	w.fires(t, "KeylifeAbsent", "lost")
	require.Empty(t, w.of(t, "KeylifeAbsent", "keylife"))
}
