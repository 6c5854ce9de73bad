// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package sealed_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/sealed"
)

var update = flag.Bool("update", false, "write the vectors anew")

const vectorsPath = "../../testdata/sealed.json"

// vectors is one sealed file, for every language.
type vectors struct {
	About      string   `json:"about"`
	SealingKey string   `json:"sealing_key"`
	Nonce      string   `json:"nonce"`
	Address    string   `json:"address"`
	Namespace  string   `json:"namespace"`
	Mount      string   `json:"mount"`
	Written    int64    `json:"written"`
	Keys       []member `json:"keys"`
	Content    string   `json:"content"`
	File       string   `json:"file"`
}

// member has the members that the format names, spelled here again.
type member struct {
	Name     string `json:"name"`
	EDK      string `json:"edk"`
	Key      string `json:"key"`
	Protect  int64  `json:"protect"`
	Process  int64  `json:"process"`
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
	Made     int64  `json:"made"`
}

func TestTheVectorIsWhatIsWrittenAndRead(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	text, err := os.ReadFile(vectorsPath)
	require.NoError(t, err)
	var v vectors
	require.NoError(t, json.Unmarshal(text, &v))
	key, err := hex.DecodeString(v.SealingKey)
	require.NoError(t, err)
	file, err := hex.DecodeString(v.File)
	require.NoError(t, err)

	f := &sealed.File{
		Path: filepath.Join(t.TempDir(), "cache"), Sealer: sealer(key), For: time.Hour,
		Binding: sealed.Binding{Address: v.Address, Namespace: v.Namespace, Mount: v.Mount},
	}
	require.NoError(t, os.WriteFile(f.Path, file, 0o600))
	loaded, err := f.Load(time.Unix(v.Written, 0))
	require.NoError(t, err)
	require.Equal(t, v.Keys, members(loaded))

	content, err := sealed.Encode(time.Unix(v.Written, 0), loaded)
	require.NoError(t, err)
	require.Equal(t, v.Content, string(content))
	require.Equal(t, v.File, sealWithNonce(t, v))
}

func members(keys []sealed.DataKey) (out []member) {
	for _, k := range keys {
		out = append(out, member{k.Name, k.EDK, base64.StdEncoding.EncodeToString(k.Key), k.Protect, k.Process, k.Messages, k.Bytes, k.Made})
	}
	return out
}

// sealWithNonce is the format by hand.
func sealWithNonce(t *testing.T, v vectors) string {
	t.Helper()
	key, err := hex.DecodeString(v.SealingKey)
	require.NoError(t, err)
	nonce, err := hex.DecodeString(v.Nonce)
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	aad := "KLC1" + v.Address + "\n" + v.Namespace + "\n" + v.Mount
	return hex.EncodeToString(gcm.Seal(append([]byte("KLC1"), nonce...), nonce, []byte(v.Content), []byte(aad)))
}

func writeVectors(t *testing.T) {
	t.Helper()
	content, err := sealed.Encode(written, someKeys())
	require.NoError(t, err)
	v := vectors{
		About:      "The file in which clients keep data keys for a start without Vault. file is hex; content is its JSON. Which members there are is the format; their order and spaces are not.",
		SealingKey: hex.EncodeToString(sealingKey), Nonce: "a0a1a2a3a4a5a6a7a8a9aaab",
		Address: engine.Address, Namespace: engine.Namespace, Mount: engine.Mount, Written: written.Unix(), Keys: members(someKeys()), Content: string(content),
	}
	v.File = sealWithNonce(t, v)
	text, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(vectorsPath, append(text, '\n'), 0o600))
}
