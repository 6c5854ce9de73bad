// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// surfaceDifferences are those of the paths and fields that Transit does not have, or has in another edition.
func surfaceDifferences() []intended {
	return slices.Concat(viewDifferences(), changeDifferences(), importDifferences(), leavingDifferences(), kindDifferences())
}

// has demands members of the data of an answer.
func has(names ...string) func(*testing.T, *harness.Server, *side, harness.Reply) {
	return func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
		t.Helper()
		for _, name := range names {
			require.Contains(t, answer.Data(), name)
		}
	}
}

func viewDifferences() []intended {
	return []intended{
		{
			name: "a key is shown with what is ours", reason: "ours", before: []step{f0().create()}, differs: get("keys/$K"), transit: 200, keylife: 200,
			holds: has("policy", "owner", "labels", "revision", "next_rotation_time", "rotation_status", "state", "legal_hold", "primary_version",
				"staged_version", "destroy_time", "soft_deleted", "protection", "allowed_uses"),
		},
		{name: "paths below a key", reason: "ours", before: []step{f0().create()}, differs: get("keys/$K/history"), transit: 404, keylife: 200, holds: has("records")},
		{name: "the list of keys is a table", reason: "vault list -detailed prints it", before: []step{f0().create()}, differs: list("keys"), transit: 200, keylife: 200, holds: has("key_info")},
		{
			name: "a wrapped list", reason: "Vault answers so for every external plugin", before: []step{f0().create()}, differs: list("keys"), transit: 200, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				client, err := s.Client().Clone()
				require.NoError(t, err)
				client.SetToken(s.Client().Token())
				client.SetWrappingLookupFunc(func(string, string) string { return "60s" })
				secret, err := client.Logical().List(k.mount + "/keys")
				require.NoError(t, err)
				require.Nil(t, secret, "404")
			},
		},
		{
			name: "a ciphertext that does not authenticate", reason: "the text should not tell the key type", before: []step{flavour{"chacha20-poly1305", "plain"}.create()},
			differs: post("decrypt/$K", object("ciphertext", "vault:v1:"+base64.StdEncoding.EncodeToString(make([]byte, 40)))), transit: 400, keylife: 400,
			holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Contains(t, fmt.Sprint(answer.Body["errors"]), "cipher: message authentication failed")
			},
		},
	}
}

func changeDifferences() []intended {
	return []intended{
		{
			name: "a rotation with stage, cas and reason", reason: "ours; Transit ignores them", before: []step{f0().create()},
			differs: post("keys/$K/rotate", object("stage", true, "cas", 1, "reason", "a test")), transit: 200, keylife: 200,
			holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Equal(t, "2", fmt.Sprint(answer.Data()["staged_version"]))
			},
		},
		{name: "another revision is 409", reason: "for cas", before: []step{f0().create()}, differs: post("keys/$K/rotate", object("cas", 9)), transit: 200, keylife: 409, holds: has()},
		{
			name: "a key of some uses", reason: "ours; Transit ignores it", differs: post("keys/$K", object("allowed_uses", []string{"encrypt"})), transit: 200, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				require.True(t, k.remember(kept{"ct", "ciphertext"}, k.send(t, s, f0().encrypt("ct"))))
				require.Equal(t, 400, k.send(t, s, f0().decrypt("$ct")).Status)
			},
		},
		{
			name: "config/keys has public_jwks", reason: "verifiers read public keys without a token; Transit ignores it",
			differs: post("config/keys", object("disable_upsert", false, "public_jwks", []string{"$K"})), transit: 200, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
				require.Equal(t, []any{k.vars["K"]}, answer.Data()["public_jwks"])
				require.Equal(t, 200, k.send(t, s, post("config/keys", object("public_jwks", []string{}))).Status)
			},
		},
	}
}

// publicHalf is one that both engines import.
func publicHalf() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func importDifferences() []intended {
	public := publicHalf()
	imported := func(more ...any) step {
		return importKey(append([]any{"type", "ecdsa-p256", "public_key", public}, more...)...)
	}
	says := func(text string) func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
		return func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			require.Contains(t, fmt.Sprint(answer.Body["errors"]), text)
		}
	}
	return []intended{
		{
			name: "a version is imported after a rotation", reason: "the owner allowed both", before: []step{imported("allow_rotation", true), rotate()},
			differs: importVersion("public_key", public), transit: 500, keylife: 204, holds: has(),
		},
		{
			name: "an import of two keys", reason: "a request that says two things says none; Transit takes the first", differs: imported("ciphertext", "AAAA"),
			transit: 500, keylife: 400, holds: says("public_key"),
		},
		{
			name: "an import with a short period", reason: "the rule of every other path", differs: imported("allow_rotation", true, "auto_rotate_period", "1m"),
			transit: 204, keylife: 400, holds: says("auto_rotate_period"),
		},
	}
}

func leavingDifferences() []intended {
	both := post("keys/$K", `{"exportable":true,"allow_plaintext_backup":true}`)
	backup := get("backup/$K").as("b", "backup")
	return []intended{
		{
			name: "an export as JWK", reason: "each version in the form that its user reads", before: []step{both}, differs: get("export/encryption-key/$K?format=jwk&reason=test"),
			transit: 200, keylife: 200, holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Equal(t, "oct", answer.Data()["keys"].(map[string]any)["1"].(map[string]any)["kty"])
			},
		},
		{
			name: "a wrapped export with a reason", reason: "a policy may demand one; Transit ignores it",
			before:  []step{post("keys/$K", object("type", "rsa-2048", "exportable", true))},
			differs: get("byok-export/$K/$K?reason=test"), transit: 200, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				require.Contains(t, fmt.Sprint(k.send(t, s, get("keys/$K/history")).Data()["records"]), "reason:test")
			},
		},
		{
			name: "what leaves is kept by custody", reason: "who took a key out is what nobody finds out later", before: []step{both, backup},
			differs: get("keys/$K/history"), transit: 404, keylife: 200, holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Contains(t, fmt.Sprint(answer.Data()["records"]), "act:backup")
			},
		},
		{
			name: "a backup says what Transit does not know", reason: "states, names and policies come back", before: []step{both, backup},
			differs: post("restore/$K-again", object("backup", "$b", "policy", "", "reason", "test")), transit: 204, keylife: 204,
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				require.Contains(t, decodedBackup(t, k.vars["b"]), "keylife")
			},
		},
		{
			name: "a backup leaves the key as it is", reason: "custody has it", before: []step{both, backup}, differs: get("keys/$K"), transit: 200, keylife: 200,
			holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Nil(t, answer.Data()["backup_info"])
			},
		},
		{
			name: "a backup without a policy", reason: "Transit's process panics: it is not asked", differs: post("restore/$K", object("backup", "e30=")), keylife: 400,
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				require.Equal(t, 404, k.send(t, s, get("keys/$K")).Status)
			},
		},
		{
			name: "no force under a policy", reason: "the versions that are there would be destroyed", before: []step{both, backup},
			differs: post("restore", object("backup", "$b", "force", true)), transit: 204, keylife: 204,
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				require.Equal(t, 200, k.send(t, s, post("policies/$K", object("owner", "a", "exportable", true, "allow_plaintext_backup", true))).Status)
				require.Equal(t, 200, k.send(t, s, config(object("policy", "$K"))).Status)
				require.Equal(t, 400, k.send(t, s, post("restore", object("backup", "$b", "force", true))).Status)
			},
		},
	}
}

func decodedBackup(t *testing.T, text string) map[string]any {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	var backup map[string]any
	require.NoError(t, json.Unmarshal(raw, &backup))
	return backup
}

func kindDifferences() []intended {
	all := []intended{{
		name: "several data keys", reason: "Vault has them in its Enterprise edition only", before: []step{f0().create()},
		differs: post("datakeys/plaintext/$K", object("count", 2)), transit: 404, keylife: 200, holds: has("key_pairs"),
	}}
	for _, body := range []string{object("type", "ml-dsa", "parameter_set", "65"), object("type", "mldsa-44")} {
		all = append(all, intended{
			name: "ML-DSA " + body, reason: "as in Vault Enterprise and OpenBao", differs: post("keys/$K", body), transit: 400, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
				require.Equal(t, http.StatusOK, k.send(t, s, post("sign/$K", object("input", hello))).Status)
			},
		})
	}
	return all
}
