// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package badclients_test asks a mount for what no client should ask for, at a number for which a Vault would take minutes. What needs
// the wire is in test/badclients.
package badclients_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/test/badclients/names"
)

// named is a mount with keys of names that a hostile client gave.
type named struct {
	*mounttest.Mount
	ciphertexts map[string]string // by the name of the key, which it is of
}

// keys are the names of the keys that there have to be, in alphabetical order.
func (m *named) keys() []string { return slices.Sorted(maps.Keys(m.ciphertexts)) }

// make makes a key, by a write or by encrypting with one that is not there.
func (m *named) make(name string, by int) {
	m.T.Helper()
	require.Empty(m.T, m.ciphertexts[name])
	if by%2 == 0 {
		require.Equal(m.T, name, m.Must(m.Write("keys/" + name)).Data["name"])
	}
	m.ciphertexts[name] = m.Encrypt(name, name)
}

// refuses demands that nothing can be done under a name, that no path takes what cannot be a name for one, and that the answer says what is
// wrong with what could be one.
func (m *named) refuses(n names.Name) {
	m.T.Helper()
	isWord := n.IsWord()
	for path, a := range map[string]mounttest.Answer{
		"keys":     m.Write("keys/" + n.Text),
		"read":     m.Read("keys/" + n.Text),
		"delete":   m.Delete("keys/" + n.Text),
		"encrypt":  m.Write("encrypt/"+n.Text, "plaintext", mounttest.B64("x")),
		"decrypt":  m.Write("decrypt/"+n.Text, "ciphertext", "vault:v1:"+mounttest.B64("x")),
		"policies": m.Write("policies/"+n.Text, "owner", "o"),
	} {
		require.True(m.T, a.Status >= 400 && a.Status < 500, "%s %s %.200q: %d %s", path, n.Kind, n.Text, a.Status, a.Err)
		if !isWord && !strings.Contains(n.Text, "/") {
			require.Contains(m.T, []int{http.StatusNotFound, http.StatusMethodNotAllowed}, a.Status, "%s %.200q leads to a handler: %s", path, n.Text, a.Err)
		}
		if isWord {
			require.Equal(m.T, http.StatusBadRequest, a.Status, "%s %.200q: %s", path, n.Text, a.Err)
			require.Regexp(m.T, `^name: ".+": (relative paths not supported|must have at most 1024 bytes)$`, a.Err)
		}
		require.Less(m.T, len(a.Err), 2048, "an answer is not as long as what was sent")
	}
}

// hold demands that each key is there, is the one of its name, opens what it made, and not what the next one made.
func (m *named) hold() {
	m.T.Helper()
	all := m.keys()
	require.Equal(m.T, all, m.Must(m.List("keys")).Data["keys"])
	for i, name := range all {
		require.Equal(m.T, name, m.Must(m.Read("keys/" + name)).Data["name"])
		require.Equal(m.T, name, m.Decrypt(name, m.ciphertexts[name]))
		next := all[(i+1)%len(all)] // which differs the least
		require.Equal(m.T, http.StatusBadRequest, m.Write("decrypt/"+name, "ciphertext", m.ciphertexts[next]).Status, "%q opens what %q made", name, next)
	}
}

// pages returns the names of keys as pages of a list have them.
func (m *named) pages(size int) (all []string) {
	m.T.Helper()
	after := ""
	for {
		page := m.Must(m.List("keys", "limit", size, "after", after)).Data["keys"].([]string)
		all = append(all, page...)
		if len(page) < size {
			return all
		}
		after = page[len(page)-1]
	}
}

func TestTenThousandHostileNamesAreKeysOfTheirOwnOrRefused(t *testing.T) {
	t.Parallel()
	m := &named{mounttest.New(t), map[string]string{}}
	for i, n := range names.Of(1, racetest.Size(t, 10_000)) {
		if n.IsGood() {
			m.make(n.Text, i)
		} else {
			m.refuses(n)
		}
	}
	m.hold()
	require.Equal(t, m.keys(), m.pages(997))
	m.Restart()
	m.hold()
	stored := map[string]int{}
	for path := range m.Storage.All() {
		folder, rest, _ := strings.Cut(path, "/")
		if folder == "keys" || folder == "versions" {
			name, _, _ := strings.Cut(rest, "/")
			require.NotEmpty(t, m.ciphertexts[name], path)
			stored[folder]++
		}
	}
	require.Equal(t, map[string]int{"keys": len(m.ciphertexts), "versions": len(m.ciphertexts)}, stored)
	mounttest.RequireCustodyWhole(t, m.Mount)

	for i, name := range m.keys() {
		if i%3 == 0 {
			m.Must(m.Write("keys/"+name+"/config", "deletion_allowed", true))
			m.Must(m.Delete("keys/" + name))
			require.Equal(t, http.StatusNotFound, m.Read("keys/"+name).Status)
			delete(m.ciphertexts, name)
		}
	}
	m.hold()
	mounttest.RequireCustodyWhole(t, m.Mount)
	require.NotContains(t, m.Log.String(), "[ERROR]")
}

// TestTheClockFindsKeysOfHostileNames has policies and keys of one name, as both stand in the paths of indexes.
func TestTheClockFindsKeysOfHostileNames(t *testing.T) {
	t.Parallel()
	m := &named{mounttest.New(t), map[string]string{}}
	for i, n := range names.Of(3, racetest.Size(t, 1_500)) {
		if !n.IsGood() {
			continue
		}
		m.Must(m.Write("policies/"+n.Text, "owner", "o", "rotation_period", "1h", "rotation_jitter", 0))
		m.make(n.Text, i)
		m.Must(m.Write("keys/"+n.Text+"/config", "policy", n.Text))
	}
	mounttest.RequireIndexed(t, m.Storage.All())
	m.Advance(time.Hour)
	for m.Status()["due"] != 0 {
		require.NoError(t, m.Tick())
	}
	mounttest.RequireIndexed(t, m.Storage.All())
	for _, name := range m.keys() {
		k := m.Must(m.Read("keys/" + name)).Data
		require.Equal(t, 2, k["latest_version"], "%q was not rotated once", name)
		require.Equal(t, name, k["policy"])
		require.Equal(t, name, m.Decrypt(name, m.ciphertexts[name]))
		require.Equal(t, 2, mounttest.VersionOf(m.Encrypt(name, "x")))
	}
	require.Len(t, m.Must(m.List("policies")).Data["keys"], len(m.ciphertexts))
	mounttest.RequireCustodyWhole(t, m.Mount)
	require.NotContains(t, m.Log.String(), "[ERROR]")
}
