// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// MountUUID is the identity of a mount, and the place of its storage.
func (s *Server) MountUUID(t testing.TB, mount string) string {
	t.Helper()
	mounts, err := s.client.Sys().ListMounts()
	require.NoError(t, err)
	m := mounts[mount+"/"]
	require.NotNil(t, m, "nothing is mounted at %s/", mount)
	return m.UUID
}

// Stored reads one storage entry of a mount, decrypted by Vault's barrier, exactly as the engine wrote it.
func (s *Server) Stored(t testing.TB, mount, key string) []byte {
	t.Helper()
	path := "sys/raw/logical/" + s.MountUUID(t, mount) + "/" + key
	data := s.Must(t, http.MethodGet, path+"?encoding=base64&compressed=false", nil)
	text, _ := data["value"].(string)
	value, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	require.NotEmpty(t, value, "storage entry %s is empty", key)
	return value
}

// StoredKeys lists the storage entries of a mount under a prefix that ends with a slash; nothing is an empty list.
func (s *Server) StoredKeys(t testing.TB, mount, prefix string) []string {
	t.Helper()
	reply := s.Do(t, "LIST", "sys/raw/logical/"+s.MountUUID(t, mount)+"/"+prefix, nil)
	if reply.Status == http.StatusNotFound {
		return nil
	}
	require.Equal(t, http.StatusOK, reply.Status, "%v", reply.Body)
	list, _ := reply.Data()["keys"].([]any)
	keys := make([]string, 0, len(list))
	for _, k := range list {
		keys = append(keys, k.(string))
	}
	return keys
}

// AllStored reads every storage entry of a mount, by its key.
func (s *Server) AllStored(t testing.TB, mount string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	folders := []string{""}
	for len(folders) > 0 {
		folder := folders[0]
		folders = folders[1:]
		for _, name := range s.StoredKeys(t, mount, folder) {
			if strings.HasSuffix(name, "/") {
				folders = append(folders, folder+name)
				continue
			}
			all[folder+name] = s.Stored(t, mount, folder+name)
		}
	}
	return all
}

// Store puts a storage entry of a mount, as somebody can who writes to Vault's storage and has the keys of its barrier. The engine is not
// asked.
func (s *Server) Store(t testing.TB, mount, key string, value []byte) {
	t.Helper()
	s.Must(t, http.MethodPut, "sys/raw/logical/"+s.MountUUID(t, mount)+"/"+key, map[string]any{
		"value": base64.StdEncoding.EncodeToString(value), "encoding": "base64",
	})
}
