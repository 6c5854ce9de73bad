// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

func (m *mount) dump() map[string][]byte {
	m.t.Helper()
	all, err := m.storage.Dump(context.Background())
	require.NoError(m.t, err)
	return all
}

// sealed returns the sealed material in a stored entry; nil: none.
func (m *mount) sealed(path string) []byte {
	m.t.Helper()
	return sealedIn(m.t, m.dump()[path])
}

func sealedIn(t *testing.T, entry []byte) []byte {
	t.Helper()
	var record struct{ Sealed []byte }
	if entry != nil {
		require.NoError(t, json.Unmarshal(entry, &record))
	}
	return record.Sealed
}

// secrets returns what must be nowhere after version v is destroyed: sealed blobs and the opened keys.
func (m *mount) secrets(v int) [][]byte {
	m.t.Helper()
	ctx, repo := context.Background(), m.repoOf()
	k, err := repo.Key(ctx, "k")
	require.NoError(m.t, err)
	blob, purpose := m.sealed(fmt.Sprintf("versions/k/%d", v)), engine.PurposeOnline
	if blob == nil {
		blob, purpose = m.sealed(fmt.Sprintf("archive/k/%d", v)), engine.PurposeArchive
	}
	wrapper, instance, err := repo.Wrapper(ctx, purpose, false)
	require.NoError(m.t, err)
	material, err := envelope.Open(ctx, wrapper, blob, envelope.Binding{
		Instance: instance, KeyID: k.ID, Version: v, Algorithm: envelope.Algorithm(k.Type), Purpose: purpose,
	})
	require.NoError(m.t, err)
	key, hmacKey := material.Reveal()
	return [][]byte{blob, bytes.Clone(key), bytes.Clone(hmacKey)}
}

// stored tells which of the secrets are in storage, in any of the forms they could have there.
func (m *mount) stored(secrets [][]byte) (paths []string) {
	m.t.Helper()
	for path, entry := range m.dump() {
		for _, secret := range secrets {
			for _, form := range [][]byte{secret, []byte(base64.StdEncoding.EncodeToString(secret)), []byte(hex.EncodeToString(secret))} {
				if bytes.Contains(entry, form) {
					paths = append(paths, path)
				}
			}
		}
	}
	return paths
}

// cached lists the versions whose opened material is in the engine's memory.
func (m *mount) cached() (versions []int) {
	items := reflect.ValueOf(m.engine).Elem().FieldByName("ciphers").Elem().FieldByName("lru").Elem().FieldByName("items")
	for _, id := range items.MapKeys() {
		versions = append(versions, int(id.FieldByName("number").Int()))
	}
	return versions
}

func TestArchivingMovesTheMaterialAndRecoveringBringsItBack(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.decrypt("k", c[2])
	before := m.secrets(2)
	require.Equal(t, []string{"versions/k/2"}, m.stored(before[:1]))
	m.ops("versions/2/archive")
	require.NotContains(t, m.cached(), 2)
	require.Nil(t, m.sealed("versions/k/2"))
	require.NotNil(t, m.sealed("archive/k/2"))
	require.Empty(t, m.stored(before), "the old blob is gone, and the keys were never in storage")
	require.Equal(t, before[1:], m.secrets(2)[1:], "it is the same material")
	m.ops("versions/2/recover")
	require.NotNil(t, m.sealed("versions/k/2"))
	require.NotContains(t, m.dump(), "archive/k/2")
	require.Equal(t, "secret", m.decrypt("k", c[2]))
}

func TestWithoutTheArchiveKeyOnlyWhatIsArchivedIsLost(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.ops("versions/2/archive")
	kek := m.dump()["config/archive-kek"]
	require.NoError(t, m.storage.Delete(t.Context(), "config/archive-kek"))
	m.restart()
	m.ops("versions/2/recover")
	for range 2 {
		lost := m.write("decrypt/k", "ciphertext", c[2])
		require.Equal(t, 500, lost.status)
		require.Contains(t, lost.err, "config/archive-kek is missing: archived material cannot be read")
		require.Equal(t, "secret", m.decrypt("k", c[1]))
		require.Equal(t, "secret", m.decrypt("k", c[3]))
		m.ops("rotate")
		m.encrypt("k", "x")
		_ = m.tickNow()
	}
	m.must(m.write("keys/other"))
	require.NotContains(t, m.dump(), "config/archive-kek", "a new one would hide the loss")

	require.NoError(t, m.storage.Put(t.Context(), &logical.StorageEntry{Key: "config/archive-kek", Value: kek}))
	m.restart()
	m.advance(2 * time.Minute)
	require.Equal(t, "secret", m.decrypt("k", c[2]))
	require.NotContains(t, m.dump(), "archive/k/2")
}

func TestDestroyedMaterialIsNowhere(t *testing.T) {
	t.Parallel()
	for name, destroy := range map[string]func(m *mount){
		"a version":             func(m *mount) { m.ops("versions/2/archive", "versions/2/retire", "31d") },
		"a compromised version": func(m *mount) { m.ops("versions/2/compromise", "versions/2/retire", "31d") },
		"a key":                 func(m *mount) { m.ops("archive", "retire", "31d") },
		"the oldest, by trim": func(m *mount) {
			m.must(m.write("keys/k/config", "min_decryption_version", 3, "min_encryption_version", 3))
			m.must(m.op("trim", "min_available_version", 3))
		},
		"a version in the archive, by trim": func(m *mount) {
			m.ops("versions/2/archive")
			m.must(m.write("keys/k/config", "min_decryption_version", 3, "min_encryption_version", 3))
			m.must(m.op("trim", "min_available_version", 3))
		},
		"a key, by deletion": func(m *mount) {
			m.ops("versions/1/archive")
			m.must(m.write("keys/k/config", "deletion_allowed", true))
			m.must(m.delete("keys/k"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, c := keyOf3(t)
			m.decrypt("k", c[2])
			secrets := m.secrets(2)
			m.ops("versions/2/archive")
			secrets = append(secrets, m.secrets(2)...)
			m.ops("versions/2/recover")
			secrets = append(secrets, m.secrets(2)...)
			m.decrypt("k", c[2])
			require.Contains(t, m.cached(), 2)
			require.NotEmpty(t, m.stored(secrets), "the search finds what is there")
			destroy(m)
			require.Empty(t, m.stored(secrets))
			require.NotContains(t, m.cached(), 2)
			require.Equal(t, 400, m.write("decrypt/k", "ciphertext", c[2]).status)
			require.NotContains(t, m.cached(), 2)
			if m.read("keys/k").status == 200 {
				tombstone := m.must(m.read("keys/k/versions/2")).data
				require.Equal(t, "destroyed", tombstone["state"])
				require.NotEmpty(t, tombstone["fingerprint"])
				require.NotEmpty(t, tombstone["created_time"])
			}
		})
	}
}

func TestManyVersionsAreMovedAndErasedAFewAtATime(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	prepareVersions(m, 200)
	m.ops("archive")
	m.advance(5 * time.Minute)
	for v := 1; v <= 200; v += 33 {
		require.NotNil(t, m.sealed(fmt.Sprintf("archive/k/%d", v)))
		require.Nil(t, m.sealed(fmt.Sprintf("versions/k/%d", v)))
	}
	m.ops("retire", "31d")
	m.advance(5 * time.Minute)
	for path, entry := range m.dump() {
		require.NotRegexp(t, "^archive/|^intents/", path)
		if bytes.HasPrefix([]byte(path), []byte("versions/")) {
			require.Nil(t, sealedIn(t, entry))
		}
	}
}

// hooked is the storage of one request, with something happening before an access.
type hooked struct {
	logical.Storage
	before func(verb, path string)
}

func (h hooked) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	h.before("get", path)
	return h.Storage.Get(ctx, path)
}

func (h hooked) Put(ctx context.Context, e *logical.StorageEntry) error {
	h.before("put", e.Key)
	return h.Storage.Put(ctx, e)
}

func TestARequestThatOverlapsAnArchivingLeavesNoCipherBehind(t *testing.T) {
	t.Parallel()
	m, c := underPolicy(t)
	m.restart()
	decided, moving, opened := make(chan struct{}), make(chan struct{}), make(chan answer, 1)
	go func() { // has seen the state of before, and opens the version while its material is being moved
		h := hooked{m.storage, func(verb, path string) {
			if path == "policies/p" {
				close(decided)
				<-moving
			}
		}}
		req := &logical.Request{Operation: logical.UpdateOperation, Path: "decrypt/k", Data: dataOf("ciphertext", c[2]), Storage: h}
		resp, err := m.HandleRequest(context.Background(), req)
		opened <- toAnswer(req, resp, err)
	}()
	<-decided
	h := hooked{m.storage, func(verb, path string) {
		if verb == "put" && path == "archive/k/2" {
			close(moving)
			require.Equal(t, 200, (<-opened).status)
		}
	}}
	req := &logical.Request{Operation: logical.UpdateOperation, Path: "keys/k/versions/2/archive", Data: dataOf("reason", why), Storage: h}
	resp, err := m.HandleRequest(context.Background(), req)
	require.Equal(t, 200, toAnswer(req, resp, err).status)
	require.NotContains(t, m.cached(), 2)
}

func TestTheFloorArchivesAsTransitDoesAndMovesNothing(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.storage.Reset()
	m.must(m.write("keys/k/config", "min_decryption_version", 3))
	require.Equal(t, 3, m.storage.Reset().Writes(), "the record, and two of custody")
	require.Equal(t, []string{"archived", "archived", "active"}, m.states())
	require.NotNil(t, m.sealed("versions/k/1"))
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "ciphertext or signature version is disallowed by policy (too old)", "archived")
	m.refused(m.write("encrypt/k", "plaintext", "", "key_version", 2), "no such key version", "archived")
	m.refused(m.op("versions/1/recover"), "min_decryption_version")
	m.must(m.write("keys/k/config", "min_decryption_version", 1))
	require.Equal(t, []string{"deactivated", "deactivated", "active"}, m.states())
	require.Equal(t, "secret", m.decrypt("k", c[1]))
	m.must(m.write("encrypt/k", "plaintext", "", "key_version", 2))
	m.refused(m.write("keys/k/config", "min_decryption_version", 4), "latest")
}

func TestTrimFollowsTransitsRules(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.refused(m.write("keys/k/trim"), "min_available_version")
	m.refused(m.write("keys/none/trim", "min_available_version", 1), "not found")
	m.refused(m.op("trim", "min_available_version", 2), "min_encryption_version must be set")
	m.must(m.write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 3))
	m.refused(m.op("trim", "min_available_version", 3), "min_decryption_version (2)")
	m.refused(m.op("trim", "min_available_version", 0), "at least 1")
	m.refused(m.op("trim", "min_available_version", 4), "min_available_version")
	trimmed := m.must(m.op("trim", "min_available_version", 2)).data
	require.Equal(t, 2, trimmed["min_available_version"])
	require.NotContains(t, trimmed["keys"], "1")
	require.Equal(t, []string{"destroyed", "deactivated", "active"}, m.states())
	m.refused(m.op("trim", "min_available_version", 1), "not below the one in force")
	m.refused(m.write("keys/k/config", "min_encryption_version", 0), "min_encryption_version")
	m.refused(m.write("keys/k/config", "min_decryption_version", 1), "min_decryption_version")
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "destroyed")
	require.Equal(t, "secret", m.decrypt("k", c[2]))
	governed, _ := underPolicy(t)
	governed.must(governed.write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
	governed.refused(governed.op("trim", "min_available_version", 2), `policy "p"`, "archive and retire")
}

func TestDeletionFollowsTransitsRules(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.refused(m.delete("keys/k"), "deletion_allowed")
	m.refused(m.delete("keys/none"), "not found")
	m.must(m.write("keys/k/config", "deletion_allowed", true))
	require.Equal(t, 204, m.delete("keys/k").status)
	require.Equal(t, 404, m.read("keys/k").status)
	require.Equal(t, 404, m.list("keys/k/versions").status)
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "not found")
	m.must(m.write("keys/k"))
	require.Equal(t, 400, m.write("decrypt/k", "ciphertext", c[1]).status, "another key of the same name")
	require.Equal(t, []string{"active"}, m.states())
}

func TestALegalHoldKeepsEverything(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	m.must(m.write("keys/k/config", "deletion_allowed", true, "min_decryption_version", 2, "min_encryption_version", 2))
	m.must(m.op("rotate", "stage", true))
	m.ops("versions/2/archive", "versions/2/retire", "versions/2/restore", "versions/2/retire", "versions/1/archive", "hold")
	require.Equal(t, true, m.read("keys/k").data["legal_hold"])
	for _, a := range []answer{
		m.op("versions/1/retire"), m.op("versions/4/retire"), m.op("trim", "min_available_version", 2), m.delete("keys/k"),
	} {
		m.refused(a, "legal hold")
	}
	m.leap(40 * 24 * time.Hour)
	require.Equal(t, "retired", m.state(2), "the clock keeps it too")
	m.ops("versions/3/compromise")
	m.refused(m.op("versions/3/retire"), "legal hold")
	m.ops("archive")
	m.refused(m.op("retire"), "legal hold")
	m.ops("recover", "versions/2/restore")
	m.must(m.op("hold", "hold", false))
	m.ops("versions/3/retire", "31d")
	require.Equal(t, "destroyed", m.state(3))
	m.must(m.delete("keys/k"))
}

func TestAPolicySaysWhetherSuspendedAndCompromisedVersionsDecrypt(t *testing.T) {
	t.Parallel()
	m, c := underPolicy(t)
	m.ops("versions/1/suspend", "versions/2/compromise")
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "suspended")
	m.must(m.write("decrypt/k", "ciphertext", c[2]))
	m.must(m.write("policies/p", "suspended_processing", "allow", "compromised_processing", "deny"))
	m.must(m.write("decrypt/k", "ciphertext", c[1]))
	m.refused(m.write("decrypt/k", "ciphertext", c[2]), "compromised")
	m.refused(m.write("encrypt/k", "plaintext", "", "key_version", 1), "suspended")
}

func TestRewrappingLeadsAwayFromACompromisedVersionAndNotFromASuspendedOne(t *testing.T) {
	t.Parallel()
	m, c := underPolicy(t, "suspended_processing", "allow", "compromised_processing", "deny")
	m.ops("versions/1/suspend", "versions/2/compromise")
	m.must(m.write("rewrap/k", "ciphertext", c[2]))
	m.refused(m.write("rewrap/k", "ciphertext", c[1]), "suspended")
}

func TestACompromisedVersionIsOfNoUseWhileItsKeyIsStopped(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"suspend", "archive"} {
		m, c := keyOf3(t)
		m.ops("versions/2/compromise", way)
		m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	}
}
