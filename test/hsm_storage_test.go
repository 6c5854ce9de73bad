// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// sealedEntry is a storage entry with sealed material in it.
type sealedEntry struct {
	path   string
	sealed []byte
	kek    string // id of the key that wraps it
}

// sealedEntries finds sealed material wherever in a mount's storage it is, at whatever depth of a record.
func (s tokenServer) sealedEntries(t testing.TB, mount string) (all []sealedEntry) {
	t.Helper()
	entries := s.AllStored(t, mount)
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		var record any
		if json.Unmarshal(entries[path], &record) != nil {
			require.NotContains(t, string(entries[path]), "KLW1", "%s is no JSON", path)
			continue
		}
		for _, blob := range blobsIn(record) {
			all = append(all, sealedEntry{path, blob, kekOf(t, blob)})
		}
	}
	return all
}

// blobsIn finds texts of base64 that begin as blobs do.
func blobsIn(value any) (blobs [][]byte) {
	switch v := value.(type) {
	case map[string]any:
		for _, member := range v {
			blobs = append(blobs, blobsIn(member)...)
		}
	case []any:
		for _, element := range v {
			blobs = append(blobs, blobsIn(element)...)
		}
	case string:
		var bytes []byte
		if json.Unmarshal([]byte(strconv.Quote(v)), &bytes) == nil && strings.HasPrefix(string(bytes), "KLW1") {
			blobs = append(blobs, bytes)
		}
	}
	return blobs
}

func kekOf(t testing.TB, blob []byte) string {
	t.Helper()
	n := int(blob[4])<<8 | int(blob[5]) // "KLW1" | wrapped_len u16 | wrapped
	id, err := hsm.KEKIDOf(blob[6 : 6+n])
	require.NoError(t, err)
	return fmt.Sprintf("%x", id)
}

// openedBySoftware lists the entries whose material opens with a key that lies in the storage, under whatever name the key is given.
func (s tokenServer) openedBySoftware(t testing.TB, mount string) (paths []string) {
	t.Helper()
	keys, instance := s.softwareKEKs(t, mount)
	require.Len(t, keys, 2)
	for _, entry := range s.sealedEntries(t, mount) {
		for _, key := range keys {
			if s.opens(t, mount, instance, entry, key) {
				paths = append(paths, entry.path)
			}
		}
	}
	return paths
}

// opens tells whether a key of 32 bytes opens what an entry holds.
func (s tokenServer) opens(t testing.TB, mount, instance string, entry sealedEntry, key []byte) bool {
	t.Helper()
	parts := strings.Split(entry.path, "/") // versions/<name>/<n>, archive/<name>/<n>
	require.Len(t, parts, 3, "sealed material is where versions are")
	version, err := strconv.Atoi(parts[2])
	require.NoError(t, err)
	id, err := hex.DecodeString(entry.kek)
	require.NoError(t, err)
	wrapper, err := hsm.NewSoftware([16]byte(id), key, rand.Reader)
	require.NoError(t, err)
	var record struct{ ID, Type string }
	require.NoError(t, json.Unmarshal(s.Stored(t, mount, "keys/"+parts[1]), &record))
	purpose := map[string]string{"versions": envelope.PurposeOnline, "archive": envelope.PurposeArchive}[parts[0]]
	_, err = envelope.Open(t.Context(), wrapper, entry.sealed, envelope.Binding{
		Instance: instance, KeyID: record.ID, Version: version, Algorithm: envelope.Algorithm(record.Type), Purpose: purpose,
	})
	return err == nil
}

// softwareKEKs are the key encryption keys that lie in the storage.
func (s tokenServer) softwareKEKs(t testing.TB, mount string) (keys [][]byte, instance string) {
	t.Helper()
	for _, path := range []string{"config/kek", "config/archive-kek"} {
		var record struct {
			Instance string
			Key      []byte
		}
		require.NoError(t, json.Unmarshal(s.Stored(t, mount, path), &record))
		keys, instance = append(keys, record.Key), record.Instance
	}
	return keys, instance
}

// sealedByOthers lists the entries that another key wraps than the active one of their purpose.
func (s tokenServer) sealedByOthers(t testing.TB, mount string) (paths []string) {
	t.Helper()
	active, _ := s.status(t, mount)["active"].(map[string]any)
	entries := s.sealedEntries(t, mount)
	require.NotEmpty(t, entries)
	for _, entry := range entries {
		purpose := envelope.PurposeOnline
		if strings.HasPrefix(entry.path, "archive/") {
			purpose = envelope.PurposeArchive
		}
		if entry.kek != active[purpose] {
			paths = append(paths, entry.path)
		}
	}
	return paths
}

// stored is a storage entry.
type stored struct{ mount, path string }

// requireExchangesNoticed exchanges what lies in two places, and wants neither ciphertext to open to anything.
func (s tokenServer) requireExchangesNoticed(t *testing.T, texts map[string][]string) {
	for what, pair := range map[string][2]stored{
		"versions": {{"keylife", "versions/k/1"}, {"keylife", "versions/k/2"}},
		"keys":     {{"keylife", "versions/k/2"}, {"keylife", "versions/other/2"}},
		"mounts":   {{"keylife", "versions/other/2"}, {"second", "versions/other/2"}},
		"purposes": {{"keylife", "versions/other/2"}, {"keylife", "archive/other/1"}},
	} {
		for _, whole := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, whole entries: %t", what, whole), func(t *testing.T) { s.requireExchangeNoticed(t, pair, whole, texts) })
		}
	}
	s.ReloadPlugin(t)
	s.requireAllOpens(t, texts)
}

func (s tokenServer) requireExchangeNoticed(t *testing.T, pair [2]stored, whole bool, texts map[string][]string) {
	one, other := s.Stored(t, pair[0].mount, pair[0].path), s.Stored(t, pair[1].mount, pair[1].path)
	defer s.Store(t, pair[0].mount, pair[0].path, one)
	defer s.Store(t, pair[1].mount, pair[1].path, other)
	first, second := other, one
	if !whole {
		first, second = sealedAs(t, one, other), sealedAs(t, other, one)
	}
	s.Store(t, pair[0].mount, pair[0].path, first)
	s.Store(t, pair[1].mount, pair[1].path, second)
	s.ReloadPlugin(t)
	for _, at := range pair {
		folder, key, version := splitPlace(at.path)
		if folder != "versions" {
			continue
		}
		tried := 0
		for _, ciphertext := range texts[at.mount+"/"+key] {
			if strings.HasPrefix(ciphertext, "vault:v"+version+":") {
				reply := s.Do(t, http.MethodPost, at.mount+"/decrypt/"+key, object("ciphertext", ciphertext))
				require.GreaterOrEqual(t, reply.Status, http.StatusBadRequest, "%v", reply.Body)
				require.Regexp(t, "damaged|belongs|missing|not found", fmt.Sprint(reply.Body["errors"]))
				tried++
			}
		}
		require.Positive(t, tried, at)
	}
}

// sealedAs returns a record with the sealed material of another one.
func sealedAs(t *testing.T, record, other []byte) []byte {
	t.Helper()
	var fields, from map[string]any
	require.NoError(t, json.Unmarshal(record, &fields))
	require.NoError(t, json.Unmarshal(other, &from))
	require.NotEqual(t, fields["sealed"], from["sealed"])
	fields["sealed"] = from["sealed"]
	out, err := json.Marshal(fields)
	require.NoError(t, err)
	return out
}

func splitPlace(path string) (folder, key, version string) {
	parts := strings.Split(path, "/")
	return parts[0], parts[1], parts[2]
}
