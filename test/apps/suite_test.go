// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// engine is a mount that the library is used on.
type engine struct {
	server *harness.Server
	mount  string
}

// key makes a key of the engine and a client that may do all.
func (e engine) key(t *testing.T) *client.Key {
	t.Helper()
	return e.again(t, createKey(t, e.server, e.mount))
}

// again is the key of the name for another client, which knows no data key.
func (e engine) again(t *testing.T, name string) *client.Key {
	t.Helper()
	return e.as(t, e.server.Client().Token(), name)
}

// only is the key for a client that may do an op on it and nothing else.
func (e engine) only(t *testing.T, op, name string) *client.Key {
	t.Helper()
	policy := unique("only")
	allow(t, e.server, policy, e.mount+"/"+op+"/"+name)
	return e.as(t, token(t, e.server, policy), name)
}

func (e engine) as(t *testing.T, token, name string) *client.Key {
	t.Helper()
	c, err := client.New(client.Config{Vault: vault(t, e.server, token), Mount: e.mount})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c.Key(name)
}

// name is that of a key.
func name(t *testing.T, k *client.Key) string {
	t.Helper()
	info, err := client.Inspect(encrypt(t, k, "whose?"))
	require.NoError(t, err)
	return info.Key
}

func encrypt(t *testing.T, k *client.Key, plaintext string) []byte {
	t.Helper()
	message, err := k.Encrypt(t.Context(), []byte(plaintext), card)
	require.NoError(t, err)
	return message
}

func requireOpens(t *testing.T, k *client.Key, message []byte, plaintext string) {
	t.Helper()
	opened, err := k.Decrypt(t.Context(), message, card)
	require.NoError(t, err)
	require.Equal(t, plaintext, string(opened))
}

func requireState(t *testing.T, err error, version int) {
	t.Helper()
	var state *client.KeyStateError
	require.ErrorAs(t, err, &state)
	require.Equal(t, version, state.Version)
	require.NotEmpty(t, state.Reason)
}

func version(t *testing.T, message []byte) int {
	t.Helper()
	info, err := client.Inspect(message)
	require.NoError(t, err)
	return info.Version
}

var card = client.Context{"table": "cards", "row": "7"}

// suite is what the library does on any engine.
var suite = map[string]func(t *testing.T, e engine){
	"what is encrypted opens": func(t *testing.T, e engine) {
		k := e.key(t)
		requireOpens(t, k, encrypt(t, k, "4111"), "4111")
		requireOpens(t, k, encrypt(t, k, ""), "")
		text, err := k.EncryptText(t.Context(), []byte("4111"), card)
		require.NoError(t, err)
		requireOpens(t, k, []byte(text), "4111")
	},
	"another client opens it": func(t *testing.T, e engine) {
		k := e.key(t)
		requireOpens(t, e.again(t, name(t, k)), encrypt(t, k, "4111"), "4111")
	},
	"many are opened at once": func(t *testing.T, e engine) {
		k := e.key(t)
		messages := [][]byte{encrypt(t, k, "0"), encrypt(t, e.again(t, name(t, k)), "1"), encrypt(t, e.again(t, name(t, k)), "2")}
		opened, err := e.again(t, name(t, k)).DecryptMany(t.Context(), messages, card)
		require.NoError(t, err)
		require.Equal(t, [][]byte{[]byte("0"), []byte("1"), []byte("2")}, opened)
	},
	"a rotation is noticed": func(t *testing.T, e engine) {
		k := e.key(t)
		old := encrypt(t, k, "old")
		rotate(t, e.server, e.mount, name(t, k))
		require.NoError(t, k.Refresh(t.Context()))
		now, err := k.Version(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int{1, 2, 2}, []int{version(t, old), version(t, encrypt(t, k, "new")), now})
		requireOpens(t, k, old, "old")
	},
	"rewrap moves a message to the newest version": func(t *testing.T, e engine) {
		k := e.key(t)
		old := encrypt(t, k, "old")
		rotate(t, e.server, e.mount, name(t, k))
		moved, err := e.only(t, "rewrap", name(t, k)).Rewrap(t.Context(), [][]byte{old})
		require.NoError(t, err)
		require.Equal(t, 2, version(t, moved[0]))
		requireOpens(t, e.again(t, name(t, k)), moved[0], "old")
	},
	"a stream opens, also when it has been rewrapped": func(t *testing.T, e engine) {
		k := e.key(t)
		plaintext := make([]byte, 3<<20+1)
		_, _ = rand.Read(plaintext)
		var stream, moved bytes.Buffer
		w, err := k.EncryptStream(t.Context(), &stream, card)
		require.NoError(t, err)
		_, err = w.Write(plaintext)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		rotate(t, e.server, e.mount, name(t, k))
		require.NoError(t, k.RewrapStream(t.Context(), &moved, bytes.NewReader(stream.Bytes())))
		require.Equal(t, []int{1, 2}, []int{version(t, stream.Bytes()), version(t, moved.Bytes())})
		for _, message := range []*bytes.Buffer{&stream, &moved} {
			r, err := e.again(t, name(t, k)).DecryptStream(t.Context(), message, card)
			require.NoError(t, err)
			opened, err := io.ReadAll(r)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plaintext, opened))
		}
	},
	"a message opens with its context only": func(t *testing.T, e engine) {
		k := e.key(t)
		_, err := k.Decrypt(t.Context(), encrypt(t, k, "4111"), client.Context{"table": "cards", "row": "8"})
		require.ErrorIs(t, err, client.ErrInvalidMessage)
	},
	"a message opens with its key only": func(t *testing.T, e engine) {
		_, err := e.key(t).Decrypt(t.Context(), encrypt(t, e.key(t), "4111"), card)
		require.ErrorIs(t, err, client.ErrInvalidMessage)
	},
	"a key that is not there is refused": func(t *testing.T, e engine) {
		absent := e.again(t, unique("absent"))
		_, err := absent.Encrypt(t.Context(), []byte("4111"), card)
		requireState(t, err, 0)
		_, err = absent.Decrypt(t.Context(), encrypt(t, e.key(t), "4111"), card)
		requireState(t, err, 0)
	},
	"a version below min_decryption_version is refused": func(t *testing.T, e engine) {
		k := e.key(t)
		old := encrypt(t, k, "old")
		rotate(t, e.server, e.mount, name(t, k))
		e.server.Must(t, http.MethodPost, e.mount+"/keys/"+name(t, k)+"/config", map[string]any{"min_decryption_version": 2})
		_, err := e.again(t, name(t, k)).Decrypt(t.Context(), old, card)
		var state *client.KeyStateError
		require.ErrorAs(t, err, &state)
	},
	"a token without a right is refused": func(t *testing.T, e engine) {
		k := e.key(t)
		stranger := e.only(t, "decrypt", "another")
		_, err := stranger.Encrypt(t.Context(), []byte("4111"), card)
		require.ErrorIs(t, err, client.ErrAccessDenied)
		_, err = e.only(t, "datakey/plaintext", name(t, k)).Decrypt(t.Context(), encrypt(t, k, "4111"), card)
		require.ErrorIs(t, err, client.ErrAccessDenied)
	},
	"a use needs its own right only": func(t *testing.T, e engine) {
		k := e.key(t)
		producer := e.only(t, "datakey/plaintext", name(t, k))
		message := encrypt(t, producer, "4111")
		require.NoError(t, producer.Refresh(t.Context()))
		requireOpens(t, producer, message, "4111") // as it has the data key
		requireOpens(t, e.only(t, "decrypt", name(t, k)), message, "4111")
	},
}

func TestTheLibraryOnBothEngines(t *testing.T) {
	t.Parallel()
	for _, mount := range []string{"keylife", "transit"} {
		t.Run(mount, func(t *testing.T) {
			t.Parallel()
			for what, test := range suite {
				t.Run(what, func(t *testing.T) { test(t, engine{server(t), mount}) })
			}
		})
	}
}
