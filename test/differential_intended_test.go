// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// An intended difference is a request that keylife answers otherwise than Transit, on purpose. There are no others.
type intended struct {
	name, reason     string
	before           []step // answered alike
	differs          step
	transit, keylife int // the statuses of the request that differs; transit 0: it is not asked
	holds            func(t *testing.T, s *harness.Server, keylife *side, answer harness.Reply)
}

func intendedDifferences() []intended {
	return slices.Concat(
		associatedDataDifferences(), convergentDifferences(), createDifferences(), upsertDifferences(), typeDifferences(), numberDifferences(),
		textDifferences(), codeDifferences(), exportDifferences(), signDifferences(), backupDifferences(), macDifferences(),
		addedDifferences(), batchVersionDifferences(), surfaceDifferences(), oaepDifferences(), encodingDifferences(),
	)
}

func TestIntendedDifferencesFromTransit(t *testing.T) {
	s := server(t)
	transitMount, keylifeMount := freshPair(t, s)
	for i, d := range intendedDifferences() {
		t.Run(d.name, func(t *testing.T) {
			key := fmt.Sprintf("intended-%d", i)
			transit, keylife := newSide(transitMount, key), newSide(keylifeMount, key)
			runTrial(t, s, trial{steps: d.before}, transit, keylife)
			if d.transit != 0 {
				require.Equal(t, d.transit, transit.send(t, s, d.differs).Status, "Transit is not as the table says (%s)", d.reason)
			}
			answer := keylife.send(t, s, d.differs)
			require.Equal(t, d.keylife, answer.Status, "%v (%s)", answer.Body, d.reason)
			d.holds(t, s, keylife, answer)
		})
	}
}

const aad = "YWFk"

func associatedDataDifferences() []intended {
	sealed := []step{f0().create(), post("encrypt/$K", object("plaintext", hello, "associated_data", aad)).as("ct", "ciphertext"), rotate()}
	rewrap := object("ciphertext", "$ct", "associated_data", aad)
	opensOnlyWithAAD := func(t *testing.T, s *harness.Server, k *side) {
		t.Helper()
		require.Contains(t, k.vars["new"], "vault:v2:")
		require.Equal(t, 200, k.send(t, s, post("decrypt/$K", object("ciphertext", "$new", "associated_data", aad))).Status)
		require.Equal(t, 400, k.send(t, s, post("decrypt/$K", object("ciphertext", "$new"))).Status)
	}
	return []intended{
		{
			name: "rewrap takes associated_data", reason: "without it such a ciphertext cannot follow a rotation (hashicorp/vault#31791)",
			before: sealed, differs: post("rewrap/$K", rewrap), transit: 400, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
				require.True(t, k.remember(kept{"new", "ciphertext"}, answer))
				require.Nil(t, answer.Body["warnings"])
				opensOnlyWithAAD(t, s, k)
				require.Equal(t, 400, k.send(t, s, post("rewrap/$K", object("ciphertext", "$ct"))).Status, "associated data was not checked")
			},
		},
		{
			name: "a rewrap item takes associated_data", reason: "as above, in a batch",
			before: sealed, differs: post("rewrap/$K", items(rewrap)), transit: 200, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
				require.True(t, k.remember(kept{"new", "batch_results.0.ciphertext"}, answer), "%v", answer.Body)
				opensOnlyWithAAD(t, s, k)
			},
		},
		{
			name: "datakey takes associated_data", reason: "as OpenBao does; Transit ignores it and warns",
			before: []step{f0().create(), rotate()}, differs: post("datakey/plaintext/$K", object("associated_data", aad)), transit: 200, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
				require.True(t, k.remember(kept{"new", "ciphertext"}, answer))
				require.Nil(t, answer.Body["warnings"])
				opensOnlyWithAAD(t, s, k)
			},
		},
	}
}

func convergentDifferences() []intended {
	var all []intended
	for _, f := range flavours() {
		if f.mode != "convergent" {
			continue
		}
		encrypt := func(aad string) step { return post("encrypt/$K", f.body("plaintext", hello, "associated_data", aad)) }
		all = append(all, intended{
			name: "a convergent nonce is of the associated data too: " + f.kind, reason: "Transit gives one nonce to two texts: see ADR 0028",
			before: []step{f.create(), encrypt(aad).as("ct", "ciphertext")}, differs: encrypt("eHh4"), transit: 200, keylife: 200,
			holds: func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
				require.True(t, k.remember(kept{"other", "ciphertext"}, answer))
				require.NotEqual(t, k.vars["ct"][:len("vault:v1:")+16], k.vars["other"][:len("vault:v1:")+16], "12 bytes of nonce are 16 of base64")
				again := k.send(t, s, encrypt(aad))
				require.True(t, k.remember(kept{"again", "ciphertext"}, again))
				require.Equal(t, k.vars["ct"], k.vars["again"])
			},
		})
	}
	return all
}

// addedDifferences are what Transit does not have.
func addedDifferences() []intended {
	return []intended{{
		name: "keys of type xchacha20-poly1305", reason: "as in OpenBao (hashicorp/vault#13243)",
		differs: post("keys/$K", object("type", "xchacha20-poly1305")), transit: 400, keylife: 200,
		holds: func(t *testing.T, s *harness.Server, k *side, _ harness.Reply) {
			t.Helper()
			require.True(t, k.remember(kept{"ct", "ciphertext"}, k.send(t, s, f0().encrypt("ct"))))
			require.Equal(t, 200, k.send(t, s, f0().decrypt("$ct")).Status)
		},
	}}
}

// A key_version beside batch_input is that of the items that name none; Transit ignores it (hashicorp/vault#10232).
func batchVersionDifferences() []intended {
	versions := func(want ...string) func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
		return func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			t.Helper()
			results, ok := answer.Data()["batch_results"].([]any)
			require.True(t, ok)
			require.Len(t, results, len(want))
			for i, result := range results {
				require.Equal(t, want[i], fmt.Sprint(result.(map[string]any)["key_version"]))
			}
		}
	}
	before := []step{f0().create(), f0().encrypt("ct"), rotate(), rotate()}
	encrypt := items(object("plaintext", hello), object("plaintext", hello, "key_version", 1), object("plaintext", hello, "key_version", 0))
	rewrap := items(object("ciphertext", "$ct"), object("ciphertext", "$ct", "key_version", 1))
	const reason = "whoever asks for a version must not be given another"
	return []intended{
		{
			name: "encrypt items have the key_version of their batch", reason: reason, before: before,
			differs: post("encrypt/$K", with(encrypt, "key_version", literal("2"))), transit: 200, keylife: 200, holds: versions("2", "1", "3"),
		},
		{
			name: "rewrap items have the key_version of their batch", reason: reason, before: before,
			differs: post("rewrap/$K", with(rewrap, "key_version", literal("2"))), transit: 200, keylife: 200, holds: versions("2", "1"),
		},
		{
			name: "a batch with a key_version that does not exist fails", reason: reason, before: before,
			differs: post("encrypt/$K", with(items(object("plaintext", hello)), "key_version", literal("9"))), transit: 200, keylife: 400,
			holds: func(*testing.T, *harness.Server, *side, harness.Reply) {},
		},
	}
}

func createDifferences() []intended {
	return []intended{{
		name: "creating an existing key warns", reason: "Transit means to and never does (hashicorp/vault#3117)",
		before: []step{f0().create()}, differs: post("keys/$K", object("type", "chacha20-poly1305", "exportable", true)), transit: 200, keylife: 200,
		holds: func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
			require.Contains(t, fmt.Sprint(answer.Body["warnings"]), "key "+k.vars["K"]+" already existed")
			view := k.send(t, s, get("keys/$K")).Data()
			require.Equal(t, "aes256-gcm96", view["type"])
			require.Equal(t, false, view["exportable"])
			require.Equal(t, view, answer.Data())
		},
	}, {
		name: "unsetting a one-way flag warns", reason: "Transit ignores it in silence (hashicorp/vault#32075)",
		before:  []step{f0().create(), config(`{"exportable":true,"allow_plaintext_backup":true}`)},
		differs: config(`{"exportable":false,"allow_plaintext_backup":false}`), transit: 200, keylife: 200,
		holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			require.Len(t, answer.Body["warnings"], 2)
			require.Equal(t, true, answer.Data()["exportable"])
			require.Equal(t, true, answer.Data()["allow_plaintext_backup"])
		},
	}}
}

func upsertDifferences() []intended {
	var all []intended
	for _, body := range []string{
		object("plaintext", bad64), object("plaintext", hello, "context", bad64), object("plaintext", hello, "nonce", nonce),
		object("plaintext", hello, "key_version", 2), object("plaintext", hello, "associated_data", bad64),
		object("plaintext", hello, "padding_scheme", "oaep"), items(object("plaintext", hello, "padding_scheme", "oaep")),
		items(object("plaintext", bad64), object("plaintext", hello, "key_version", 2)),
		with(items(object("plaintext", bad64)), "partial_failure_response_code", literal(`207`)),
	} {
		all = append(all, intended{
			name: "an upsert that fails makes no key: " + body, reason: "a request that is refused must change nothing",
			before: []step{post("encrypt/$K", body)}, differs: get("keys/$K"), transit: 200, keylife: 404,
			holds: func(*testing.T, *harness.Server, *side, harness.Reply) {},
		})
	}
	return all
}

func typeDifferences() []intended {
	var all []intended
	for _, kind := range []string{"managed_key"} {
		all = append(all, intended{
			name: "no keys of type " + kind, reason: "this release has none; Transit says so with 500",
			differs: post("keys/$K", object("type", kind)), transit: 500, keylife: 400,
			holds: func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
				for _, has := range []string{"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305"} {
					require.Contains(t, fmt.Sprint(answer.Body["errors"]), has)
				}
				require.Equal(t, 404, k.send(t, s, get("keys/$K")).Status)
			},
		})
	}
	return all
}

// Vault hands an external plugin every JSON number as a float64: how it was written is lost.
func codeDifferences() []intended {
	var all []intended
	for _, code := range []string{`0`, `-1`, `1`, `99`, `199`, `600`, `1000`, `false`} {
		all = append(all, intended{
			name: "no batch has the status " + code, reason: "Vault's HTTP server fails on a status below 200",
			before:  []step{f0().create()},
			differs: post("encrypt/$K", with(items(object("plaintext", hello)), "partial_failure_response_code", literal(code))), transit: 200, keylife: 400,
			holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
				require.Contains(t, fmt.Sprint(answer.Body["errors"]), "partial_failure_response_code: ")
			},
		})
	}
	return append(all, intended{
		name: "nobody rotates after 292 years", reason: "no length of time is above 100 years",
		differs: post("keys/$K", object("auto_rotate_period", literal("9223372036"))), transit: 200, keylife: 400,
		holds: func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			require.Contains(t, fmt.Sprint(answer.Body["errors"]), "auto_rotate_period: 9223372036")
		},
	})
}

func numberDifferences() []intended {
	view := func(field, want string) func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
		return func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			require.Equal(t, want, fmt.Sprint(answer.Data()[field]))
		}
	}
	return []intended{
		{
			name: "2.0 is 2", reason: "the plugin boundary", before: []step{f0().create(), rotate()},
			differs: config(`{"min_decryption_version":2.0}`), transit: 400, keylife: 200, holds: view("min_decryption_version", "2"),
		},
		{
			name: "1e4 is 10000", reason: "the plugin boundary", before: []step{f0().create()},
			differs: config(`{"auto_rotate_period":1e4}`), transit: 400, keylife: 200, holds: view("auto_rotate_period", "10000"),
		},
	}
}

// A number for a text has to be what it was when it has been a float64.
func textDifferences() []intended {
	var all []intended
	refused := func(words ...string) func(t *testing.T, s *harness.Server, k *side, answer harness.Reply) {
		return func(t *testing.T, _ *harness.Server, _ *side, answer harness.Reply) {
			for _, word := range words {
				require.Contains(t, fmt.Sprint(answer.Body["errors"]), word)
			}
		}
	}
	for _, c := range []struct{ path, body, field string }{
		{"encrypt/$K", `{"plaintext":12345678901234567890}`, "plaintext"},
		{"encrypt/$K", `{"plaintext":"","type":1.5}`, "type"},
		{"encrypt/$K", `{"plaintext":"","context":12345678901234567890}`, "context"},
		{"keys/$K", `{"context":1.50}`, "context"},
		{"rewrap/$K", `{"batch_input":[{"ciphertext":"$ct","reference":1.50}]}`, "reference"},
		{"rewrap/$K", `{"batch_input":[{"ciphertext":"$ct","reference":12345678901234567890}]}`, "reference"},
	} {
		all = append(all, intended{
			name: "a number that is no text: " + c.path + " " + c.body, reason: "the plugin boundary: it would be another number",
			before: []step{f0().create(), f0().encrypt("ct")}, differs: post(c.path, c.body), transit: 200, keylife: 400, holds: refused(c.field, "2^53"),
		})
	}
	long := "keys/$K-" + strings.Repeat("n", 1024)
	return append(all, intended{
		name: "a name of more than 1024 bytes", reason: "it stands in custody records and in paths of entries",
		differs: post(long, "{}"), transit: 200, keylife: 400, holds: refused("name", "1024"),
	})
}
