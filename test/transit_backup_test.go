// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// secret is the material of one key version in the clear, as Transit's backups hold it.
type secret struct {
	Key     []byte    `json:"key"`
	HMACKey []byte    `json:"hmac_key"`
	Time    time.Time `json:"time"`
	Created int64     `json:"creation_time"`
	// Convergent is the scheme of a convergent key: 3 for all that is made today.
	Convergent int `json:"convergent_version,omitempty"`
}

// transitTypes are the numbers keysutil gives the types.
var transitTypes = map[string]int{"aes256-gcm96": 0, "chacha20-poly1305": 5, "aes128-gcm96": 8}

// backupOf writes the backup that Transit would have made of a key with these versions:
//
//	base64({"policy": {…, "keys": {"1": {…}, …}}, "archived_keys": {"keys": [{}, {v1}, {v2}, …]}})
//
// The first slot of the archive is empty, so that a version is its own index.
func backupOf(t testing.TB, name string, f flavour, versions []secret) string {
	t.Helper()
	keys, archive := map[string]secret{}, []secret{{}}
	for i, v := range versions {
		v.Created = v.Time.Unix()
		if f.mode == "convergent" {
			v.Convergent = 3
		}
		keys[strconv.Itoa(i+1)] = v
		archive = append(archive, v)
	}
	policy := map[string]any{
		"name": name, "type": transitTypes[f.kind], "keys": keys, "kdf": 1, "derived": f.derived(),
		"convergent_encryption": f.mode == "convergent", "convergent_version": -1,
		"latest_version": len(versions), "archive_version": len(versions), "min_decryption_version": 1,
		"exportable": true, "allow_plaintext_backup": true,
	}
	backup, err := json.Marshal(map[string]any{"policy": policy, "archived_keys": map[string]any{"keys": archive}})
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(backup)
}

// restore gives Transit a key of known material.
func restore(t testing.TB, s *harness.Server, mount, name string, f flavour, versions []secret) {
	t.Helper()
	s.Must(t, http.MethodPost, mount+"/restore/"+name, map[string]any{"backup": backupOf(t, name, f, versions)})
}

// The interchange tests rest on the backup that backupOf writes; here it is held against Transit alone.
func TestTransitTakesTheBackupWeWrite(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, "transit")
	for _, f := range flavours() {
		t.Run(f.String(), func(t *testing.T) {
			name := fmt.Sprintf("restored-%s-%s", f.kind, f.mode)
			versions := []secret{madeUp(t, f.kind), madeUp(t, f.kind), madeUp(t, f.kind)}
			restore(t, s, mount, name, f, versions)
			exported := s.Must(t, http.MethodGet, mount+"/export/encryption-key/"+name, nil)["keys"]
			require.Equal(t, map[string]any{
				"1": base64.StdEncoding.EncodeToString(versions[0].Key),
				"2": base64.StdEncoding.EncodeToString(versions[1].Key),
				"3": base64.StdEncoding.EncodeToString(versions[2].Key),
			}, exported)
			view := s.Must(t, http.MethodGet, mount+"/keys/"+name, nil)
			require.Equal(t, f.kind, view["type"])
			require.Equal(t, f.derived(), view["derived"])
			require.Equal(t, f.derived(), view["kdf"] == "hkdf_sha256")
			require.Equal(t, f.mode == "convergent", view["convergent_encryption"] == true)
			outliveAFloor(t, s, mount, name, f)
		})
	}
}

// outliveAFloor archives the first versions of a restored key and brings them back: the archive is in order.
func outliveAFloor(t *testing.T, s *harness.Server, mount, name string, f flavour) {
	t.Helper()
	sealed := sealAt(t, s, mount, name, f, 1, "")
	config := mount + "/keys/" + name + "/config"
	s.Must(t, http.MethodPost, config, map[string]any{"min_decryption_version": 3})
	s.Must(t, http.MethodPost, mount+"/keys/"+name+"/rotate", nil)
	s.Must(t, http.MethodPost, config, map[string]any{"min_decryption_version": 1})
	require.Equal(t, hello, openAt(t, s, mount, name, f, sealed, ""))
}

func madeUp(t testing.TB, kind string) secret {
	t.Helper()
	size := 32
	if kind == "aes128-gcm96" {
		size = 16
	}
	v := secret{Key: make([]byte, size), HMACKey: make([]byte, 32), Time: time.Now()}
	for _, b := range [][]byte{v.Key, v.HMACKey} {
		_, err := rand.Read(b)
		require.NoError(t, err)
	}
	return v
}

// sealAt encrypts hello with one version of a key; aad may be empty.
func sealAt(t testing.TB, s *harness.Server, mount, name string, f flavour, version int, aad string) string {
	t.Helper()
	body := f.body("plaintext", hello, "key_version", version, "associated_data", aad)
	ciphertext, _ := s.Must(t, http.MethodPost, mount+"/encrypt/"+name, body)["ciphertext"].(string)
	require.Contains(t, ciphertext, fmt.Sprintf("vault:v%d:", version))
	return ciphertext
}

// openAt decrypts; aad may be empty.
func openAt(t testing.TB, s *harness.Server, mount, name string, f flavour, ciphertext, aad string) string {
	t.Helper()
	body := f.body("ciphertext", ciphertext, "associated_data", aad)
	plaintext, _ := s.Must(t, http.MethodPost, mount+"/decrypt/"+name, body)["plaintext"].(string)
	return plaintext
}
