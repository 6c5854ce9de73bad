// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

func TestGenerationsVouchForEachOther(t *testing.T) {
	_, public := generations(t, 4)
	require.NoError(t, public.Check(""))
	require.NoError(t, public.Check(public[0].ID))
	require.NoError(t, public[1:].Check(public[1].ID), "who pinned a later one needs none before")
	require.ErrorIs(t, public.Check(public[1].ID), custody.ErrKeys)
	require.ErrorIs(t, custody.PublicKeys{}.Check(""), custody.ErrKeys)
}

func TestPublicKeysSurviveJSON(t *testing.T) {
	_, public := generations(t, 3)
	raw, err := json.Marshal(public)
	require.NoError(t, err)
	var got custody.PublicKeys
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, public, got)
	require.NoError(t, got.Check(public[0].ID))
}

func TestPublicKeysThatDoNotVouchForEachOtherAreRefused(t *testing.T) {
	_, public := generations(t, 4)
	stranger, err := custody.NewSigningKey(seeded(99), start, 1, nil)
	require.NoError(t, err)
	strangers, err := custody.NewSigningKey(seeded(98), start, 2, &stranger)
	require.NoError(t, err)
	for name, edit := range map[string]func(k custody.PublicKeys) custody.PublicKeys{
		"one left out":     func(k custody.PublicKeys) custody.PublicKeys { return slices.Delete(k, 1, 2) },
		"in another order": func(k custody.PublicKeys) custody.PublicKeys { k[1], k[2] = k[2], k[1]; return k },
		"repeated":         func(k custody.PublicKeys) custody.PublicKeys { return append(k, k[3]) },
		"stranger in front": func(k custody.PublicKeys) custody.PublicKeys {
			return append(custody.PublicKeys{stranger.Public()}, k[1:]...)
		},
		"stranger between": func(k custody.PublicKeys) custody.PublicKeys { k[1] = strangers.Public(); return k },
		"stranger's key": func(k custody.PublicKeys) custody.PublicKeys {
			k[1].Key, k[1].ID = strangers.Public().Key, strangers.Public().ID
			return k
		},
		"key under the old id": func(k custody.PublicKeys) custody.PublicKeys { k[0].Key = stranger.Public().Key; return k },
		"no key":               func(k custody.PublicKeys) custody.PublicKeys { k[0].Key = ""; return k },
		"generation":           func(k custody.PublicKeys) custody.PublicKeys { k[1].Generation++; return k },
		"generation 0":         func(k custody.PublicKeys) custody.PublicKeys { k[0].Generation = 0; return k },
		"created":              func(k custody.PublicKeys) custody.PublicKeys { k[1].Created = start; return k },
		"signed by":            func(k custody.PublicKeys) custody.PublicKeys { k[1].SignedBy = k[2].ID; return k },
		"signature of another": func(k custody.PublicKeys) custody.PublicKeys { k[1].Signature = k[2].Signature; return k },
		"no signature":         func(k custody.PublicKeys) custody.PublicKeys { k[1].Signature = ""; return k },
		"signature no base64":  func(k custody.PublicKeys) custody.PublicKeys { k[1].Signature = "?"; return k },
	} {
		require.ErrorIs(t, edit(slices.Clone(public)).Check(""), custody.ErrKeys, name)
	}
}

func TestNewSigningKeyRefuses(t *testing.T) {
	keys, _ := generations(t, 1)
	for name, c := range map[string]struct {
		at         time.Time
		generation int
		previous   *custody.SigningKey
	}{
		"no time":              {time.Time{}, 1, nil},
		"a first that is none": {start, 2, nil},
		"a stale previous":     {start, 3, &keys[0]},
		"a second first":       {start, 1, &keys[0]},
		"an empty previous":    {start, 1, &custody.SigningKey{}},
		"a time beyond JSON":   {time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), 2, &keys[0]},
	} {
		got, err := custody.NewSigningKey(seeded(1), c.at, c.generation, c.previous)
		require.ErrorIs(t, err, custody.ErrInvalid, name)
		require.Nil(t, got.Seed(), name)
	}
	_, err := custody.NewSigningKey(strings.NewReader("short"), start, 1, nil)
	require.ErrorContains(t, err, "generate signing key")
}

func TestASigningKeyIsRestoredFromItsSeed(t *testing.T) {
	keys, public := generations(t, 2)
	key, err := custody.RestoreSigningKey(keys[1].Seed(), public[1])
	require.NoError(t, err)
	require.Equal(t, public[1], key.Public())
	signed, err := custody.SignCheckpoint(custody.Checkpoint{Instance: mount, Time: start}, key)
	require.NoError(t, err)
	_, err = signed.Open(public)
	require.NoError(t, err)

	_, err = custody.RestoreSigningKey(keys[0].Seed(), public[1])
	require.ErrorIs(t, err, custody.ErrInvalid)
	_, err = custody.RestoreSigningKey(keys[0].Seed()[:31], public[0])
	require.ErrorIs(t, err, custody.ErrInvalid)
}

func TestTheSeedOfASigningKeyIsACopy(t *testing.T) {
	keys, _ := generations(t, 1)
	seed := keys[0].Seed()
	want := slices.Clone(seed)
	clear(seed)
	require.Equal(t, want, keys[0].Seed())
}

func TestASigningKeyPrintsRedacted(t *testing.T) {
	key, err := custody.NewSigningKey(strings.NewReader("a seed of thirty-two bytes, a see"), start, 1, nil)
	require.NoError(t, err)
	field := struct{ k custody.SigningKey }{key}
	pointer := struct{ k *custody.SigningKey }{&key}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%q", "%d", "%c", "%U", "%t"} {
		require.Equal(t, "[redacted signing key]", fmt.Sprintf(verb, key), verb)
		require.Equal(t, "[redacted signing key]", fmt.Sprintf(verb, &key), verb)
		for _, in := range []any{field, &field, pointer, &pointer, []any{field}} {
			out := fmt.Sprintf(verb, in)
			for _, form := range []string{"a seed of", fmt.Sprintf("%x", "a seed of"), fmt.Sprintf("%X", "a seed of"), fmt.Sprintf("% x", "a seed of"), "97 32 115"} {
				require.NotContains(t, out, form, verb)
			}
		}
	}
	raw, err := json.Marshal(map[string]any{"key": key, "pointer": &key})
	require.NoError(t, err)
	require.JSONEq(t, `{"key":"[redacted signing key]","pointer":"[redacted signing key]"}`, string(raw))
	require.Equal(t, "[redacted signing key]", key.String())
	require.Equal(t, "[redacted signing key]", key.GoString())
	text, err := key.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "[redacted signing key]", string(text))
}

// A signer that skips a generation, or names another signer, does not follow the rules: refused
// although it signed.
func TestASuccessorMustNameItsPlace(t *testing.T) {
	keys, public := generations(t, 2)
	for _, edit := range []func(*custody.PublicKey){
		func(k *custody.PublicKey) {},
		func(k *custody.PublicKey) { k.Generation = 3 },
		func(k *custody.PublicKey) { k.SignedBy = k.ID },
	} {
		next := public[1]
		edit(&next)
		next.Signature = ""
		body, err := json.Marshal(next)
		require.NoError(t, err)
		signature := ed25519.Sign(ed25519.NewKeyFromSeed(keys[0].Seed()), append([]byte("keylife/custody-key/v1\n"), body...))
		next.Signature = base64.StdEncoding.EncodeToString(signature)
		err = custody.PublicKeys{public[0], next}.Check("")
		if next == public[1] {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, custody.ErrKeys)
		}
	}
}
