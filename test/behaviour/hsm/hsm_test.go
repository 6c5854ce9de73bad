// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestAMountWithAnHSMStoresNothingNewThatSoftwareOpens(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.Must(w.Write("keys/before"))
		old := w.Encrypt("before", "old")
		shown := w.configure()
		require.Equal(t, "aes-gcm", shown["suite"])
		require.Equal(t, []string{"versions/before/1"}, w.sealedBySoftware())
		w.Must(w.Write("policies/p", "owner", "o", "hsm", "required", "rotation_period", "24h", "rotation_jitter", "0s", "min_versions_kept", 1))
		w.Must(w.Write("keys/k", "policy", "p"))
		first := w.Encrypt("k", "first")
		w.Must(w.Write("keys/k/rotate", "reason", "as the test wants it"))
		second := w.Encrypt("k", "second")
		w.Must(w.Write("keys/k/versions/1/archive", "reason", "as the test wants it"))
		require.Equal(t, w.active("archive"), hexOf(w.kekOf("archive/k/1")))
		require.Equal(t, w.active("use"), hexOf(w.kekOf("versions/k/2")))
		w.respawn()
		require.Equal(t, "second", w.Decrypt("k", second))
		require.Equal(t, "old", w.Decrypt("before", old))
		w.Must(w.Write("keys/k/versions/1/recover", "reason", "as the test wants it"))
		require.Equal(t, "first", w.Decrypt("k", first))
		require.Equal(t, []string{"versions/before/1"}, w.sealedBySoftware())
		w.hours(25)
		require.Equal(t, 3, w.Latest("k"), "it rotates by itself")
		require.Empty(t, w.sealedBySoftware(), "what was there before is wrapped anew")
		require.Equal(t, "healthy", w.status()["state"])
	})
}

func hexOf(id [16]byte) string { return hex.EncodeToString(id[:]) }

func TestAPolicyThatRequiresAnHSMFailsClosedWithoutOne(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.Must(w.Write("policies/p", "owner", "o", "hsm", "required"))
		w.Refused(w.Write("keys/k", "policy", "p"), "no HSM")
		w.configure()
		w.Must(w.Write("keys/k", "policy", "p"))
		w.configure("enabled", false)
		w.Refused(w.Write("keys/k/rotate", "reason", "as the test wants it"), "no HSM")
		w.configure("enabled", true)
		w.device.Vanish()
		away := w.Write("keys/k/rotate", "reason", "as the test wants it")
		require.Equal(t, http.StatusServiceUnavailable, away.Status, "worth trying again")
		require.Contains(t, away.Err, "hsm_healthy")
		require.Equal(t, http.StatusServiceUnavailable, w.Write("keys/other").Status, "software does not take its place")
	})
}

func TestATokenThatIsAwayDefersWhatNeedsItAndNothingElse(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.Must(w.Write("keys/soft"))
		soft := w.Encrypt("soft", "soft")
		w.configure()
		w.Must(w.Write("policies/p", "owner", "o", "rotation_period", "24h", "rotation_jitter", "0s"))
		w.Must(w.Write("keys/k", "policy", "p"))
		hard := w.Encrypt("k", "hard")
		w.device.Vanish()
		w.respawn()
		require.Equal(t, "soft", w.Decrypt("soft", soft))
		require.Equal(t, http.StatusServiceUnavailable, w.Write("decrypt/k", "ciphertext", hard).Status)
		require.Equal(t, http.StatusServiceUnavailable, w.Write("keys/new").Status)
		for _, path := range []string{"keys/k", "keys/k/rotation", "rotation/status", "hsm/status", "config/hsm"} {
			w.Must(w.Read(path))
		}
		w.hours(25)
		require.Equal(t, 1, w.Latest("k"))
		require.Equal(t, "unavailable", w.status()["state"])
		require.Zero(t, w.Storage.Key("k").Rotation.Failures, "no attempt of the key's has failed")
		w.device.Return()
		time.Sleep(time.Minute) // of the bubble: the pause between recoveries
		w.Advance(time.Hour)
		require.Equal(t, 2, w.Latest("k"), "it catches up")
		require.Equal(t, "hard", w.Decrypt("k", hard))
		require.Equal(t, "healthy", w.status()["state"])
	})
}

func TestAWrongPINIsTriedOnce(t *testing.T) {
	runWith(t, faketoken.Config{LockAfter: 3}, func(t *testing.T, w *world) {
		w.Refused(w.Write("config/hsm", settings("pin", "wrong")...), "rejected the PIN")
		require.Equal(t, http.StatusNotFound, w.Read("config/hsm").Status)
		require.Equal(t, 1, w.library.BadLogins())
		w.configure()
		w.Must(w.Write("keys/k"))
		hard := w.Encrypt("k", "hard")
		w.device.SetPIN("changed")
		w.respawn()
		bad := func() (n int) {
			for _, l := range append(w.past, w.library) {
				n += l.BadLogins()
			}
			return n
		}
		before := bad()
		for range 5 {
			require.Equal(t, http.StatusServiceUnavailable, w.Write("decrypt/k", "ciphertext", hard).Status)
		}
		require.NoError(t, w.Tick())
		require.Equal(t, before+1, bad())
		require.Equal(t, "pin_rejected", w.status()["state"])
		require.NotEmpty(t, w.status()["pin_rejected_time"])
		w.respawn()
		require.NoError(t, w.Tick())
		require.Equal(t, http.StatusServiceUnavailable, w.Write("decrypt/k", "ciphertext", hard).Status)
		require.Equal(t, before+1, bad(), "another process does not try it either")
		w.configure("pin", "changed")
		require.Equal(t, "hard", w.Decrypt("k", hard))
		require.Empty(t, w.status()["pin_rejected_time"])
		require.NotContains(t, w.Log.String(), "correct horse")
	})
}

func TestThePINIsNeverReadBack(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		shown := w.configure()
		read := w.Must(w.Read("config/hsm")).Data
		require.NotEmpty(t, read["pin_updated_time"])
		for _, data := range []map[string]any{shown, read, w.status()} {
			text, err := json.Marshal(data)
			require.NoError(t, err)
			require.NotContains(t, string(text), pin)
			require.NotContains(t, data, "pin")
		}
		require.Equal(t, true, read["pin_set"])
		for path, value := range w.Storage.All() {
			if path != "config/hsm" {
				require.NotContains(t, string(value), pin, path)
			}
		}
		w.Must(w.Write("config/hsm", "max_sessions", 4))
		require.Equal(t, 4, w.Must(w.Read("config/hsm")).Data["max_sessions"], "what is not given stays")
		w.Must(w.Write("keys/k"))
	})
}

func TestSwappedMaterialIsDetected(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/a"))
		w.Must(w.Write("keys/b"))
		ciphertext := w.Encrypt("a", "x")
		w.Must(w.Write("keys/a/rotate"))
		for _, from := range []string{"versions/b/1", "versions/a/2"} {
			good := w.Storage.All()["versions/a/1"]
			w.SetStored("versions/a/1", "sealed", w.Storage.Sealed(from))
			w.respawn()
			require.Equal(t, http.StatusInternalServerError, w.Write("decrypt/a", "ciphertext", ciphertext).Status, from)
			w.Storage.Plant("versions/a/1", good)
			w.respawn()
			require.Equal(t, "x", w.Decrypt("a", ciphertext))
		}
	})
}

func TestTwoMountsShareATokenAndNoKey(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k"))
		other := w.mount(t, w.Options.Tokens)
		other.Refused(other.Write("config/hsm", settings("pin", "another")...), "another PIN")
		other.Must(other.Write("config/hsm", settings()...))
		require.Equal(t, 1, w.library.Calls(faketoken.Login))
		other.Must(other.Write("keys/k"))
		require.Equal(t, 4, w.onToken())
		ciphertext := other.Encrypt("k", "x")
		other.SetStored("versions/k/1", "sealed", w.Storage.Sealed("versions/k/1"))
		w.respawn()
		require.Equal(t, http.StatusInternalServerError, other.Write("decrypt/k", "ciphertext", ciphertext).Status)
		w.Encrypt("k", "x")
	})
}

func TestARotationOfKEKsLeavesWhatWasWrappedReadable(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k"))
		ciphertext := w.Encrypt("k", "x")
		use, archive := w.active("use"), w.active("archive")
		shown := w.Must(w.Write("hsm/keks/rotate", "purpose", "use", "reason", "CHG-1")).Data["active"].(map[string]any)
		require.NotEqual(t, use, shown["use"])
		require.Equal(t, archive, shown["archive"])
		require.Equal(t, shown, w.status()["active"])
		before := w.Must(w.Read("hsm/keks/" + use)).Data
		require.Equal(t, "decrypt_only", before["state"])
		require.NotEmpty(t, before["deactivated_time"])
		w.respawn()
		require.Equal(t, "x", w.Decrypt("k", ciphertext))
		w.Must(w.Write("keys/new"))
		require.Equal(t, shown["use"], hexOf(w.kekOf("versions/new/1")))
		w.Must(w.Write("hsm/keks/rotate"))
		listed := w.Must(w.List("hsm/keks")).Data
		require.Len(t, listed["keys"], 5)
		require.Equal(t, 5, w.onToken())
		require.Equal(t, "use", listed["key_info"].(map[string]any)[use].(map[string]any)["purpose"])
		w.Refused(w.Write("hsm/keks/rotate", "purpose", "other"), "purpose")
		w.Refused(w.Write("hsm/keks/"+w.active("use")+"/retire"), "active")
		w.Refused(w.Write("hsm/keks/"+use+"/retire"), "are wrapped by key")
		w.Refused(w.Write("hsm/keks/"+use+"/destroy"), "confirm")
		w.Refused(w.Write("hsm/keks/"+use+"/destroy", "confirm", use), "only a retired one")
		w.Refused(w.Write("hsm/keks/zz/retire"), "32 hex digits")
		require.Equal(t, http.StatusNotFound, w.Read("hsm/keks/"+hexOf([16]byte{})).Status)
		w.Refused(w.Delete("config/hsm"), "enabled=false")
	})
}

func TestAKeyThatSomebodyElseMadeIsTakenUp(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure("allow_generate_kek", false)
		require.Zero(t, w.onToken())
		require.Empty(t, w.status()["active"])
		w.Refused(w.Write("hsm/keks/rotate"), "allow_generate_kek")
		other := w.mount(t, w.Options.Tokens) // makes the keys
		other.Must(other.Write("config/hsm", settings()...))
		h, err := other.Storage.Store().Tokens().HSM(context.Background())
		require.NoError(t, err)
		w.Refused(w.Write("hsm/keks/rotate", "kek_label", h.KEKs[0].Label), "purpose")
		w.Refused(w.Write("hsm/keks/rotate", "purpose", "use", "kek_label", "none"), "missing")
		w.Refused(w.Write("hsm/keks/rotate", "purpose", "use", "kek_id", "x"), "hex")
		w.Refused(w.Write("hsm/keks/rotate", "purpose", "use", "mac_label", "x"), "kek_label")
		w.Must(w.Write("hsm/keks/rotate", "purpose", "use", "kek_label", h.KEKs[0].Label))
		w.Refused(w.Write("hsm/keks/rotate", "purpose", "archive", "kek_label", h.KEKs[0].Label), "already")
		w.Must(w.Write("keys/k"))
		require.Empty(t, w.sealedBySoftware())
		require.Equal(t, true, w.Must(w.Read("hsm/keks/" + w.active("use"))).Data["adopted"])
		require.Equal(t, 2, w.onToken())
	})
}

func TestWhatIsWrongWithTheConfigurationIsSaid(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			kv   []any
			says string
		}{
			{[]any{"library", "/usr/lib/fake.so"}, "must be one of fake"},
			{[]any{"token_label", ""}, "token_label"},
			{[]any{"token_label", "other"}, ""},
			{[]any{"mechanism", "des"}, "mechanism"},
			{[]any{"gcm_iv_mode", "none"}, "gcm_iv_mode"},
			{[]any{"rsa_oaep_hash", "md5"}, "rsa_oaep_hash"},
			{[]any{"max_sessions", 0}, "max_sessions"},
			{[]any{"call_timeout", "10m"}, "call_timeout"},
			{[]any{"acquire_timeout", 0}, "acquire_timeout"},
			{[]any{"kek_rotation_period", "1m"}, "kek_rotation_period"},
			{[]any{"cache_ttl", -1}, "cache_ttl"},
			{[]any{"cache_ttl", "8d"}, "cache_ttl"},
			{[]any{"cache_ttl", 0, "degraded_mode", "serve_cached"}, "must not be 0"},
			{[]any{"degraded_mode", "hope"}, "degraded_mode"},
			{[]any{"degraded_max_age", 0}, "degraded_max_age"},
			{[]any{"degraded_mode", "serve_cached", "cache_ttl", "2h"}, "at least cache_ttl"},
			{[]any{"health_interval", 0}, "health_interval"},
			{[]any{"health_interval", "2h"}, "health_interval"},
			{[]any{"random_source", "dice"}, "random_source"},
			{[]any{"random_policy", "hope"}, "random_policy"},
			{[]any{"pin_env", "PATH"}, "one of pin"},
			{[]any{"pin", "", "pin_env", "PATH"}, "KEYLIFE_HSM_PIN"},
			{[]any{"pin", "", "pin_file", "/etc/shadow"}, "KEYLIFE_PIN_DIR"},
		} {
			for _, path := range []string{"config/hsm", "config/hsm/test"} {
				got := w.Write(path, settings(c.kv...)...)
				if c.says == "" {
					require.Equal(t, http.StatusServiceUnavailable, got.Status, "no such token is present, which may pass")
					continue
				}
				w.Refused(got, c.says)
			}
		}
		require.Equal(t, http.StatusNotFound, w.Read("config/hsm").Status)
		require.Equal(t, "not_configured", w.status()["state"])
		require.Zero(t, w.onToken())
		tested := w.Must(w.Write("config/hsm/test", settings()...)).Data
		require.Equal(t, "aes-gcm", tested["suite"])
		require.Equal(t, "0001", tested["token_serial"])
		require.Equal(t, http.StatusNotFound, w.Read("config/hsm").Status, "a test saves nothing")
		require.Zero(t, w.onToken())
	})
}

func TestAMountWithoutALibrarySaysSo(t *testing.T) {
	m := mounttest.New(t)
	m.Refused(m.Write("config/hsm", settings()...), "KEYLIFE_PKCS11_LIBS")
	require.Equal(t, "not_configured", m.Must(m.Read("hsm/status")).Data["state"])
}

func TestTheTokenMustHoldTheKeysInUse(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.device.Wipe()
		w.Refused(w.Write("config/hsm", settings("max_sessions", 3)...), "has to hold the keys")
		require.NoError(t, w.Tick())
		require.Equal(t, "kek_missing", w.status()["state"])
		require.Zero(t, w.onToken(), "no key is made where one is missing")
	})
}

func TestActsOnTheTokenAreInTheHistoryOfTheMount(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure("reason", "CHG-1")
		w.Must(w.Write("hsm/keks/rotate", "reason", "CHG-2"))
		w.configure("enabled", false)
		history, err := json.Marshal(w.Must(w.Read("config/history")).Data)
		require.NoError(t, err)
		for _, part := range []string{"configure-hsm", "create-kek", "rotate-kek", "CHG-1", "CHG-2", w.stored().KEKs[0].Suite.String(), "true -\\u003e false"} {
			require.Contains(t, string(history), part)
		}
		require.NotContains(t, string(history), pin)
		require.Equal(t, true, w.Must(w.Write("custody/verify")).Data["valid"])
	})
}

func TestARotationThatComesAgainIsOne(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		for range 2 {
			w.As("r1", func(m *mounttest.Mount) mounttest.Answer { return m.Must(m.Write("hsm/keks/rotate")) })
		}
		require.Len(t, w.stored().KEKs, 4)
	})
}

// states are those of the keys of a purpose.
func states(h keyring.HSM, purpose string) (all []keyring.State) {
	for _, k := range h.KEKs {
		if k.Purpose == purpose {
			all = append(all, k.State)
		}
	}
	return all
}

func TestAnotherNodeLearnsOfNewKeys(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.Must(w.Write("keys/k"))
		node := w.mount(t, w.Options.Tokens)
		node.Storage = w.Storage
		node.Restart()
		node.Encrypt("k", "x") // its keyring is in memory, without a token
		w.configure()
		w.Must(w.Write("hsm/keks/rotate"))
		for _, path := range []string{"config/hsm", "config/keks"} {
			node.InvalidateKey(context.Background(), path)
		}
		require.Equal(t, w.status()["active"], node.Must(node.Read("hsm/status")).Data["active"])
		node.Must(node.Write("keys/there"))
		require.Equal(t, w.active("use"), hexOf(w.kekOf("versions/there/1")))
	})
}

func TestAWarmRequestAsksTheTokenNothingAndAColdOneOnce(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/first"))
		w.Must(w.Write("keys/k"))
		first, ciphertext := w.Encrypt("first", "x"), w.Encrypt("k", "x")
		w.respawn()
		w.Decrypt("first", first) // it connects, and finds the key
		before := w.library.Calls(faketoken.Decrypt)
		for range 10 {
			require.Equal(t, "x", w.Decrypt("k", ciphertext))
			w.Encrypt("k", "x")
		}
		require.Equal(t, before+1, w.library.Calls(faketoken.Decrypt))
	})
}
