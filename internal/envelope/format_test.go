// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"encoding/base64"
	"errors"
	"math"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/errutil"
	"github.com/hashicorp/vault/sdk/helper/keysutil"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

func TestParseSplitsAtTheFirstColon(t *testing.T) {
	for in, want := range map[string]struct {
		version int
		payload string
	}{
		"vault:v1:abc":   {1, "abc"},
		"vault:v0:abc":   {1, "abc"}, // an alias
		"vault:v12:":     {12, ""},
		"vault:v3:a:b:c": {3, "a:b:c"},
		"vault:v+7:abc":  {7, "abc"},
		"vault:v007:abc": {7, "abc"},
		"vault:v-1:abc":  {-1, "abc"},
	} {
		version, payload, err := envelope.Parse(in)
		require.NoError(t, err, in)
		require.Equal(t, want.version, version, in)
		require.Equal(t, want.payload, payload, in)
	}
}

func TestParseRefusesInTransitsWords(t *testing.T) {
	for in, want := range map[string]string{
		"":                              "invalid ciphertext: no prefix",
		"vault:":                        "invalid ciphertext: no prefix",
		"Vault:v1:abc":                  "invalid ciphertext: no prefix",
		" vault:v1:abc":                 "invalid ciphertext: no prefix",
		"vault:v":                       "invalid ciphertext: wrong number of fields",
		"vault:v1":                      "invalid ciphertext: wrong number of fields",
		"vault:v:abc":                   "invalid ciphertext: version number could not be decoded",
		"vault:vx:abc":                  "invalid ciphertext: version number could not be decoded",
		"vault:v 1:abc":                 "invalid ciphertext: version number could not be decoded",
		"vault:v99999999999999999999:a": "invalid ciphertext: version number could not be decoded",
	} {
		version, payload, err := envelope.Parse(in)
		require.EqualError(t, err, want, in)
		require.ErrorIs(t, err, envelope.ErrInput)
		require.Zero(t, version)
		require.Empty(t, payload)
	}
}

// refusedPrefix asks keysutil. Its policy has no floor, no ceiling and no key, so that whatever it
// says of anything but the prefix comes later and in other words.
func refusedPrefix(in string) string {
	p := keysutil.NewPolicy(keysutil.PolicyConfig{Type: keysutil.KeyType_AES256_GCM96})
	p.LatestVersion = math.MaxInt
	_, err := p.Decrypt(nil, nil, in)
	var user errutil.UserError
	if !errors.As(err, &user) {
		panic("keysutil decrypted without a key")
	}
	switch user.Err {
	case "invalid ciphertext: no prefix", "invalid ciphertext: wrong number of fields",
		"invalid ciphertext: version number could not be decoded":
		return user.Err
	default:
		return ""
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "vault:v", "vault:v1", "vault:v1:", "vault:v0:AAAA", "vault:v-1:AAAA", "vault:v+1:x", "vault:v1:a:b",
		"vault:vx:AAAA", "vault:v99999999999999999999:AAAA", "vault:v1\x00:AAAA", "vault:v１:AAAA",
	} {
		f.Add(seed, 1, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, in string, version int, raw []byte) {
		got, payload, err := envelope.Parse(in)
		if err != nil {
			require.Equal(t, refusedPrefix(in), err.Error())
			require.Zero(t, got)
			require.Empty(t, payload)
		} else {
			require.Empty(t, refusedPrefix(in))
		}

		got, payload, err = envelope.Parse(envelope.Format(version, raw))
		require.NoError(t, err)
		if version != 0 {
			require.Equal(t, version, got)
		}
		back, err := base64.StdEncoding.DecodeString(payload)
		require.NoError(t, err)
		require.Equal(t, string(raw), string(back))
	})
}
