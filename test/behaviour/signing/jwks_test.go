// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package signing_test is about what a lifecycle means for keys with a public half.
package signing_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// readSet returns the versions in the set of key k, and the keys.
func readSet(m *mounttest.Mount) (versions []int, keys []jose.JSONWebKey) {
	m.T.Helper()
	text, err := json.Marshal(m.Must(m.Read("keys/k/jwks")).Data)
	require.NoError(m.T, err)
	return parsed(m.T, text)
}

func parsed(t testing.TB, text []byte) (versions []int, keys []jose.JSONWebKey) {
	t.Helper()
	var set jose.JSONWebKeySet
	var numbers struct {
		Keys []struct {
			Version int `json:"key_version"`
		}
	}
	require.NoError(t, json.Unmarshal(text, &set))
	require.NoError(t, json.Unmarshal(text, &numbers))
	for _, key := range numbers.Keys {
		versions = append(versions, key.Version)
	}
	return versions, set.Keys
}

func TestASetHasTheKeysThatVerify(t *testing.T) {
	for name, alg := range map[string]string{
		"ed25519": "EdDSA", "ecdsa-p256": "ES256", "ecdsa-p384": "ES384", "ecdsa-p521": "ES512", "rsa-2048": "",
	} {
		m := mounttest.New(t)
		m.Must(m.Write("keys/k", "type", name))
		m.K.Ops("rotate")
		versions, keys := readSet(m)
		require.Equal(t, []int{2, 1}, versions, name)
		for i, key := range keys {
			require.True(t, key.Valid() && key.IsPublic())
			require.Equal(t, []string{alg, "sig"}, []string{key.Algorithm, key.Use})
			thumbprint, err := key.Thumbprint(crypto.SHA256)
			require.NoError(t, err)
			require.Equal(t, base64.RawURLEncoding.EncodeToString(thumbprint), key.KeyID)

			shown := m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", versions[i]))).Data["public_key"].(string)
			if block, _ := pem.Decode([]byte(shown)); block != nil {
				public, err := x509.ParsePKIXPublicKey(block.Bytes)
				require.NoError(t, err)
				require.Equal(t, public, key.Key, name)
				continue
			}
			require.Equal(t, shown, base64.StdEncoding.EncodeToString(key.Key.(ed25519.PublicKey)))
		}
	}
}

func TestAStagedVersionIsPublishedBeforeItSigns(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "tests"))
	m.Must(m.Write("keys/k", "type", "ecdsa-p256", "policy", "p"))
	_, before := readSet(m)
	m.Must(m.K.Op("rotate", "stage", true))
	require.Equal(t, "AP", m.K.Letters())
	versions, staged := readSet(m)
	require.Equal(t, []int{2, 1}, versions)
	require.Equal(t, before[0], staged[1])
	shown := m.Must(m.Read("keys/k/versions/2")).Data["public_key"]
	require.NotEmpty(t, shown)
	all := mounttest.AsJSON(t, m.Must(m.Read("keys/k")).Data["keys"]).(map[string]any)
	require.Equal(t, shown, all["2"].(map[string]any)["public_key"])

	m.K.Ops("versions/2/promote")
	_, promoted := readSet(m)
	require.Equal(t, staged, promoted, "a promotion changes nothing for verifiers")
}

func TestWhatIsOutOfUseLeavesTheSet(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "tests", "min_versions_kept", 1, "quiet_period", "0s"))
	m.Must(m.Write("keys/k", "type", "ed25519", "policy", "p"))
	m.K.Ops("rotate", "rotate", "rotate", "rotate", "rotate")
	inSet := func(want ...int) {
		t.Helper()
		versions, _ := readSet(m)
		require.Equal(t, want, versions, m.K.Letters())
	}
	inSet(6, 5, 4, 3, 2, 1)
	m.K.Ops("versions/1/suspend", "versions/2/archive", "versions/3/archive", "versions/3/retire")
	m.Must(m.K.Op("versions/4/compromise", "reason_code", "key_compromise"))
	inSet(6, 5)
	public := m.Must(m.Read("keys/k/versions/3")).Data["public_key"]
	m.K.Ops("31d")
	require.Equal(t, "SRDCOA", m.K.Letters())
	inSet(6, 5)
	require.Equal(t, public, m.Must(m.Read("keys/k/versions/3")).Data["public_key"], "it stays for who has signatures of the version")
	m.K.Ops("versions/1/resume", "versions/2/recover")
	inSet(6, 5, 2, 1)
	m.Must(m.Write("keys/k/config", "min_decryption_version", 5))
	inSet(6, 5)
	m.K.Ops("suspend")
	inSet()
}

func TestAKeyWithoutAPublicHalfOfItsOwnHasNoSet(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("config/keys", "public_jwks", "*"))
	m.Must(m.Write("keys/aes"))
	m.Must(m.Write("keys/mac", "type", "hmac", "key_size", 32))
	m.Must(m.Write("keys/each", "type", "ed25519", "derived", true))
	m.Refused(m.Read("keys/aes/jwks"), `key "aes" is of type aes256-gcm96, which does not sign`)
	m.Refused(m.Read("keys/mac/jwks"), `key "mac" is of type hmac, which does not sign`)
	m.Refused(m.Read("keys/each/jwks"), `key "each" is derived: its public keys belong to contexts`)
	require.Equal(t, http.StatusNotFound, m.Read("keys/none/jwks").Status)
	for _, name := range []string{"aes", "mac", "each", "none"} {
		require.Equal(t, notPublished, m.Read("jwks/"+name), name)
	}
	require.Equal(t, "", m.Must(m.Read("keys/each/versions/1")).Data["public_key"])
	require.Equal(t, "", m.Must(m.Read("keys/aes/versions/1")).Data["public_key"])
}

// notPublished is the answer to who asks without a token for what is not for everybody.
var notPublished = mounttest.Answer{Status: http.StatusNotFound}

func TestAnybodyReadsTheKeysThatTheMountNamesAndNoOthers(t *testing.T) {
	m := mounttest.New(t)
	for _, name := range []string{"k", "tokens", "jwt-a", "jwt"} {
		m.Must(m.Write("keys/"+name, "type", "ecdsa-p256"))
	}
	read := func(want ...string) {
		t.Helper()
		for _, name := range []string{"k", "tokens", "jwt-a", "jwt", "missing", "tokens2"} {
			answer := m.Read("jwks/" + name)
			for _, published := range want {
				if name == published {
					require.Equal(t, http.StatusOK, answer.Status, name)
					name = ""
				}
			}
			if name != "" {
				require.Equal(t, notPublished, answer, name)
			}
		}
	}
	read()
	require.Equal(t, []string{"jwt-*", "tokens"}, m.Must(m.Write("config/keys", "public_jwks", []string{"tokens", "jwt-*", "tokens"})).Data["public_jwks"])
	read("tokens", "jwt-a")
	m.Must(m.Write("config/keys", "disable_upsert", true))
	read("tokens", "jwt-a")
	m.Restart()
	read("tokens", "jwt-a")
	m.Must(m.Write("config/keys", "public_jwks", "*"))
	read("k", "tokens", "jwt-a", "jwt")
	require.Equal(t, true, m.Must(m.Write("config/keys", "public_jwks", []string{}, "disable_upsert", true)).Data["disable_upsert"])
	read()

	for _, bad := range []any{[]string{"a", ""}, "*a", "a*b", "**"} {
		refused := m.Write("config/keys", "public_jwks", bad)
		m.Refused(refused, "public_jwks")
		require.Equal(t, []string{}, m.Must(m.Read("config/keys")).Data["public_jwks"])
	}
	require.Contains(t, fmt.Sprint(m.Must(m.Read("config/history")).Data["records"]), "public_jwks_added:jwt-*,tokens")
}

func TestAPublicSetIsRawAndCounted(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k", "type", "ecdsa-p256"))
	m.K.Ops("rotate", "rotate")
	m.Must(m.Write("config/keys", "public_jwks", "k"))
	m.Must(m.Read("jwks/k"))
	m.Storage.Reset()
	resp, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.ReadOperation, Path: "jwks/k", Storage: m.Storage})
	require.NoError(t, err)
	require.Equal(t, "application/jwk-set+json", resp.Data[logical.HTTPContentType])
	require.Equal(t, http.StatusOK, resp.Data[logical.HTTPStatusCode])
	require.Equal(t, 1+3, m.Storage.Reset().Gets, "the settings, and each version")
	versions, keys := parsed(t, []byte(resp.Data[logical.HTTPRawBody].(string)))
	require.Equal(t, []int{3, 2, 1}, versions)
	_, same := readSet(m)
	require.Equal(t, same, keys)
	require.Contains(t, m.SpecialPaths().Unauthenticated, "jwks/*")
}
