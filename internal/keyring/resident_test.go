// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

func aesKey(keyID string, version int) envelope.TokenKey {
	return envelope.TokenKey{Algorithm: envelope.AES256GCM96, KeyID: keyID, Version: version}
}

// resident makes the key of a version on the token.
func (b *bench) resident(keyID string, version int) (id string, reference []byte, key envelope.ResidentKey) {
	b.t.Helper()
	bound := b.ring.On(b.stored)
	id, description, err := bound.DrawKey(b.t.Context(), aesKey(keyID, version))
	require.NoError(b.t, err)
	reference, public, err := bound.GenerateKey(b.t.Context(), description)
	require.NoError(b.t, err)
	require.Nil(b.t, public)
	key, err = b.ring.Residents().ResidentKey(reference)
	require.NoError(b.t, err)
	return id, reference, key
}

func requireRoundTrip(t *testing.T, key envelope.ResidentKey) {
	t.Helper()
	ciphertext, err := key.Encrypt(t.Context(), []byte("text"), []byte("data"))
	require.NoError(t, err)
	text, err := key.Decrypt(t.Context(), ciphertext, []byte("data"))
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
}

// withKEK is onBench with a key encryption key on the token.
func withKEK(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	onBench(t, func(t *testing.T, b *bench) {
		b.wrapper(envelope.PurposeOnline)
		b.make(envelope.PurposeOnline)
		test(t, b)
	})
}

func TestAKeyOnTheTokenIsFoundByItsReference(t *testing.T) {
	withKEK(t, func(t *testing.T, b *bench) {
		before := b.device.Objects()
		id, reference, key := b.resident("6b", 1)
		require.Len(t, id, 32)
		require.Equal(t, before+1, b.device.Objects())
		requireRoundTrip(t, key)
		again, err := b.ring.Residents().ResidentKey(reference)
		require.NoError(t, err)
		requireRoundTrip(t, again)
		_, other, _ := b.resident("6b", 1)
		require.NotEqual(t, reference, other)
		ciphertext, err := key.Encrypt(t.Context(), []byte("text"), nil)
		require.NoError(t, err)
		ciphertext[20] ^= 1
		_, err = key.Decrypt(t.Context(), ciphertext, nil)
		var c interface{ Corrupt() bool }
		require.ErrorAs(t, err, &c)
		require.Zero(t, b.ring.Health())
	})
}

// TestAKeyOnTheTokenOutlivesAChangeOfTheConnection: handles of the one before mean something else to the next.
func TestAKeyOnTheTokenOutlivesAChangeOfTheConnection(t *testing.T) {
	withKEK(t, func(t *testing.T, b *bench) {
		_, _, key := b.resident("6b", 1)
		requireRoundTrip(t, key)
		for n := range 3 {
			b.stored.hsm.Settings.MaxSessions = 3 + n
			b.ring.Forget()
			b.wrapper(envelope.PurposeOnline)
			requireRoundTrip(t, key)
		}
		b.stored.hsm.Configured = false
		b.ring.Forget()
		b.wrapper(envelope.PurposeOnline)
		_, err := key.Encrypt(t.Context(), []byte("text"), nil)
		require.ErrorIs(t, err, envelope.ErrUnavailable)
		b.stored.hsm.Configured = true
		b.ring.Forget()
		b.wrapper(envelope.PurposeOnline)
		requireRoundTrip(t, key)
	})
}

func TestAKeyIsDrawnOnlyWhereTheTokenCanHoldIt(t *testing.T) {
	withKEK(t, func(t *testing.T, b *bench) {
		_, description, err := b.ring.On(b.stored).DrawKey(t.Context(), aesKey("6b", 1))
		require.NoError(t, err)
		var r struct {
			Schema int
			Label  string
		}
		require.NoError(t, json.Unmarshal(description, &r))
		require.Equal(t, 1, r.Schema)
		require.Contains(t, r.Label, "-k-6b-v1")
		for says, edit := range map[string]func(h *keyring.HSM){
			"no HSM is configured": func(h *keyring.HSM) { *h = keyring.HSM{} },
			"not enabled":          func(h *keyring.HSM) { h.Settings.Enabled = false },
			"AES-GCM":              func(h *keyring.HSM) { h.KEKs[0].Suite = hsm.SuiteCBC },
		} {
			good := b.stored.hsm
			good.KEKs = append([]keyring.TokenKEK{}, good.KEKs...)
			edit(&b.stored.hsm)
			b.ring.Forget()
			_, _, err := b.ring.On(b.stored).DrawKey(t.Context(), aesKey("6b", 1))
			require.ErrorIs(t, err, envelope.ErrUnsupported)
			require.ErrorContains(t, err, says)
			b.stored.hsm = good
		}
	})
	onBench(t, func(t *testing.T, b *bench) {
		_, _, err := b.ring.On(b.stored).DrawKey(t.Context(), aesKey("6b", 1))
		require.ErrorIs(t, err, envelope.ErrUnsupported, "a mount without a key")
		require.Nil(t, b.stored.keks)
	})
}

func TestAKeyIsDestroyedByItsIDAndItsVersion(t *testing.T) {
	withKEK(t, func(t *testing.T, b *bench) {
		id, _, key := b.resident("6b", 1)
		_, _, other := b.resident("6b", 2)
		bound := b.ring.On(b.stored)
		before := b.device.Objects()
		require.NoError(t, bound.DestroyKey(t.Context(), id, "6b", 2), "the token has none of this name")
		require.NoError(t, bound.DestroyKey(t.Context(), id, "6c", 1))
		require.Equal(t, before, b.device.Objects())
		requireRoundTrip(t, key)
		for range 2 {
			require.NoError(t, bound.DestroyKey(t.Context(), id, "6b", 1), "once more is no error")
			require.Equal(t, before-1, b.device.Objects())
		}
		requireRoundTrip(t, other)
		_, err := key.Encrypt(t.Context(), []byte("text"), nil)
		require.ErrorIs(t, err, hsm.ErrKEKMissing)
		require.NotErrorIs(t, err, envelope.ErrUnavailable)
		for _, bad := range []string{"", "xx", "00"} {
			require.Error(t, bound.DestroyKey(t.Context(), bad, "6b", 1))
		}
	})
}

func TestATokenThatHasVanishedOrIsAnotherDestroysNothing(t *testing.T) {
	for name, do := range map[string]func(b *bench){
		"vanished": func(b *bench) { b.device.Vanish() },
		"another":  func(b *bench) { b.device.Wipe() },
	} {
		t.Run(name, func(t *testing.T) {
			withKEK(t, func(t *testing.T, b *bench) {
				id, _, key := b.resident("6b", 1)
				do(b)
				require.ErrorIs(t, b.ring.On(b.stored).DestroyKey(t.Context(), id, "6b", 1), envelope.ErrUnavailable)
				_, err := key.Encrypt(t.Context(), []byte("text"), nil)
				require.Error(t, err)
				b.device.Return()
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestATokenThatLosesItsLoginDuringADestructionIsNotBelieved: it finds nothing, without an error.
func TestATokenThatLosesItsLoginDuringADestructionIsNotBelieved(t *testing.T) {
	for at := 1; at <= 4; at++ {
		withKEK(t, func(t *testing.T, b *bench) {
			id, _, _ := b.resident("6b", 1)
			before := b.device.Objects()
			l := b.loads[len(b.loads)-1]
			l.Before(faketoken.FindObjects, at-1, func() {})
			l.Before(faketoken.FindObjects, 1, b.device.Restart)
			err := b.ring.On(b.stored).DestroyKey(t.Context(), id, "6b", 1)
			if err != nil {
				require.ErrorIs(t, err, envelope.ErrUnavailable)
				time.Sleep(time.Minute)
				require.NoError(t, b.ring.On(b.stored).DestroyKey(t.Context(), id, "6b", 1))
			}
			require.Equal(t, before-1, b.device.Objects(), "call %d", at)
		})
	}
}

func TestAReferenceThatCannotBeReadIsAFault(t *testing.T) {
	b := keyring.New(keyring.Config{Tokens: &tokens.Host{}})
	for _, text := range []string{"", "{", `{"schema":2}`, `{"schema":1,"id":"AA=="}`} {
		_, err := b.Residents().ResidentKey([]byte(text))
		require.ErrorContains(t, err, "cannot be read", text)
	}
}

// made makes a key of a type on the token.
func (b *bench) made(wanted envelope.TokenKey) (id string, reference, public []byte) {
	b.t.Helper()
	bound := b.ring.On(b.stored)
	require.NoError(b.t, bound.CheckKey(b.t.Context(), wanted))
	id, description, err := bound.DrawKey(b.t.Context(), wanted)
	require.NoError(b.t, err)
	reference, public, err = bound.GenerateKey(b.t.Context(), description)
	require.NoError(b.t, err)
	return id, reference, public
}

func TestAPairOnTheTokenIsFoundByItsReference(t *testing.T) {
	withKEK(t, func(t *testing.T, b *bench) {
		before := b.device.Objects()
		digest := sha256.Sum256([]byte("text"))
		id, reference, public := b.made(envelope.TokenKey{Algorithm: envelope.ECDSAP256, KeyID: "6b", Version: 1})
		require.Equal(t, before+2, b.device.Objects())
		half, err := x509.ParsePKIXPublicKey(public)
		require.NoError(t, err)
		for n := range 3 { // the connection changes meanwhile
			pair, err := b.ring.Residents().ResidentPair(reference)
			require.NoError(t, err)
			signature, err := pair.Sign(t.Context(), digest[:], crypto.SHA256)
			require.NoError(t, err)
			require.True(t, ecdsa.VerifyASN1(half.(*ecdsa.PublicKey), digest[:], signature))
			require.False(t, pair.Decrypts("oaep"))
			b.stored.hsm.Settings.MaxSessions = 3 + n
			b.ring.Forget()
			b.wrapper(envelope.PurposeOnline)
		}
		require.NoError(t, b.ring.On(b.stored).DestroyKey(t.Context(), id, "6b", 1))
		require.Equal(t, before, b.device.Objects())
		pair, err := b.ring.Residents().ResidentPair(reference)
		require.NoError(t, err)
		_, err = pair.Sign(t.Context(), digest[:], crypto.SHA256)
		require.ErrorIs(t, err, hsm.ErrKEKMissing)
		require.NotErrorIs(t, err, envelope.ErrUnavailable)
	})
}

func TestAKeyOfHMACsOnTheTokenIsFoundByItsReference(t *testing.T) {
	withKEK(t, func(t *testing.T, b *bench) {
		_, reference, public := b.made(envelope.TokenKey{Algorithm: envelope.HMAC, Size: 40, KeyID: "6b", Version: 1})
		require.Nil(t, public)
		for range 2 {
			key, err := b.ring.Residents().ResidentMAC(reference)
			require.NoError(t, err)
			mac, err := key.MAC(t.Context(), crypto.SHA384, []byte("text"))
			require.NoError(t, err)
			require.Len(t, mac, 48)
			_, err = key.MAC(t.Context(), crypto.SHA3_256, []byte("text"))
			require.ErrorIs(t, err, envelope.ErrUnsupported)
			b.device.Restart()
		}
	})
}

// TestAReferenceToAnotherKindOfKeyIsRefused: what is sealed under another key of the mount could name one.
func TestAReferenceToAnotherKindOfKeyIsRefused(t *testing.T) {
	withKEK(t, func(t *testing.T, b *bench) {
		_, mac, _ := b.made(envelope.TokenKey{Algorithm: envelope.HMAC, Size: 32, KeyID: "6b", Version: 1})
		_, pair, _ := b.made(envelope.TokenKey{Algorithm: envelope.Ed25519, KeyID: "6b", Version: 2})
		signs, err := b.ring.Residents().ResidentPair(mac)
		require.NoError(t, err)
		_, err = signs.Sign(t.Context(), []byte("text"), crypto.Hash(0))
		require.ErrorIs(t, err, hsm.ErrUnsupported)
		authenticates, err := b.ring.Residents().ResidentMAC(pair)
		require.NoError(t, err)
		_, err = authenticates.MAC(t.Context(), crypto.SHA256, nil)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
		encrypts, err := b.ring.Residents().ResidentKey(pair)
		require.NoError(t, err)
		_, err = encrypts.Encrypt(t.Context(), nil, nil)
		require.ErrorIs(t, err, hsm.ErrUnsupported)
	})
}

func TestAKeyIsCheckedByWhatTheTokenSaysOfItself(t *testing.T) {
	withKEK(t, func(t *testing.T, b *bench) {
		wanted := envelope.TokenKey{Algorithm: envelope.Ed25519, KeyID: "6b", Version: 1}
		require.NoError(t, b.ring.On(b.stored).CheckKey(t.Context(), wanted))
		l := b.loads[len(b.loads)-1]
		l.Fail(faketoken.GetMechanism, cryptoki.ErrMechanismInvalid, 1)
		err := b.ring.On(b.stored).CheckKey(t.Context(), wanted)
		require.ErrorIs(t, err, envelope.ErrUnsupported)
		require.ErrorContains(t, err, "keys of type ed25519 need CKM_EC_EDWARDS_KEY_PAIR_GEN")
		before := l.Calls(faketoken.GetMechanism)
		require.NoError(t, b.ring.On(b.stored).CheckKey(t.Context(), aesKey("6b", 1)))
		require.Equal(t, before, l.Calls(faketoken.GetMechanism), "the key encryption key shows it")
		for _, unknown := range []envelope.Algorithm{envelope.MLDSA44, envelope.AES128GCM96, ""} {
			require.ErrorIs(t, b.ring.On(b.stored).CheckKey(t.Context(), envelope.TokenKey{Algorithm: unknown}), envelope.ErrUnsupported)
		}
		b.device.Vanish()
		l.Fail(faketoken.GetMechanism, cryptoki.ErrDeviceRemoved, 1000)
		require.ErrorIs(t, b.ring.On(b.stored).CheckKey(t.Context(), wanted), envelope.ErrUnavailable)
		b.device.Return()
		time.Sleep(time.Minute)
	})
	onBench(t, func(t *testing.T, b *bench) {
		require.ErrorIs(t, b.ring.On(b.stored).CheckKey(t.Context(), aesKey("6b", 1)), envelope.ErrUnsupported, "a mount without a key")
	})
}
