// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// sweep runs ticks until nothing is left to be wrapped anew.
func (w *world) sweep() {
	w.T.Helper()
	for range 20 {
		w.Advance(2 * time.Minute)
		open := false
		for path := range w.Storage.All() {
			open = open || strings.HasPrefix(path, "intents/rewrap/")
		}
		if !open {
			return
		}
	}
	w.T.Fatal("material is still being wrapped anew")
}

func TestAMountMovesToAnHSMAndBack(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.Must(w.Write("policies/p", "owner", "o"))
		w.Must(w.Write("keys/k", "policy", "p"))
		texts := []string{w.Encrypt("k", "one")}
		w.Must(w.Write("keys/k/rotate", "reason", "because of a test"))
		texts = append(texts, w.Encrypt("k", "two"))
		check := func() {
			t.Helper()
			w.Restart()
			require.Equal(t, "one", w.Decrypt("k", texts[0]))
			require.Equal(t, "two", w.Decrypt("k", texts[1]))
		}
		w.configure("kek_min_age", "0s")
		require.NotEmpty(t, w.drift())
		w.sweep()
		require.Empty(t, w.drift())
		check()
		first := w.active(envelope.PurposeOnline)
		w.Refused(w.Write("hsm/keks/"+first+"/retire"), "active")
		w.Must(w.Write("hsm/keks/rotate"))
		w.Refused(w.Write("hsm/keks/" + first + "/retire"))
		w.sweep()
		require.NotEqual(t, first, w.active(envelope.PurposeOnline))
		w.Must(w.Write("hsm/keks/" + first + "/retire"))
		check()
		second := w.active(envelope.PurposeOnline)
		w.Must(w.Write("config/hsm", "enabled", false))
		w.sweep()
		w.Must(w.Write("hsm/keks/" + second + "/retire"))
		check()
		require.NotEmpty(t, w.drift())
	})
}

// drift is what a policy that demands an HSM would find in key k.
func (w *world) drift() any {
	w.T.Helper()
	_, keys := mounttest.PlanPolicy(w.Mount, "hsm", "required")
	return keys["k"]["becomes_non_compliant"]
}

func TestTheStatusSaysHowFarTheSweepIs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for _, name := range []string{"keys/a", "keys/b"} {
			w.Must(w.Write(name))
		}
		require.Empty(t, w.status()["rewraps"])
		w.configure()
		shown := func() map[string]any {
			t.Helper()
			use, _ := w.status()["rewraps"].(map[string]any)["use"].(map[string]any)
			require.NotNil(t, use)
			return use
		}
		require.Equal(t, w.active("use"), shown()["kek"])
		require.Equal(t, []any{0, 2, ""}, []any{shown()["done"], shown()["left"], shown()["last_error"]})
		w.device.Vanish()
		require.NoError(t, w.Tick())
		require.Contains(t, shown()["last_error"], "no token")
		require.Contains(t, w.status()["rewrapping"].([]string)[1], "use: 0 versions wrapped since 20")
		require.Contains(t, w.status()["rewrapping"].([]string)[1], "last error: ")
		w.device.Return()
		time.Sleep(time.Minute) // of the bubble: the pause between recoveries
		require.NoError(t, w.Tick())
		require.Equal(t, []any{2, ""}, []any{shown()["done"], shown()["last_error"]})
		w.sweep()
		require.Empty(t, w.status()["rewraps"])
		require.Empty(t, w.status()["rewrapping"])
	})
}

func TestKEKsRotateByTheirPeriod(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure("kek_rotation_period", "48h")
		use := w.active("use")
		w.hours(47)
		require.Equal(t, use, w.active("use"))
		w.device.Vanish()
		w.hours(2)
		require.Equal(t, use, w.active("use"))
		w.device.Return()
		time.Sleep(time.Minute)
		w.Advance(2 * time.Minute)
		require.NotEqual(t, use, w.active("use"))
		require.Equal(t, 4, w.onToken())
		require.Len(t, w.stored().KEKs, 4)
	})
}
