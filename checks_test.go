// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// setStored sets fields of a stored policy, as a revision would that was written long ago.
func (m *mount) setStored(path string, kv ...any) {
	m.t.Helper()
	record := map[string]any{}
	require.NoError(m.t, json.Unmarshal(m.dump()[path], &record))
	for field, value := range dataOf(kv...) {
		require.Contains(m.t, record, field)
		record[field] = value
	}
	data, err := json.Marshal(record)
	require.NoError(m.t, err)
	require.NoError(m.t, m.storage.Put(context.Background(), &logical.StorageEntry{Key: path, Value: data}))
	m.engine.ForgetPolicy(strings.TrimPrefix(path, "policies/"))
}

// unchecked reports whether the record says that the active version has not passed its checks.
func (m *mount) unchecked() bool {
	m.t.Helper()
	var record struct {
		Unchecked *bool `json:"rotation_unchecked"`
	}
	require.NoError(m.t, json.Unmarshal(m.dump()["keys/k"], &record))
	require.NotNil(m.t, record.Unchecked)
	return *record.Unchecked
}

// wrapperOf stands before the software wrapper of the mount.
type wrapperOf struct {
	envelope.KeyWrapper
	unwrap func(dek []byte, err error) ([]byte, error)
}

func (w wrapperOf) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	return w.unwrap(w.KeyWrapper.Unwrap(ctx, wrapped, aad))
}

type hardwareOf struct{ envelope.KeyWrapper }

func (hardwareOf) Hardware() bool { return true }

// wrapping puts another wrapper before the mount's, until its keyring forgets.
func (m *mount) wrapping(with func(envelope.KeyWrapper) envelope.KeyWrapper) {
	m.t.Helper()
	m.keyring.forget()
	ring, err := m.keyring.wrappers(context.Background(), m.requestStore(&logical.Request{Storage: m.storage}).Repo, false)
	require.NoError(m.t, err)
	m.keyring.keep(&wrappers{instance: ring.instance, use: with(ring.use), archive: ring.archive})
}

func TestAPolicyThatWantsAnHSMGetsNoVersionWithoutOneAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.setStored("policies/p", "hsm", "required")
	before := m.dump()
	m.refused(m.write("keys/k", "policy", "p"), `hsm: "required": policy "p"`, "no HSM is configured")
	require.Equal(t, before, m.dump(), "not even the key encryption keys of the mount")

	m.setStored("policies/p", "hsm", "optional")
	m.must(m.write("keys/k", "policy", "p"))
	m.setStored("policies/p", "hsm", "required")
	before = m.dump()
	m.refused(m.op("rotate"), "no HSM is configured")
	m.refused(m.op("rotate", "stage", true), "no HSM is configured")
	require.Equal(t, before, m.dump())
	m.encrypt("k", "the version that is there goes on")

	m.wrapping(func(w envelope.KeyWrapper) envelope.KeyWrapper { return hardwareOf{w} })
	m.ops("rotate")
	require.Equal(t, 2, m.latest("k"))
}

// fault is something that makes one check fail.
type fault struct {
	check  string
	status int // of the answer to an operator
	begin  func(m *mount)
	end    func(m *mount)
}

var preFaults = []fault{
	{"hsm_healthy", 400, func(m *mount) {
		m.wrapping(func(w envelope.KeyWrapper) envelope.KeyWrapper {
			return wrapperOf{w, func([]byte, error) ([]byte, error) { return nil, errors.New("the token does not answer") }}
		})
	}, func(m *mount) { m.keyring.forget() }},
	{"hsm_healthy", 400, func(m *mount) {
		m.wrapping(func(w envelope.KeyWrapper) envelope.KeyWrapper {
			return wrapperOf{w, func(dek []byte, err error) ([]byte, error) { return bytes.ToUpper(append(dek, 'x')), err }}
		})
	}, func(m *mount) { m.keyring.forget() }},
	{"storage_writable", 500, func(m *mount) { m.storage.AlterGets(spoiled("versions/k/2")) }, (*mount).heal},
	{"storage_writable", 500, func(m *mount) {
		m.storage.AlterGets(func(path string, value []byte) []byte {
			if path == "versions/k/2" {
				return nil
			}
			return value
		})
	}, (*mount).heal},
	{"clock_sane", 400, func(m *mount) { m.believe(2 * time.Hour) }, func(m *mount) { m.believe(0) }},
}

func (m *mount) heal() { m.storage.Heal() }

// believe makes the clock guard remember a time so far ahead.
func (m *mount) believe(ahead time.Duration) {
	m.t.Helper()
	require.NoError(m.t, m.repoOf().SetClock(context.Background(), lifecycle.Clock{High: m.clock.Now().Add(ahead)}))
}

// spoiled alters the sealed material in a stored version.
func spoiled(prefix string) func(path string, value []byte) []byte {
	return func(path string, value []byte) []byte {
		if !strings.HasPrefix(path, prefix) {
			return value
		}
		record := map[string]any{}
		if json.Unmarshal(value, &record) != nil {
			return value
		}
		record["sealed"] = []byte("spoiled")
		value, _ = json.Marshal(record)
		return value
	}
}

func TestAPreCheckThatFailsKeepsTheOldVersionInForce(t *testing.T) {
	for i, f := range preFaults {
		for _, staged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s staged=%v by hand", i, f.check, staged), func(t *testing.T) {
				t.Parallel()
				m := governed(t, "auto")
				held := m.encrypt("k", "secret")
				act := "rotate"
				if staged {
					m.must(m.op("rotate", "stage", true))
					act = "versions/2/promote"
				}
				f.begin(m)
				got := m.op(act)
				require.Equal(t, f.status, got.status, got.err)
				require.Contains(t, got.err, "pre-check "+f.check+" failed")
				require.Equal(t, 1, m.must(m.read("keys/k")).data["primary_version"])
				require.Equal(t, "secret", m.decrypt("k", held))
				require.True(t, strings.HasPrefix(m.encrypt("k", "x"), "vault:v1:"))
				f.end(m)
				m.ops(act)
				require.Equal(t, 2, m.must(m.read("keys/k")).data["primary_version"])
				require.False(t, m.unchecked())
			})
			t.Run(fmt.Sprintf("%d %s staged=%v by the clock", i, f.check, staged), func(t *testing.T) {
				t.Parallel()
				preCheckByTheClock(t, f, staged)
			})
		}
	}
}

func preCheckByTheClock(t *testing.T, f fault, staged bool) {
	m := governed(t, "auto")
	m.encrypt("k", "in memory from now on")
	if staged {
		m.must(m.write("policies/p", "staging_time", "30m"))
		m.must(m.op("rotate", "stage", true))
		m.advance(29 * time.Minute)
	} else {
		m.advance(59 * time.Minute)
	}
	f.begin(m)
	latest := m.latest("k")
	for range 4 {
		m.advance(time.Minute)
		require.Equal(t, 1, m.must(m.read("keys/k")).data["primary_version"])
		m.encrypt("k", "x")
	}
	r := m.rotation("k")
	require.Equal(t, "retrying", r["status"], r["why"])
	require.Equal(t, 3, r["failures"], "after none, one and three minutes")
	require.Contains(t, r["last_error"], "pre-check "+f.check+" failed")
	require.Equal(t, latest, m.latest("k"))
	require.Equal(t, 1, m.status()["failed"])
	f.end(m)
	m.advance(5 * time.Minute)
	require.Equal(t, 2, m.must(m.read("keys/k")).data["primary_version"])
	require.Equal(t, "scheduled", m.rotation("k")["status"])
	require.Equal(t, 0, m.rotation("k")["failures"])
	require.Equal(t, 0, m.status()["failed"])
}

func TestAStagedVersionIsMadeWithoutTheChecksOfAPromotion(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	m.believe(2 * time.Hour)
	m.must(m.op("rotate", "stage", true))
	m.refused(m.op("versions/2/promote"), "clock_sane", "config/clock")
}

func TestNoCheckKeepsACompromisedVersionInForce(t *testing.T) {
	t.Parallel()
	for _, staged := range []bool{false, true} {
		m := governed(t, "auto")
		if staged {
			m.must(m.op("rotate", "stage", true))
		}
		m.believe(2 * time.Hour)
		m.ops("versions/1/compromise")
		require.Equal(t, 2, m.must(m.read("keys/k")).data["primary_version"])
		require.Contains(t, m.log.String(), "a compromised version is replaced although a check failed")
		require.False(t, m.unchecked())
	}
}

func TestACheckOfANewerReleaseFails(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	m.setStored("policies/p", "pre_checks", []string{"quantum_safe"})
	require.Contains(t, m.op("rotate").err, "pre-check quantum_safe failed: this release does not know the check")
	m.setStored("policies/p", "pre_checks", []string{}, "post_checks", []string{"quantum_safe"})
	m.refused(m.op("rotate"), "post-check quantum_safe failed", "version 2 was rolled back, version 1 is active")
}

func TestAKeyThatFailsTooOftenIsStalledAndEveryAttemptSaysSo(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	m.believe(1000 * time.Hour)
	m.advance(59 * time.Minute)
	require.NotContains(t, m.log.String(), "stalled")
	m.advance(70 * time.Minute) // attempts after 0, 1, 3, 7, 15, 31 and 63 minutes
	r := m.rotation("k")
	require.Equal(t, "stalled", r["status"])
	require.Equal(t, 7, r["failures"])
	require.Equal(t, 3, strings.Count(m.log.String(), "[ERROR] key is stalled: its rotation failed again: key=k policy=p failures="))
	require.Contains(t, m.log.String(), "key=k policy=p failures=7")
	require.Equal(t, 1, m.status()["stalled"])
	require.Equal(t, 0, m.status()["failed"])
	m.must(m.write("config/clock", "acknowledge", true))
	m.must(m.op("rotate"))
	require.Equal(t, 0, m.status()["stalled"], "an operator's rotation ends it too")
}

// hanging is a wrapper that answers only when it is told to stop waiting.
type hanging struct{ asked chan time.Time }

func (h hanging) Wrap(ctx context.Context, _, _ []byte) ([]byte, error) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return nil, errors.New("nobody would ever give up")
	}
	h.asked <- deadline
	return nil, context.DeadlineExceeded
}

func (h hanging) Unwrap(context.Context, []byte, []byte) ([]byte, error) { panic("not reached") }

func TestACheckIsGivenFiveSecondsAndNoMore(t *testing.T) {
	t.Parallel()
	m := governed(t, "auto")
	h := hanging{make(chan time.Time, 1)}
	m.wrapping(func(envelope.KeyWrapper) envelope.KeyWrapper { return h })
	m.refused(m.op("rotate"), "pre-check hsm_healthy failed: context deadline exceeded")
	require.LessOrEqual(t, time.Until(<-h.asked), 5*time.Second)
}
