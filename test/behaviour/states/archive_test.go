// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// secrets returns what must be nowhere after version v is destroyed: sealed blobs and the opened keys.
func secrets(m *mounttest.Mount, v int) [][]byte {
	m.T.Helper()
	ctx, k := context.Background(), m.Storage.Key("k")
	ring, found, err := m.Storage.Store().KEKs().Keyring(ctx)
	require.NoError(m.T, err)
	require.True(m.T, found)
	blob, purpose, kek := m.Storage.Sealed(fmt.Sprintf("versions/k/%d", v)), envelope.PurposeOnline, ring.Use
	if blob == nil {
		blob, purpose, kek = m.Storage.Sealed(fmt.Sprintf("archive/k/%d", v)), envelope.PurposeArchive, ring.Archive
	}
	wrapper, err := hsm.NewSoftware(kek.ID, kek.Key, rand.Reader)
	require.NoError(m.T, err)
	material, err := envelope.Open(ctx, wrapper, blob, envelope.Binding{
		Instance: ring.Instance, KeyID: k.ID, Version: v, Algorithm: envelope.Algorithm(k.Type), Purpose: purpose,
	})
	require.NoError(m.T, err)
	key, hmacKey := material.Reveal()
	return [][]byte{blob, bytes.Clone(key), bytes.Clone(hmacKey)}
}

// stored tells which of the secrets are in storage, in any of the forms they could have there.
func stored(m *mounttest.Mount, secrets [][]byte) (paths []string) {
	m.T.Helper()
	for path, entry := range m.Storage.All() {
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

func TestArchivingMovesTheMaterialAndRecoveringBringsItBack(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.Decrypt("k", c[2])
	before := secrets(m, 2)
	require.Equal(t, []string{"versions/k/2"}, stored(m, before[:1]))
	m.K.Ops("versions/2/archive")
	require.NotContains(t, mounttest.Cached(m), 2)
	require.Nil(t, m.Storage.Sealed("versions/k/2"))
	require.NotNil(t, m.Storage.Sealed("archive/k/2"))
	require.Empty(t, stored(m, before), "the old blob is gone, and the keys were never in storage")
	require.Equal(t, before[1:], secrets(m, 2)[1:], "it is the same material")
	m.K.Ops("versions/2/recover")
	require.NotNil(t, m.Storage.Sealed("versions/k/2"))
	require.NotContains(t, m.Storage.All(), "archive/k/2")
	require.Equal(t, "secret", m.Decrypt("k", c[2]))
}

func TestWithoutTheArchiveKeyOnlyWhatIsArchivedIsLost(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	kek := m.Storage.All()["config/archive-kek"]
	require.NoError(t, m.Storage.Delete(t.Context(), "config/archive-kek"))
	m.Restart()
	m.K.Ops("versions/2/recover")
	for range 2 {
		lost := m.Write("decrypt/k", "ciphertext", c[2])
		require.Equal(t, 500, lost.Status)
		require.Contains(t, lost.Err, "config/archive-kek is missing: archived material cannot be read")
		require.Equal(t, "secret", m.Decrypt("k", c[1]))
		require.Equal(t, "secret", m.Decrypt("k", c[3]))
		m.K.Ops("rotate")
		m.Encrypt("k", "x")
		_ = m.Tick()
	}
	m.Must(m.Write("keys/other"))
	require.NotContains(t, m.Storage.All(), "config/archive-kek", "a new one would hide the loss")

	require.NoError(t, m.Storage.Put(t.Context(), &logical.StorageEntry{Key: "config/archive-kek", Value: kek}))
	m.Restart()
	m.Advance(2 * time.Minute)
	require.Equal(t, "secret", m.Decrypt("k", c[2]))
	require.NotContains(t, m.Storage.All(), "archive/k/2")
}

func TestDestroyedMaterialIsNowhere(t *testing.T) {
	t.Parallel()
	for name, destroy := range map[string]func(m *mounttest.Mount){
		"a version":             func(m *mounttest.Mount) { m.K.Ops("versions/2/archive", "versions/2/retire", "31d") },
		"a compromised version": func(m *mounttest.Mount) { m.K.Ops("versions/2/compromise", "versions/2/retire", "31d") },
		"a key":                 func(m *mounttest.Mount) { m.K.Ops("archive", "retire", "31d") },
		"the oldest, by trim": func(m *mounttest.Mount) {
			m.Must(m.Write("keys/k/config", "min_decryption_version", 3, "min_encryption_version", 3))
			m.Must(m.K.Op("trim", "min_available_version", 3))
		},
		"a version in the archive, by trim": func(m *mounttest.Mount) {
			m.K.Ops("versions/2/archive")
			m.Must(m.Write("keys/k/config", "min_decryption_version", 3, "min_encryption_version", 3))
			m.Must(m.K.Op("trim", "min_available_version", 3))
		},
		"a key, by deletion": func(m *mounttest.Mount) {
			m.K.Ops("versions/1/archive")
			m.Must(m.Write("keys/k/config", "deletion_allowed", true))
			m.Must(m.Delete("keys/k"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, c := mounttest.KeyOf3(t)
			m.Decrypt("k", c[2])
			held := secrets(m, 2)
			m.K.Ops("versions/2/archive")
			held = append(held, secrets(m, 2)...)
			m.K.Ops("versions/2/recover")
			held = append(held, secrets(m, 2)...)
			m.Decrypt("k", c[2])
			require.Contains(t, mounttest.Cached(m), 2)
			require.NotEmpty(t, stored(m, held), "the search finds what is there")
			destroy(m)
			require.Empty(t, stored(m, held))
			require.NotContains(t, mounttest.Cached(m), 2)
			require.Equal(t, 400, m.Write("decrypt/k", "ciphertext", c[2]).Status)
			require.NotContains(t, mounttest.Cached(m), 2)
			if m.Read("keys/k").Status == 200 {
				tombstone := m.Must(m.Read("keys/k/versions/2")).Data
				require.Equal(t, "destroyed", tombstone["state"])
				require.NotEmpty(t, tombstone["fingerprint"])
				require.NotEmpty(t, tombstone["created_time"])
			}
		})
	}
}

func TestManyVersionsAreMovedAndErasedAFewAtATime(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	m := mounttest.New(t)
	m.K.Make(200)
	m.K.Ops("archive")
	m.Advance(5 * time.Minute)
	for v := 1; v <= 200; v += 33 {
		require.NotNil(t, m.Storage.Sealed(fmt.Sprintf("archive/k/%d", v)))
		require.Nil(t, m.Storage.Sealed(fmt.Sprintf("versions/k/%d", v)))
	}
	m.K.Ops("retire", "31d")
	m.Advance(5 * time.Minute)
	for path := range m.Storage.All() {
		require.NotRegexp(t, "^archive/|^intents/", path)
		if bytes.HasPrefix([]byte(path), []byte("versions/")) {
			require.Nil(t, m.Storage.Sealed(path))
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
	m, c := mounttest.UnderPolicy(t)
	m.Restart()
	decided, moving, opened := make(chan struct{}), make(chan struct{}), make(chan mounttest.Answer, 1)
	go func() { // has seen the state of before, and opens the version while its material is being moved
		h := hooked{m.Storage, func(verb, path string) {
			if path == "policies/p" {
				close(decided)
				<-moving
			}
		}}
		req := &logical.Request{Operation: logical.UpdateOperation, Path: "decrypt/k", Data: mounttest.Data("ciphertext", c[2]), Storage: h}
		resp, err := m.HandleRequest(context.Background(), req)
		opened <- mounttest.ToAnswer(req, resp, err)
	}()
	<-decided
	h := hooked{m.Storage, func(verb, path string) {
		if verb == "put" && path == "archive/k/2" {
			close(moving)
			require.Equal(t, 200, (<-opened).Status)
		}
	}}
	req := &logical.Request{Operation: logical.UpdateOperation, Path: "keys/k/versions/2/archive", Data: mounttest.Data("reason", mounttest.Reason), Storage: h}
	resp, err := m.HandleRequest(context.Background(), req)
	require.Equal(t, 200, mounttest.ToAnswer(req, resp, err).Status)
	require.NotContains(t, mounttest.Cached(m), 2)
}

func TestTheFloorArchivesAsTransitDoesAndMovesNothing(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.Storage.Reset()
	m.Must(m.Write("keys/k/config", "min_decryption_version", 3))
	require.Equal(t, 3, m.Storage.Reset().Writes(), "the record, and two of custody")
	require.Equal(t, []string{"archived", "archived", "active"}, m.K.States())
	require.NotNil(t, m.Storage.Sealed("versions/k/1"))
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "ciphertext or signature version is disallowed by policy (too old)", "archived")
	m.Refused(m.Write("encrypt/k", "plaintext", "", "key_version", 2), "no such key version", "archived")
	m.Refused(m.K.Op("versions/1/recover"), "min_decryption_version")
	m.Must(m.Write("keys/k/config", "min_decryption_version", 1))
	require.Equal(t, []string{"deactivated", "deactivated", "active"}, m.K.States())
	require.Equal(t, "secret", m.Decrypt("k", c[1]))
	m.Must(m.Write("encrypt/k", "plaintext", "", "key_version", 2))
	m.Refused(m.Write("keys/k/config", "min_decryption_version", 4), "latest")
}

func TestTrimFollowsTransitsRules(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.Refused(m.Write("keys/k/trim"), "min_available_version")
	m.Refused(m.Write("keys/none/trim", "min_available_version", 1), "not found")
	m.Refused(m.K.Op("trim", "min_available_version", 2), "min_encryption_version must be set")
	m.Must(m.Write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 3))
	m.Refused(m.K.Op("trim", "min_available_version", 3), "min_decryption_version (2)")
	m.Refused(m.K.Op("trim", "min_available_version", 0), "at least 1")
	m.Refused(m.K.Op("trim", "min_available_version", 4), "min_available_version")
	trimmed := m.Must(m.K.Op("trim", "min_available_version", 2)).Data
	require.Equal(t, 2, trimmed["min_available_version"])
	require.NotContains(t, trimmed["keys"], "1")
	require.Equal(t, []string{"destroyed", "deactivated", "active"}, m.K.States())
	m.Refused(m.K.Op("trim", "min_available_version", 1), "not below the one in force")
	m.Refused(m.Write("keys/k/config", "min_encryption_version", 0), "min_encryption_version")
	m.Refused(m.Write("keys/k/config", "min_decryption_version", 1), "min_decryption_version")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "destroyed")
	require.Equal(t, "secret", m.Decrypt("k", c[2]))
	governed, _ := mounttest.UnderPolicy(t)
	governed.Must(governed.Write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
	governed.Refused(governed.K.Op("trim", "min_available_version", 2), `policy "p"`, "archive and retire")
}

func TestDeletionFollowsTransitsRules(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.Refused(m.Delete("keys/k"), "deletion_allowed")
	m.Refused(m.Delete("keys/none"), "not found")
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	require.Equal(t, 204, m.Delete("keys/k").Status)
	require.Equal(t, 404, m.Read("keys/k").Status)
	require.Equal(t, 404, m.List("keys/k/versions").Status)
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "not found")
	m.Must(m.Write("keys/k"))
	require.Equal(t, 400, m.Write("decrypt/k", "ciphertext", c[1]).Status, "another key of the same name")
	require.Equal(t, []string{"active"}, m.K.States())
}

func TestALegalHoldKeepsEverything(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	m.Must(m.Write("keys/k/config", "deletion_allowed", true, "min_decryption_version", 2, "min_encryption_version", 2))
	m.Must(m.K.Op("rotate", "stage", true))
	m.K.Ops("versions/2/archive", "versions/2/retire", "versions/2/restore", "versions/2/retire", "versions/1/archive", "hold")
	require.Equal(t, true, m.Read("keys/k").Data["legal_hold"])
	for _, a := range []mounttest.Answer{
		m.K.Op("versions/1/retire"), m.K.Op("versions/4/retire"), m.K.Op("trim", "min_available_version", 2), m.Delete("keys/k"),
	} {
		m.Refused(a, "legal hold")
	}
	m.Leap(40 * 24 * time.Hour)
	require.Equal(t, "retired", m.K.State(2), "the clock keeps it too")
	m.K.Ops("versions/3/compromise")
	m.Refused(m.K.Op("versions/3/retire"), "legal hold")
	m.K.Ops("archive")
	m.Refused(m.K.Op("retire"), "legal hold")
	m.K.Ops("recover", "versions/2/restore")
	m.Must(m.K.Op("hold", "hold", false))
	m.K.Ops("versions/3/retire", "31d")
	require.Equal(t, "destroyed", m.K.State(3))
	m.Must(m.Delete("keys/k"))
}

func TestAPolicySaysWhetherSuspendedAndCompromisedVersionsDecrypt(t *testing.T) {
	t.Parallel()
	m, c := mounttest.UnderPolicy(t)
	m.K.Ops("versions/1/suspend", "versions/2/compromise")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "suspended")
	m.Must(m.Write("decrypt/k", "ciphertext", c[2]))
	m.Must(m.Write("policies/p", "suspended_processing", "allow", "compromised_processing", "deny"))
	m.Must(m.Write("decrypt/k", "ciphertext", c[1]))
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]), "compromised")
	m.Refused(m.Write("encrypt/k", "plaintext", "", "key_version", 1), "suspended")
}

func TestRewrappingLeadsAwayFromACompromisedVersionAndNotFromASuspendedOne(t *testing.T) {
	t.Parallel()
	m, c := mounttest.UnderPolicy(t, "suspended_processing", "allow", "compromised_processing", "deny")
	m.K.Ops("versions/1/suspend", "versions/2/compromise")
	m.Must(m.Write("rewrap/k", "ciphertext", c[2]))
	m.Refused(m.Write("rewrap/k", "ciphertext", c[1]), "suspended")
}

func TestACompromisedVersionIsOfNoUseWhileItsKeyIsStopped(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"suspend", "archive"} {
		m, c := mounttest.KeyOf3(t)
		m.K.Ops("versions/2/compromise", way)
		m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	}
}
