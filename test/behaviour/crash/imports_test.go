// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package crash_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// importCrash is an import whose every storage write is made to fail once.
type importCrash struct {
	name    string
	prepare func(m *mounttest.Mount)
	body    func(m *mounttest.Mount) []any
	path    string
	done    func(m *mounttest.Mount) bool // the import is in force
	least   int
	public  bool // there is no private half afterwards
}

func TestAnImportSurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	private, public := mounttest.OutsideRSA(t)
	_, otherPublic := mounttest.OutsideRSA(t)
	first, second := mounttest.Certified(t, public), mounttest.Certified(t, public)
	mounttest.NewForImports(t)
	for i, x := range []importCrash{
		{
			name: "a key", path: "keys/k/import", least: 4,
			body: func(m *mounttest.Mount) []any { return []any{"ciphertext", m.Wrapped(bytes.Repeat([]byte{7}, 32))} },
			done: func(m *mounttest.Mount) bool { return m.Read("keys/k").Status == 200 },
		},
		{
			name: "a version", path: "keys/k/import_version", least: 4,
			prepare: func(m *mounttest.Mount) {
				m.Must(m.Write("keys/k/import", "ciphertext", m.Wrapped(bytes.Repeat([]byte{7}, 32))))
			},
			body: func(m *mounttest.Mount) []any { return []any{"ciphertext", m.Wrapped(bytes.Repeat([]byte{8}, 32))} },
			done: func(m *mounttest.Mount) bool { return m.Must(m.Read("keys/k")).Data["latest_version"] != 1 },
		},
		{
			name: "a version that has to be another one", path: "keys/k/import_version", least: 4,
			prepare: func(m *mounttest.Mount) {
				m.Must(m.Write("policies/p", "owner", "o", "post_checks", "fingerprint_unique"))
				m.Must(m.Write("keys/k/import", "policy", "p", "ciphertext", m.Wrapped(bytes.Repeat([]byte{7}, 32))))
			},
			body: func(m *mounttest.Mount) []any { return []any{"ciphertext", m.Wrapped(bytes.Repeat([]byte{8}, 32))} },
			done: func(m *mounttest.Mount) bool { return slices.Contains(m.StatesOf("k")[1:], "active") },
		},
		{
			name: "a public half", path: "keys/k/import", least: 4, public: true,
			body: func(*mounttest.Mount) []any { return []any{"type", "rsa-2048", "public_key", public} },
			done: func(m *mounttest.Mount) bool { return m.Read("keys/k").Status == 200 },
		},
		{
			name: "the public half of a version", path: "keys/k/import_version", least: 4, public: true,
			prepare: func(m *mounttest.Mount) {
				m.Must(m.Write("keys/k/import", "type", "rsa-2048", "ciphertext", m.Wrapped(private)))
			},
			body: func(*mounttest.Mount) []any { return []any{"public_key", otherPublic} },
			done: func(m *mounttest.Mount) bool { return m.Must(m.Read("keys/k")).Data["latest_version"] != 1 },
		},
		{
			name: "a private half", path: "keys/k/import_version", least: 4,
			prepare: func(m *mounttest.Mount) {
				m.Must(m.Write("keys/k/import", "type", "rsa-2048", "public_key", public))
			},
			body: func(m *mounttest.Mount) []any { return []any{"ciphertext", m.Wrapped(private), "version", 1} },
			done: func(m *mounttest.Mount) bool { return opens(m, m.Encrypt("k", "secret")) },
		},
		{
			name: "a certificate", path: "keys/k/set-certificate", least: 4,
			prepare: func(m *mounttest.Mount) {
				m.Must(m.Write("keys/k/import", "type", "rsa-2048", "ciphertext", m.Wrapped(private)))
				m.Must(m.Write("keys/k/set-certificate", "certificate_chain", first))
			},
			body: func(*mounttest.Mount) []any { return []any{"certificate_chain", second} },
			done: func(m *mounttest.Mount) bool {
				shown := mounttest.CertificateChain(m, "k", 1)
				require.Contains(m.T, []string{first, second}, shown, "one of the two, whatever failed")
				return shown == second
			},
		},
	} {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", x.name, fate), func(t *testing.T) {
				t.Parallel()
				at := 1
				for x.crash(t, at, fate) {
					at++
				}
				require.Greater(t, at, x.least)
			})
		}
	}
}

// opens reports whether the key decrypts: a version without its private half does not.
func opens(m *mounttest.Mount, ciphertext string) bool {
	return m.Write("decrypt/k", "ciphertext", ciphertext).Status == 200
}

// crash makes the at-th write fail and returns whether there was one.
func (x importCrash) crash(t *testing.T, at int, fate storagetest.Fate) bool {
	t.Helper()
	m := mounttest.NewForImports(t)
	if x.prepare != nil {
		x.prepare(m)
	}
	body := x.body(m)
	m.Storage.FailWriteAs(at, fate)
	answer := m.Write(x.path, body...)
	fired := m.Storage.Fired()
	m.Storage.Heal()
	if !fired {
		m.Must(answer)
		require.True(t, x.done(m))
		return false
	}
	settleBeforeItLands(m, fate)
	if at%2 == 0 {
		m.Restart()
	}
	require.NoError(t, m.Tick())
	mounttest.RequireTrueCustody(t, m)
	done := x.done(m)
	if answer.Status < 300 {
		require.True(t, done, "what was answered holds")
	}
	m.Restart()
	require.Equal(t, done, x.done(m), "in memory and stored are one")
	again := m.Write(x.path, body...)
	if !done {
		m.Must(again)
	}
	require.True(t, x.done(m))
	require.Equal(t, !x.public, opens(m, m.Encrypt("k", "secret")))
	mounttest.RequireTrueCustody(t, m)
	for path := range m.Storage.All() {
		require.NotRegexp(t, "^intents/", path)
	}
	return true
}

func TestTheWrappingKeySurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	racetest.Skip(t, "making RSA keys takes seconds, and one goroutine works alone")
	for _, fate := range []storagetest.Fate{storagetest.Lost, storagetest.Applied} {
		t.Run(fmt.Sprint(fate), func(t *testing.T) {
			t.Parallel()
			at := 1
			for wrappingKeyCrash(t, at, fate) {
				at++
			}
			require.Greater(t, at, 4)
		})
	}
}

func wrappingKeyCrash(t *testing.T, at int, fate storagetest.Fate) bool {
	t.Helper()
	m := mounttest.New(t)
	m.Must(m.Write("keys/other"))
	m.Storage.FailWriteAs(at, fate)
	first := m.Read("wrapping_key")
	fired := m.Storage.Fired()
	m.Storage.Heal()
	if !fired {
		m.Must(first)
		return false
	}
	require.NoError(t, m.Tick())
	again := m.Must(m.Read("wrapping_key")).Data["public_key"]
	if first.Status == 200 {
		require.Equal(t, first.Data["public_key"], again, "there is one, whatever failed")
	}
	m.Restart()
	require.Equal(t, again, m.Must(m.Read("wrapping_key")).Data["public_key"])
	require.Equal(t, []string{"other"}, m.Must(m.List("keys")).Data["keys"])
	return true
}
