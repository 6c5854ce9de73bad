// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package badclients_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/badclients/names"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// hostile is a mount with keys of names that a hostile client gave over HTTP.
type hostile struct {
	*besieged
	mount string

	mu          sync.Mutex
	ciphertexts map[string]any // by the name of the key, which it is of
}

// send sends a body, or none, to a path that ends with a name, of which all bytes or those that have to be are encoded.
func (h *hostile) send(method, path, name string, wholly bool, body any) harness.Reply {
	h.t.Helper()
	wire := url.PathEscape(name)
	if wholly {
		wire = "%" + strings.ReplaceAll(fmt.Sprintf("% x", name), " ", "%")
	}
	r, err := h.Send(harness.Request{Method: method, Path: h.mount + "/" + path + "/" + wire, Body: body})
	assert.NoError(h.t, err, "%s %s %.200q", method, path, name)
	return r
}

// make makes a key, and uses it.
func (h *hostile) make(name string, wholly bool) {
	h.t.Helper()
	if wholly { // the others are made by encrypting with them
		r := h.send(http.MethodPost, "keys", name, wholly, nil)
		assert.Equal(h.t, http.StatusOK, r.Status, "%.200q: %v", name, r.Body)
	}
	r := h.send(http.MethodPost, "encrypt", name, wholly, map[string]any{"plaintext": hello})
	assert.Equal(h.t, http.StatusOK, r.Status, "%.200q: %v", name, r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	assert.Nil(h.t, h.ciphertexts[name])
	h.ciphertexts[name] = r.Data()["ciphertext"]
}

// refuses demands that nothing can be done under a name. A path that is no UTF-8 is none that Vault can hand to a plugin: it answers 500 by
// itself. One with a slash Vault may lead elsewhere, as it does for all engines.
func (h *hostile) refuses(n names.Name, wholly bool) {
	h.t.Helper()
	for _, path := range []string{"keys", "encrypt"} {
		r := h.send(http.MethodPost, path, n.Text, wholly, map[string]any{"plaintext": hello})
		switch {
		case !utf8.ValidString(n.Text):
			assert.Contains(h.t, []int{http.StatusBadRequest, http.StatusInternalServerError}, r.Status, "%.200q: %v", n.Text, r.Body)
			continue
		case strings.Contains(n.Text, "/"):
			assert.Less(h.t, r.Status, 500, "%s %.200q: %v", path, n.Text, r.Body)
			continue
		}
		assert.True(h.t, r.Status >= 400 && r.Status < 500, "%s %s %.200q: %d %v", path, n.Kind, n.Text, r.Status, r.Body)
		if n.IsWord() {
			assert.Regexp(h.t, `name: ".+": (relative paths not supported|must have at most 1024 bytes)`, fmt.Sprint(r.Body["errors"]))
		}
	}
}

// hostileNamesAreKeysOfTheirOwnOrRefused sends a sample of what test/behaviour/badclients asks a mount in memory for: what Vault, HTTP and
// gRPC make of names on their way.
func hostileNamesAreKeysOfTheirOwnOrRefused(t *testing.T, b *besieged) {
	h := &hostile{besieged: b, mount: "hostile", ciphertexts: map[string]any{}}
	b.Mount(t, h.mount, harness.PluginName)
	all := slices.DeleteFunc(names.Of(2, 400), func(n names.Name) bool { return len(n.Text) > 2*names.Longest }) // over which Vault itself takes long
	const clients = 4
	var wait sync.WaitGroup
	for c := range clients {
		wait.Go(func() {
			for i := c; i < len(all); i += clients {
				if wholly := i/clients%2 == 0; all[i].IsGood() {
					h.make(all[i].Text, wholly)
				} else {
					h.refuses(all[i], wholly)
				}
			}
		})
	}
	wait.Wait()
	require.False(t, t.Failed())
	keys := slices.Sorted(maps.Keys(h.ciphertexts))
	require.Greater(t, len(keys), len(all)/5)
	var listed []string
	for _, name := range b.Must(t, "LIST", h.mount+"/keys", nil)["keys"].([]any) {
		listed = append(listed, name.(string))
	}
	require.Equal(t, keys, listed)
	for i, name := range keys {
		require.Equal(t, name, h.send(http.MethodGet, "keys", name, i%2 == 0, nil).Data()["name"])
		own := h.send(http.MethodPost, "decrypt", name, i%2 == 0, map[string]any{"ciphertext": h.ciphertexts[name]})
		require.Equal(t, hello, own.Data()["plaintext"], "%.200q: %v", name, own.Body)
		next := keys[(i+1)%len(keys)]
		others := h.send(http.MethodPost, "decrypt", name, i%2 == 0, map[string]any{"ciphertext": h.ciphertexts[next]})
		require.Equal(t, http.StatusBadRequest, others.Status, "%.200q opens what %.200q made", name, next)
	}
	require.Equal(t, true, b.Must(t, http.MethodPost, h.mount+"/custody/verify", nil)["valid"])
}
