// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

const reason = "as the test wants it"

func TestAKeyOnTheTokenRotatesAsEveryKeyDoes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("policies/p", "owner", "o", "hsm", "required", "rotation_period", "24h", "rotation_jitter", "0s",
			"max_encryptions", 3, "min_versions_kept", 1, "quiet_period", "0"))
		w.Must(w.Write("keys/k", "protection", "hsm", "policy", "p"))
		texts := map[string]string{}
		encrypt := func(text string) {
			t.Helper()
			texts[text] = w.Encrypt("k", text)
		}
		encrypt("created")
		w.hours(25)
		require.Equal(t, 2, w.Latest("k"), "by its period")
		encrypt("rotated")
		w.Must(w.Write("keys/k/rotate", "stage", true, "reason", reason))
		require.Equal(t, 2, w.Must(w.Read("keys/k")).Data["primary_version"])
		w.Must(w.Write("keys/k/versions/3/promote", "reason", reason))
		encrypt("promoted")
		w.Must(w.Write("keys/k/versions/3/compromise", "reason_code", "key_compromise", "reason", reason))
		require.Equal(t, 4, w.Must(w.Read("keys/k")).Data["primary_version"], "another one takes over")
		for n := range 5 {
			encrypt(fmt.Sprintf("limit %d", n))
		}
		require.Equal(t, 5, w.Latest("k"), "by its usage limit")
		w.Must(w.Write("keys/k/rollback", "reason", reason))
		require.Len(t, w.residents(), 5)
		w.respawn()
		for text, ciphertext := range texts {
			if text != "promoted" {
				require.Equal(t, text, w.Decrypt("k", ciphertext))
			}
		}
		w.Advance(10 * time.Minute)
		w.checkResidents()
		require.Empty(t, w.Must(w.List("policies/p/drift")).Data["keys"])
		require.Equal(t, true, w.Must(w.Write("custody/verify")).Data["valid"])
	})
}

func TestAKeyOnTheTokenThatExistsStaysWhatItIs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k", "protection", "hsm"))
		w.Must(w.Write("keys/soft"))
		require.Equal(t, "hsm", w.Must(w.Write("keys/k")).Data["protection"])
		require.Equal(t, "hsm_wrapped", w.Must(w.Write("keys/soft", "protection", "hsm")).Data["protection"])
		require.Len(t, w.residents(), 1)
		upserted := w.Do("create", "encrypt/k", mounttest.Data("plaintext", mounttest.B64("x")))
		require.Less(t, upserted.Status, 300, upserted.Err)
		require.Equal(t, "x", w.Decrypt("k", upserted.Data["ciphertext"].(string)))
		w.Must(w.Write("encrypt/new", "plaintext", mounttest.B64("x")))
		require.Equal(t, "hsm_wrapped", w.Must(w.Read("keys/new")).Data["protection"])
		w.checkResidents()
	})
}

func TestADestroyedKeyLeavesTheTokenAndFreesIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("policies/p", "owner", "o", "quiet_period", "0", "destroy_delay", "24h"))
		w.Must(w.Write("keys/k", "protection", "hsm", "policy", "p"))
		w.Must(w.Write("keys/k/rotate", "reason", reason))
		w.Must(w.Write("keys/k/archive", "reason", reason))
		w.Must(w.Write("keys/k/retire", "reason", reason))
		w.device.Vanish()
		w.hours(25)
		require.Equal(t, "destroyed", w.Must(w.Read("keys/k")).Data["state"])
		w.Refused(w.Write("config/hsm", "enabled", false), "1 keys have protection=hsm")
		w.device.Return()
		time.Sleep(time.Minute)
		w.Advance(2 * time.Minute)
		require.Empty(t, w.residents())
		w.checkResidents()
		w.Must(w.Write("config/hsm", "enabled", false))
	})
}

func TestMaterialOfAnotherKeyOnTheTokenIsNotTaken(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/a", "protection", "hsm"))
		w.Must(w.Write("keys/b", "protection", "hsm"))
		ciphertext := w.Encrypt("a", "x")
		w.SetStored("versions/a/1", "sealed", w.Storage.Sealed("versions/b/1"))
		w.respawn()
		require.Equal(t, http.StatusInternalServerError, w.Write("decrypt/a", "ciphertext", ciphertext).Status)
	})
}

func TestManyUseAKeyOnTheTokenAtOnceWhileItRotates(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k", "protection", "hsm"))
		var all sync.WaitGroup
		for caller := range 8 {
			all.Go(func() {
				for n := range 10 {
					if caller == 0 && n < 6 {
						assert.Less(t, w.Write("keys/k/rotate").Status, 300)
					}
					text := mounttest.B64(fmt.Sprintf("%d %d", caller, n))
					got := w.Write("encrypt/k", "plaintext", text)
					if assert.Less(t, got.Status, 300, got.Err) {
						assert.Equal(t, text, w.Write("decrypt/k", "ciphertext", got.Data["ciphertext"]).Data["plaintext"])
					}
				}
			})
		}
		all.Wait()
		require.Len(t, w.residents(), 7)
		w.checkResidents()
	})
}
