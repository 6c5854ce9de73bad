// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package crash_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// signingCrash is an act on key k, which signs, under policy p, with versions 1 and 2 deactivated and 3 active; every storage write of
// it is made to fail once.
type signingCrash struct {
	name    string
	prepare []string
	run     func(m *mounttest.Mount) mounttest.Answer
	clock   bool // a tick does it
	states  string
}

var signingCrashes = []signingCrash{
	{name: "rotate", run: by("rotate"), states: "OOOA"},
	{name: "archive", run: by("versions/2/archive"), states: "ORA"},
	{name: "recover", prepare: archived2, run: by("versions/2/recover"), states: "OOA"},
	{name: "retire", prepare: archived2, run: by("versions/2/retire"), states: "OTA"},
	{name: "a tick destroys", prepare: retired2, run: ticked, clock: true, states: "ODA"},
}

// signature is one that a client holds.
type signature struct {
	version int
	text    string
}

func (x signingCrash) start(t *testing.T, of string) (*mounttest.Mount, []signature, map[int]string) {
	t.Helper()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", 0, "destroy_delay", "24h", "quiet_period", 0, "min_versions_kept", 0))
	m.Must(m.Write("keys/k", "type", of, "policy", "p"))
	held, public := []signature{}, map[int]string{}
	for v := 1; v <= 3; v++ {
		if v > 1 {
			m.K.Ops("rotate")
		}
		held = append(held, signature{v, m.Must(m.Write("sign/k", "input", mounttest.B64("x"))).Data["signature"].(string)})
		public[v] = publicHalf(m, v)
	}
	require.NoError(t, m.Tick())
	m.K.Ops(x.prepare...)
	if x.clock {
		m.Pass(24 * time.Hour)
	}
	return m, held, public
}

func publicHalf(m *mounttest.Mount, v int) string {
	m.T.Helper()
	return m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", v))).Data["public_key"].(string)
}

func verifies(m *mounttest.Mount, s signature) bool {
	m.T.Helper()
	a := m.Write("verify/k", "input", mounttest.B64("x"), "signature", s.text)
	require.Contains(m.T, []int{200, 400}, a.Status, a.Err)
	require.True(m.T, a.Status == 400 || a.Data["valid"] == true, "a signature of version %d is not refused, but found invalid", s.version)
	return a.Status == 200
}

func TestASigningKeySurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	for i, x := range signingCrashes {
		for j, of := range []string{"ed25519", "ecdsa-p256", "mldsa-44"} {
			for f, fate := range storagetest.Fates() {
				if racetest.Spared(t, i+j+f) {
					continue
				}
				t.Run(fmt.Sprintf("%s of %s/%s", x.name, of, fate), func(t *testing.T) {
					t.Parallel()
					for at := 1; x.crash(t, of, at, fate); at++ {
					}
				})
			}
		}
	}
}

// crash makes the at-th write fail and returns whether there was one.
func (x signingCrash) crash(t *testing.T, of string, at int, fate storagetest.Fate) bool {
	t.Helper()
	m, held, public := x.start(t, of)
	before := m.K.Letters()
	m.Storage.FailWriteAs(at, fate)
	got := x.run(m)
	fired := m.Storage.Fired()
	m.Storage.Heal()
	if !fired {
		m.Must(got)
		require.Greater(t, at, 3, "at least the record and its custody are written")
	}
	settleBeforeItLands(m, fate)
	if at%2 == 0 {
		m.Restart()
	}
	m.Advance(3 * time.Minute)
	for _, s := range held {
		require.Equal(t, public[s.version], publicHalf(m, s.version), "the public half of version %d", s.version)
	}
	if x.clock {
		m.Must(m.Write("config/clock", "acknowledge", true))
		m.Advance(12 * time.Minute)
	} else if fired && m.K.Kept() == before {
		m.Must(x.run(m))
	}
	m.Advance(2 * time.Minute)
	require.Equal(t, x.states, m.K.Kept())
	for _, restarted := range []bool{false, true} {
		if restarted {
			m.Restart()
		}
		for _, s := range held {
			require.True(t, verifies(m, s), "a public half verifies whatever becomes of the private one: version %d", s.version)
			require.Equal(t, public[s.version], publicHalf(m, s.version), "the public half of version %d", s.version)
		}
	}
	requireSettled(t, m)
	return fired
}

// leaving is a request whose answer has material.
type leaving struct {
	act, path, field string
}

// TestNoMaterialLeavesThatCustodyHasNotKept: whatever write fails, an answer with material is one whose act is stored.
func TestNoMaterialLeavesThatCustodyHasNotKept(t *testing.T) {
	for i, x := range []leaving{
		{"export", "export/encryption-key/k", "keys"},
		{"export", "export/hmac-key/k/1", "keys"},
		{"backup", "backup/k", "backup"},
	} {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", x.path, fate), func(t *testing.T) {
				t.Parallel()
				answered := 0
				for at, fired := 1, true; fired; at++ {
					m := mounttest.New(t)
					prepareBackup(m)
					m.Storage.FailWriteAs(at, fate)
					got := m.Read(x.path)
					fired = m.Storage.Fired()
					m.Storage.Heal()
					kept := 0
					for _, record := range m.Storage.Journal() {
						if record.Kind == custody.Begin && record.Act == x.act {
							kept++
						}
					}
					if got.Status == 200 {
						require.NotEmpty(t, got.Data[x.field])
						require.Equal(t, 1, kept, "write %d was %s, and material left", at, fate)
						answered++
					} else {
						require.Empty(t, got.Data)
					}
				}
				require.Positive(t, answered)
			})
		}
	}
}
