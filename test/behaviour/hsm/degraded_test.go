// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

// sealed makes key k on a mount whose token is configured, and returns a ciphertext.
func (w *world) sealed(kv ...any) string {
	w.T.Helper()
	w.configure(kv...)
	w.Must(w.Write("keys/k"))
	return w.Encrypt("k", "x")
}

// pass lets time go by, for the keys and for the token, without a tick.
func (w *world) pass(d time.Duration) {
	w.Clock.Add(d)
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) decrypts(ciphertext string) int {
	return w.Write("decrypt/k", "ciphertext", ciphertext).Status
}

func TestMaterialIsUsedFromMemoryForCacheTTL(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ciphertext := w.sealed("cache_ttl", "10m", "health_interval", "1h")
		calls := func() int { return w.library.Calls(faketoken.Decrypt) }
		before := calls()
		w.pass(9 * time.Minute)
		w.Decrypt("k", ciphertext)
		require.Equal(t, before, calls())
		w.pass(2 * time.Minute)
		w.Decrypt("k", ciphertext)
		require.Equal(t, before+1, calls())
		w.Decrypt("k", ciphertext)
		require.Equal(t, before+1, calls())

		w.Must(w.Write("config/hsm", "cache_ttl", 0))
		before = calls()
		w.Decrypt("k", ciphertext)
		require.Greater(t, calls(), before, "a change holds at once")
		before = calls()
		for range 3 {
			w.Decrypt("k", ciphertext)
		}
		require.Equal(t, before+3, calls())
	})
}

func TestAChangeOfCacheTTLHoldsOnEveryNode(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ciphertext := w.sealed("cache_ttl", "24h")
		node := w.mount(t, w.Options.Tokens)
		node.Storage = w.Storage
		node.Restart()
		node.Decrypt("k", ciphertext)
		w.Must(w.Write("config/hsm", "cache_ttl", "1s"))
		node.InvalidateKey(context.Background(), "config/hsm")
		node.Clock.Add(2 * time.Second)
		before := w.library.Calls(faketoken.Decrypt)
		node.Decrypt("k", ciphertext)
		require.Greater(t, w.library.Calls(faketoken.Decrypt), before)
	})
}

func TestATokenThatIsAwayFailsClosedOrServesWhatIsInMemory(t *testing.T) {
	for _, mode := range []string{"fail_closed", "serve_cached"} {
		run(t, func(t *testing.T, w *world) {
			ciphertext := w.sealed("cache_ttl", "5m", "degraded_mode", mode, "degraded_max_age", "30m")
			w.Must(w.Write("keys/cold"))
			cold := w.Encrypt("cold", "y")
			w.device.Unplug()
			require.Equal(t, http.StatusOK, w.decrypts(ciphertext), "in time")
			w.pass(6 * time.Minute)
			want := map[string]int{"fail_closed": http.StatusServiceUnavailable, "serve_cached": http.StatusOK}[mode]
			begin := time.Now()
			for range 10 {
				require.Equal(t, want, w.decrypts(ciphertext), mode)
			}
			require.Zero(t, time.Since(begin), "nobody waits")
			require.NoError(t, w.Tick())
			require.Equal(t, want, w.decrypts(ciphertext), "the tick leaves what may be used")
			status := w.status()
			require.Equal(t, "unavailable", status["state"])
			require.Equal(t, mode == "serve_cached", status["degraded_since"] != "")
			require.Equal(t, map[string]int64{"fail_closed": 0, "serve_cached": 11}[mode], status["served_cached"])
			require.Equal(t, http.StatusServiceUnavailable, w.Write("keys/new").Status, "a new key needs the token")

			w.pass(25 * time.Minute)
			require.Equal(t, http.StatusServiceUnavailable, w.decrypts(ciphertext), "degraded_max_age is over")

			w.device.Return()
			w.pass(2 * time.Second)
			require.Equal(t, "x", w.Decrypt("k", ciphertext))
			require.Equal(t, "y", w.Decrypt("cold", cold))
			require.Empty(t, w.status()["degraded_since"])
			require.Equal(t, "healthy", w.status()["state"])
		})
	}
}

func TestAnIdleMountIsHealthyTwoSecondsAfterItsTokenIsBack(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		ciphertext := w.sealed("cache_ttl", 0)
		for _, leave := range []func(*faketoken.Device){(*faketoken.Device).Vanish, (*faketoken.Device).Unplug} {
			leave(w.device)
			w.pass(time.Hour)
			require.Equal(t, "unavailable", w.status()["state"])
			w.device.Return()
			w.pass(2 * time.Second)
			require.Equal(t, "healthy", w.status()["state"])
			require.Equal(t, "x", w.Decrypt("k", ciphertext))
		}
	})
}

func TestSettingsOfTheCacheAreReadBackAndInCustody(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		was := w.configure()
		require.Equal(t, []any{300, "fail_closed", 3600, 30, "os", "require"}, []any{
			was["cache_ttl"], was["degraded_mode"], was["degraded_max_age"], was["health_interval"], was["random_source"], was["random_policy"],
		})
		w.Must(w.Write("config/hsm", "cache_ttl", "1h", "degraded_mode", "serve_cached", "degraded_max_age", "1d", "health_interval", "10s", "random_source", "mixed", "random_policy", "prefer"))
		now := w.Must(w.Read("config/hsm")).Data
		require.Equal(t, []any{3600, "serve_cached", 86400, 10, "mixed", "prefer"}, []any{
			now["cache_ttl"], now["degraded_mode"], now["degraded_max_age"], now["health_interval"], now["random_source"], now["random_policy"],
		})
		history := w.history()
		for _, part := range []string{"5m -\\u003e 1h", "fail_closed -\\u003e serve_cached", "1h -\\u003e 1d", "30s -\\u003e 10s", "os -\\u003e mixed", "require -\\u003e prefer"} {
			require.Contains(t, history, part)
		}
	})
}

func (w *world) history() string {
	w.T.Helper()
	text, err := json.Marshal(w.Must(w.Read("config/history")).Data)
	require.NoError(w.T, err)
	return string(text)
}

func TestMaterialThatTheSweepWrappedIsUsedFromMemoryForCacheTTLToo(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.Must(w.Write("keys/k"))
		ciphertext := w.Encrypt("k", "x")
		w.configure("cache_ttl", "10m")
		w.sweep()
		w.pass(11 * time.Minute)
		w.device.Vanish()
		require.Equal(t, http.StatusServiceUnavailable, w.decrypts(ciphertext), "software wrapped it when it was loaded")
	})
}
