// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package crash_test makes every storage write of every act fail once, in each way that a real one does. Whatever
// happened then, the key is whole, custody tells the truth, and the act can be done again.
package crash_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// act is a request whose every storage write is made to fail once.
type act struct {
	name       string
	prepare    func(m *mounttest.Mount)
	run        func(m *mounttest.Mount) mounttest.Answer
	again      func(m *mounttest.Mount) mounttest.Answer // a later try; nil: run
	after      func(t *testing.T, m *mounttest.Mount)
	unrecorded bool // nobody asks for it, or it is about no key
	twofold    bool // custody keeps two acts of it
}

var acts = []act{
	{
		name: "create the first key of a mount",
		run:  func(m *mounttest.Mount) mounttest.Answer { return m.Write("keys/k") },
	},
	{
		name:    "create a key under a policy",
		prepare: func(m *mounttest.Mount) { m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h")) },
		run:     func(m *mounttest.Mount) mounttest.Answer { return m.Write("keys/k", "policy", "p") },
	},
	{
		name: "create by encrypting",
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("encrypt/k", "plaintext", mounttest.B64("x"))
		},
	},
	{
		name:    "rotate",
		prepare: prepareKey,
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("keys/k/rotate", "reason", "because of a test")
		},
	},
	{
		name:    "rotate to another type",
		prepare: prepareKey,
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("keys/k/rotate", "type", "chacha20-poly1305", "reason", "because of a test")
		},
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, "chacha20-poly1305", m.Must(m.Read("keys/k")).Data["type"])
			require.NotEqual(t, "chacha20-poly1305", m.Must(m.Read("keys/k/versions/1")).Data["type"])
		},
	},
	{
		name: "rotate under a policy",
		prepare: func(m *mounttest.Mount) {
			m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h"))
			m.Must(m.Write("keys/k", "policy", "p"))
			m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
		},
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("keys/k/rotate", "reason", "because of a test")
		},
	},
	{
		name:    "rotate across a page of creation times",
		prepare: prepareFullPage,
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("keys/k/rotate", "reason", "because of a test")
		},
	},
	{
		name:    "configure",
		prepare: prepareKey,
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("keys/k/config", "min_encryption_version", 2, "owner", "me")
		},
	},
	{
		name:    "keep a drill",
		prepare: prepareKey,
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("keys/k/drill", "record", true, "reason", "yearly")
		},
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, "OA", m.K.Letters(), "it was a drill")
		},
	},
	{
		name: "export",
		prepare: func(m *mounttest.Mount) {
			prepareKey(m)
			m.Must(m.Write("keys/k/config", "exportable", true))
		},
		run: func(m *mounttest.Mount) mounttest.Answer { return m.Read("export/encryption-key/k") },
	},
	{
		name:    "export wrapped",
		prepare: prepareWrappedExport,
		run:     func(m *mounttest.Mount) mounttest.Answer { return m.Read("byok-export/there/k") },
	},
	{
		name:    "back up",
		prepare: prepareBackup,
		run:     func(m *mounttest.Mount) mounttest.Answer { return m.Read("backup/k") },
	},
	{
		name:  "restore",
		run:   func(m *mounttest.Mount) mounttest.Answer { return m.Write("restore/k", "backup", backup()) },
		again: func(m *mounttest.Mount) mounttest.Answer { return restoreAgain(m, backup()) },
	},
	{
		name:  "restore a key with certificates",
		run:   func(m *mounttest.Mount) mounttest.Answer { return m.Write("restore/k", "backup", certifiedBackup(m.T)) },
		again: func(m *mounttest.Mount) mounttest.Answer { return restoreAgain(m, certifiedBackup(m.T)) },
		after: func(t *testing.T, m *mounttest.Mount) {
			require.NotEmpty(t, mounttest.CertificateChain(m, "k", 1))
		},
	},
	{
		name: "restore in the place of a key", twofold: true,
		prepare: prepareBackup,
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("restore/k", "backup", backup(), "force", true)
		},
	},
	{
		name: "bind to another policy",
		prepare: func(m *mounttest.Mount) {
			m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h"))
			m.Must(m.Write("policies/q", "owner", "o", "rotation_period", "2h"))
			m.Must(m.Write("keys/k", "policy", "p"))
		},
		run: func(m *mounttest.Mount) mounttest.Answer { return m.Write("keys/k/config", "policy", "q") },
	},
	{
		name: "delete",
		prepare: func(m *mounttest.Mount) {
			prepareKey(m)
			m.Must(m.Write("keys/k/config", "deletion_allowed", true, "auto_rotate_period", "24h"))
		},
		run:   func(m *mounttest.Mount) mounttest.Answer { return m.Delete("keys/k") },
		again: deleteAgain,
		after: mounttest.RequireNothingLeft,
	},
	{
		name: "write a new revision of a policy", unrecorded: true,
		prepare: func(m *mounttest.Mount) {
			m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "24h"))
			m.Must(m.Write("keys/k", "policy", "p"))
		},
		run: func(m *mounttest.Mount) mounttest.Answer { return m.Write("policies/p", "rotation_period", "1h") },
		after: func(t *testing.T, m *mounttest.Mount) {
			m.Advance(2 * time.Minute)
			next := m.Must(m.Read("keys/k")).Data["next_rotation_time"].(string)
			at, err := time.Parse(time.RFC3339, next)
			require.NoError(t, err)
			require.Less(t, at.Sub(mounttest.Start), 2*time.Hour, "the bound key follows the new revision")
		},
	},
	{
		name: "delete a policy", unrecorded: true,
		prepare: func(m *mounttest.Mount) { m.Must(m.Write("policies/p", "owner", "o")) },
		run:     func(m *mounttest.Mount) mounttest.Answer { return m.Delete("policies/p") },
	},
	{
		name: "automatic rotation", unrecorded: true,
		prepare: func(m *mounttest.Mount) {
			m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
			m.Must(m.Write("keys/k", "policy", "p"))
			m.Clock.Add(time.Hour)
		},
		run: func(m *mounttest.Mount) mounttest.Answer {
			_ = m.Tick() // what it could not do, it does at the next minute
			return mounttest.Answer{Status: 204}
		},
		after: func(t *testing.T, m *mounttest.Mount) {
			m.Advance(5 * time.Minute)
			require.Equal(t, "OA", m.K.Kept(), "the rotation happened, and happened once")
		},
	},
}

func TestEveryActSurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	makeBackup(t)
	for i, a := range acts {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", a.name, fate), func(t *testing.T) {
				t.Parallel()
				crashLoop(t, a, fate)
			})
		}
	}
}

func crashLoop(t *testing.T, a act, fate storagetest.Fate) {
	for at := 1; ; at++ {
		m := mounttest.New(t)
		if a.prepare != nil {
			a.prepare(m)
		}
		kept := ciphertexts(m)
		m.Storage.FailWriteAs(at, fate)
		got := a.run(m)
		fired := m.Storage.Fired()
		m.Storage.Heal()
		if !fired {
			require.Less(t, got.Status, 300, "without a failure the act succeeds: %s", got.Err)
			require.Greater(t, at, 1, "the act writes something")
			return
		}
		kept = append(kept, ciphertexts(m)...) // also with what is cached after the failure
		settleBeforeItLands(m, fate)
		if at%2 == 0 {
			m.Restart()
		}
		require.NoError(t, m.Tick())
		checkInvariants(t, m, kept)
		again := a.again
		if again == nil {
			again = a.run
		}
		m.Must(again(m))
		m.Advance(2 * time.Minute)
		checkInvariants(t, m, kept)
		if a.after != nil {
			a.after(t, m)
		}
	}
}

// settleBeforeItLands signs a checkpoint, which settles how the act of a failed write went, before a late one is there.
func settleBeforeItLands(m *mounttest.Mount, fate storagetest.Fate) {
	if fate == storagetest.Late {
		_ = m.Write("custody/checkpoint")
	}
}

// kept is a ciphertext that a client holds.
type kept struct{ id, ciphertext string }

// ciphertexts encrypts with the key, if it is there.
func ciphertexts(m *mounttest.Mount) []kept {
	m.T.Helper()
	if m.Read("keys/k").Status != 200 {
		return nil
	}
	return []kept{{idOf(m), m.Encrypt("k", "secret")}}
}

// idOf tells two keys of one name apart.
func idOf(m *mounttest.Mount) string {
	all := m.Storage.All()
	var record struct {
		ID string `json:"id"`
	}
	if data, ok := all["keys/k"]; ok {
		require.NoError(m.T, json.Unmarshal(data, &record))
	}
	return record.ID
}

// checkInvariants holds whatever failed: the key is whole or gone, one version is active, what was ever encrypted
// with it can be read, and the indexes say what the records say.
func checkInvariants(t *testing.T, m *mounttest.Mount, held []kept) {
	t.Helper()
	all := m.Storage.All()
	for path := range all {
		require.NotRegexp(t, "^intents/", path, "every act that began has ended")
	}
	mounttest.RequireTrueCustody(t, m)
	view := m.Read("keys/k")
	require.Contains(t, []int{200, 404}, view.Status, view.Err)
	if view.Status == 404 {
		for path := range all {
			require.NotRegexp(t, "^keys/", path, "a key that is gone has no record")
		}
		return
	}
	latest := view.Data["latest_version"].(int)
	require.Equal(t, fmt.Sprintf("vault:v%d:", latest), m.Encrypt("k", "x")[:len(fmt.Sprintf("vault:v%d:", latest))], "the latest version is the active one")
	id := idOf(m)
	for _, h := range held {
		if h.id == id {
			require.Equal(t, "secret", m.Decrypt("k", h.ciphertext))
		}
	}
	mounttest.RequireIndexed(t, all)
}

func TestTheDueIndexForgetsAKeyWhoseCreationDidNotCommit(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s"))
	m.Must(m.Write("keys/other")) // the keyring is there, so that the writes of the next line are those of the key
	m.Storage.FailWrite(5, false) // custody, version, due index, bound index, then the record
	require.Equal(t, 500, m.Write("keys/k", "policy", "p").Status)
	m.Storage.Heal()
	require.Equal(t, 404, m.Read("keys/k").Status)

	m.Advance(61 * time.Minute)
	all := m.Storage.All()
	for path := range all {
		require.NotRegexp(t, "^schedule/", path)
	}
}
