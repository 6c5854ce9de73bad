// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestAPairIsRefusedWhereTheTokenLacksAMechanism(t *testing.T) {
	for kind, lacks := range map[string]cryptoki.MechanismType{
		"rsa-3072": cryptoki.RSAPKCSPSS, "ecdsa-p521": cryptoki.ECDSA, "ed25519": cryptoki.EDDSA, "hmac": cryptoki.GenericSecretGen,
	} {
		runWith(t, faketoken.Config{Missing: []cryptoki.MechanismType{lacks}}, func(t *testing.T, w *world) {
			w.configure("mechanism", "aes-gcm")
			before := len(w.Storage.All())
			w.Refused(w.Write("keys/k", "protection", "hsm", "type", kind), `protection: "hsm"`, "keys of type "+kind+" need "+lacks.String())
			require.Len(t, w.Storage.All(), before)
			w.Must(w.Write("keys/k", "protection", "hsm"))
		})
	}
}

// TestAPairNeedsNoGCMOfItsToken: only the keys of that type do.
func TestAPairNeedsNoGCMOfItsToken(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure("mechanism", "aes-cbc-hmac")
		w.residentOf("ecdsa-p256")
		s := w.signature("input", mounttest.B64("x"))
		w.respawn()
		require.True(t, w.verified("input", mounttest.B64("x"), "signature", s))
		w.checkResidents()
	})
}

func TestAPairOnTheTokenLivesAsEveryKeyDoes(t *testing.T) {
	for _, kind := range []string{"ecdsa-p256", "rsa-2048"} {
		run(t, func(t *testing.T, w *world) {
			w.configure()
			w.Must(w.Write("policies/p", "owner", "o", "hsm", "required", "rotation_period", "24h", "rotation_jitter", "0s", "min_versions_kept", 1,
				"quiet_period", "0", "destroy_delay", "24h"))
			w.residentOf(kind, "policy", "p")
			input := mounttest.B64("x")
			first := w.signature("input", input)
			w.hours(25)
			require.Equal(t, 2, w.Latest("k"), "by its period")
			w.Must(w.Write("keys/k/rotate", "stage", true, "reason", reason))
			w.Must(w.Write("keys/k/versions/3/promote", "reason", reason))
			third := w.signature("input", input)
			require.True(t, strings.HasPrefix(third, "vault:v3:"))
			w.Must(w.Write("hsm/keks/rotate"))
			w.sweep()
			require.Equal(t, w.active("use"), hexOf(w.kekOf("versions/k/1")), "what refers to it is wrapped anew")
			w.respawn()
			require.True(t, w.verified("input", input, "signature", first))
			require.True(t, strings.HasPrefix(w.signature("input", input), "vault:v3:"))
			require.Len(t, w.residents(), 3)

			w.Must(w.Write("keys/k/versions/1/archive", "reason", reason))
			w.Must(w.Write("keys/k/versions/1/retire", "reason", reason))
			w.hours(23)
			public := w.residents()
			w.hours(2)
			require.Equal(t, "destroyed", w.Must(w.Read("keys/k/versions/1")).Data["state"])
			require.NotContains(t, w.residents(), w.objectOf("versions/k/1"))
			require.NotEqual(t, public, w.residents())
			w.checkResidents()
			require.Equal(t, true, w.Must(w.Write("custody/verify")).Data["valid"])
		})
	}
}

// TestAPrivateHalfOnTheTokenEndsBeforeThePublicOne: the version verifies on.
func TestAPrivateHalfOnTheTokenEndsBeforeThePublicOne(t *testing.T) {
	for _, archived := range []bool{false, true} {
		run(t, func(t *testing.T, w *world) {
			w.configure()
			w.Must(w.Write("policies/p", "owner", "o", "erase_private_key", true, "rollback_window", "1h", "min_versions_kept", 1, "quiet_period", "0"))
			w.residentOf("ecdsa-p256", "policy", "p")
			input := mounttest.B64("x")
			first := w.signature("input", input)
			w.Must(w.Write("keys/k/rotate", "reason", reason))
			if archived {
				w.Must(w.Write("keys/k/versions/1/archive", "reason", reason))
			}
			require.Len(t, w.residents(), 2)
			w.device.Vanish()
			w.hours(2)
			w.device.Return()
			time.Sleep(time.Minute)
			require.Len(t, w.residents(), 2, "a tick waits for the token")
			w.Advance(10 * time.Minute)
			require.Len(t, w.residents(), 1)
			w.checkResidents()
			if archived {
				w.Must(w.Write("keys/k/versions/1/recover", "reason", reason))
				w.Advance(2 * time.Minute)
			}
			w.respawn()
			require.True(t, w.verified("input", input, "signature", first))
			got := w.Write("sign/k", "input", input, "key_version", 1)
			require.GreaterOrEqual(t, got.Status, 400)
			require.NotContains(t, got.Err, "protection")
			w.signature("input", input)
			require.Equal(t, true, w.Must(w.Write("custody/verify")).Data["valid"])
		})
	}
}

func TestAPairOnTheTokenIsOutOfReachWithIt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.residentOf("ecdsa-p256")
		input := mounttest.B64("x")
		s := w.signature("input", input)
		for _, rv := range []cryptoki.Error{cryptoki.ErrDeviceError, cryptoki.ErrGeneralError, cryptoki.ErrSessionHandleInvalid} {
			w.library.Fail(faketoken.Sign, rv, 1)
			w.signature("input", input) // it is tried again
		}
		w.library.Fail(faketoken.Sign, cryptoki.ErrMechanismInvalid, 1)
		w.Refused(w.Write("sign/k", "input", input), "CKM_ECDSA", "CKR_MECHANISM_INVALID")
		w.device.Vanish()
		for range 3 {
			require.Equal(t, http.StatusServiceUnavailable, w.Write("sign/k", "input", input).Status)
			require.True(t, w.verified("input", input, "signature", s), "the public half is enough")
		}
		require.Equal(t, http.StatusServiceUnavailable, w.Write("keys/other", "protection", "hsm", "type", "ed25519").Status)
		w.device.Return()
		time.Sleep(time.Minute)
		w.signature("input", input)
		w.Advance(10 * time.Minute)
		w.checkResidents()
	})
}
