// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

func TestRandomBytesOfNewMaterialComeFromWhereTheSettingsSay(t *testing.T) {
	for source, want := range map[string]int{"os": 0, "hsm": 3, "mixed": 2} {
		run(t, func(t *testing.T, w *world) {
			w.configure("random_source", source)
			draws := func() int { return w.library.Calls(faketoken.GenerateRandom) }
			w.Must(w.Write("keys/first"))
			before := draws()
			w.Must(w.Write("keys/k"))
			require.Equal(t, before+want, draws(), "%s: for the material, the data key and its nonce", source)
			before = draws()
			require.Equal(t, "x", w.Decrypt("k", w.Encrypt("k", "x")))
			require.Equal(t, before, draws(), "the nonces of data are the operating system's")
		})
	}
}

func TestATokenWithoutRandomBytesIsRequiredOrReplaced(t *testing.T) {
	for policy, want := range map[string]int{"require": http.StatusServiceUnavailable, "prefer": http.StatusOK} {
		run(t, func(t *testing.T, w *world) {
			w.configure("random_source", "mixed", "random_policy", policy)
			w.Must(w.Write("policies/p", "owner", "o", "rotation_period", "24h", "rotation_jitter", "0s"))
			w.Must(w.Write("keys/governed", "policy", "p"))
			require.EqualValues(t, 0, w.status()["random_fallbacks"])
			w.library.Fail(faketoken.GenerateRandom, cryptoki.ErrDeviceError, 1000)
			require.Equal(t, want, w.Write("keys/k").Status, policy)
			require.Equal(t, policy == "prefer", w.status()["random_fallbacks"].(int64) > 0)
			w.Must(w.Read("config/hsm"))
			w.library.Heal()
			time.Sleep(2 * time.Second)
			w.Must(w.Write("keys/k"))
			require.Equal(t, policy == "prefer", w.status()["random_fallbacks"].(int64) > 0, "the count outlives a change")
		})
	}
}

func TestRotationsAreDeferredWhereTheTokenGivesNoRandomBytes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure("random_source", "hsm")
		w.Must(w.Write("policies/p", "owner", "o", "rotation_period", "24h", "rotation_jitter", "0s"))
		w.Must(w.Write("keys/k", "policy", "p"))
		w.library.Fail(faketoken.GenerateRandom, cryptoki.ErrDeviceError, 1_000_000)
		w.hours(25)
		require.Equal(t, 1, w.Latest("k"))
		require.Zero(t, w.Storage.Key("k").Rotation.Failures)
		w.library.Heal()
		time.Sleep(2 * time.Second)
		w.Advance(time.Hour)
		require.Equal(t, 2, w.Latest("k"))
	})
}

func TestATestOfTheTokenDrawsRandomBytes(t *testing.T) {
	constant := func(p []byte) { clear(p) }
	runWith(t, faketoken.Config{Random: constant}, func(t *testing.T, w *world) {
		for _, path := range []string{"config/hsm/test", "config/hsm"} {
			got := w.Write(path, settings("random_source", "hsm")...)
			require.Equal(t, http.StatusServiceUnavailable, got.Status, path)
			require.Contains(t, got.Err, "generator is broken")
		}
		require.Equal(t, http.StatusNotFound, w.Read("config/hsm").Status)
		w.Must(w.Write("config/hsm/test", settings()...))
	})
}
