// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const interchanged = 3 // versions per key

// Key material that both engines hold must serve for both: every byte of a ciphertext is Transit's, but for the nonces of
// convergent keys with associated data, which Transit reads all the same.
func TestTransitAndKeylifeOpenEachOthersCiphertexts(t *testing.T) {
	s := server(t)
	transit, keylife := freshPair(t, s)
	for _, f := range flavours() {
		t.Run(f.String(), func(t *testing.T) {
			name := fmt.Sprintf("interchange-%s-%s", f.kind, f.mode)
			s.Must(t, http.MethodPost, keylife+"/keys/"+name, object("type", f.kind, "derived", f.derived(), "convergent_encryption", f.mode == "convergent"))
			for range interchanged - 1 {
				s.Must(t, http.MethodPost, keylife+"/keys/"+name+"/rotate", nil)
			}
			restore(t, s, transit, name, f, materialOf(t, s, keylife, name))
			for version := 1; version <= interchanged; version++ {
				for _, aad := range []string{"", aad} {
					interchange(t, s, pair{transit, keylife, name}, f, version, aad)
				}
			}
		})
	}
}

// pair is one key that both engines hold.
type pair struct{ transit, keylife, name string }

func interchange(t *testing.T, s *harness.Server, p pair, f flavour, version int, aad string) {
	t.Helper()
	ours, theirs := sealAt(t, s, p.keylife, p.name, f, version, aad), sealAt(t, s, p.transit, p.name, f, version, aad)
	require.Equal(t, hello, openAt(t, s, p.transit, p.name, f, ours, aad), "Transit opens keylife's version %d", version)
	require.Equal(t, hello, openAt(t, s, p.keylife, p.name, f, theirs, aad), "keylife opens Transit's version %d", version)
	require.Equal(t, f.mode == "convergent" && aad == "", ours == theirs, "%q and %q", ours, theirs)
}

// keyring and version are the stored records, as far as they are needed here: see internal/store.
type keyring struct {
	Instance string `json:"instance"`
	ID       []byte `json:"id"`
	Key      []byte `json:"key"`
}

type version struct {
	KeyID   string    `json:"key_id"`
	Created time.Time `json:"created"`
	Sealed  []byte    `json:"sealed"`
}

// materialOf opens all versions of a key from the mount's storage, the way the engine does.
func materialOf(t testing.TB, s *harness.Server, mount, name string) []secret {
	t.Helper()
	var all []secret
	for n := 1; n <= interchanged; n++ {
		all = append(all, openStored(t, s, mount, name, n, inUse))
	}
	return all
}

// place is where the material of a version is stored, and what it is sealed with there.
type place struct{ folder, kek, purpose string }

var (
	inUse     = place{"versions", "config/kek", "use"}
	inArchive = place{"archive", "config/archive-kek", "archive"}
)

// openStored opens one version of a key from the mount's storage.
func openStored(t testing.TB, s *harness.Server, mount, name string, number int, at place) secret {
	t.Helper()
	var ring keyring
	require.NoError(t, json.Unmarshal(s.Stored(t, mount, at.kek), &ring))
	require.Len(t, ring.ID, 16)
	wrapper, err := hsm.NewSoftware([16]byte(ring.ID), ring.Key, rand.Reader)
	require.NoError(t, err)
	kind, _ := s.Must(t, http.MethodGet, mount+"/keys/"+name, nil)["type"].(string)
	v := storedVersion(t, s, mount, name, number, at)
	material, err := envelope.Open(context.Background(), wrapper, v.Sealed, envelope.Binding{
		Instance: ring.Instance, KeyID: v.KeyID, Version: number, Algorithm: envelope.Algorithm(kind), Purpose: at.purpose,
	})
	require.NoError(t, err)
	key, hmacKey := material.Reveal()
	return secret{Key: key, HMACKey: hmacKey, Time: v.Created}
}

// storedVersion reads the record of one version.
func storedVersion(t testing.TB, s *harness.Server, mount, name string, number int, at place) version {
	t.Helper()
	var v version
	require.NoError(t, json.Unmarshal(s.Stored(t, mount, fmt.Sprintf("%s/%s/%d", at.folder, name, number)), &v))
	return v
}
