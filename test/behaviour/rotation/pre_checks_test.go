// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package rotation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

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

func TestAPolicyThatWantsAnHSMGetsNoVersionWithoutOneAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.SetStored("policies/p", "hsm", "required")
	before := m.Storage.All()
	m.Refused(m.Write("keys/k", "policy", "p"), `hsm: "required": policy "p"`, "no HSM is configured")
	require.Equal(t, before, m.Storage.All(), "not even the key encryption keys of the mount")

	m.SetStored("policies/p", "hsm", "optional")
	m.Must(m.Write("keys/k", "policy", "p"))
	m.SetStored("policies/p", "hsm", "required")
	before = m.Storage.All()
	m.Refused(m.K.Op("rotate"), "no HSM is configured")
	m.Refused(m.K.Op("rotate", "stage", true), "no HSM is configured")
	require.Equal(t, before, m.Storage.All())
	m.Encrypt("k", "the version that is there goes on")

	m.WrapKeys(func(w envelope.KeyWrapper) envelope.KeyWrapper { return hardwareOf{w} })
	m.K.Ops("rotate")
	require.Equal(t, 2, m.Latest("k"))
}

// fault is something that makes one check before a promotion fail.
type fault struct {
	check  string
	status int // of the answer to an operator
	begin  func(m *mounttest.Mount)
	end    func(m *mounttest.Mount)
}

var preFaults = []fault{
	{"hsm_healthy", 400, func(m *mounttest.Mount) {
		m.WrapKeys(func(w envelope.KeyWrapper) envelope.KeyWrapper {
			return wrapperOf{w, func([]byte, error) ([]byte, error) { return nil, errors.New("the token does not answer") }}
		})
	}, func(m *mounttest.Mount) { m.WrapKeys(nil) }},
	{"hsm_healthy", 400, func(m *mounttest.Mount) {
		m.WrapKeys(func(w envelope.KeyWrapper) envelope.KeyWrapper {
			return wrapperOf{w, func(dek []byte, err error) ([]byte, error) { return bytes.ToUpper(append(dek, 'x')), err }}
		})
	}, func(m *mounttest.Mount) { m.WrapKeys(nil) }},
	{"storage_writable", 500, func(m *mounttest.Mount) { m.Storage.AlterGets(mounttest.Spoiled("versions/k/2")) }, heal},
	{"storage_writable", 500, func(m *mounttest.Mount) {
		m.Storage.AlterGets(func(path string, value []byte) []byte {
			if path == "versions/k/2" {
				return nil
			}
			return value
		})
	}, heal},
	{"clock_sane", 400, func(m *mounttest.Mount) { believe(m, 2*time.Hour) }, func(m *mounttest.Mount) { believe(m, 0) }},
}

func heal(m *mounttest.Mount) { m.Storage.Heal() }

// believe makes the clock guard remember a time so far ahead.
func believe(m *mounttest.Mount, ahead time.Duration) {
	m.T.Helper()
	require.NoError(m.T, m.Storage.Store().Settings().SetClock(context.Background(), lifecycle.Clock{High: m.Clock.Now().Add(ahead)}))
}

func TestAPreCheckThatFailsKeepsTheOldVersionInForce(t *testing.T) {
	for i, f := range preFaults {
		for _, staged := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %s staged=%v by hand", i, f.check, staged), func(t *testing.T) {
				t.Parallel()
				m := mounttest.Governed(t, "auto")
				held := m.Encrypt("k", "secret")
				act := "rotate"
				if staged {
					m.Must(m.K.Op("rotate", "stage", true))
					act = "versions/2/promote"
				}
				f.begin(m)
				got := m.K.Op(act)
				require.Equal(t, f.status, got.Status, got.Err)
				require.Contains(t, got.Err, "pre-check "+f.check+" failed")
				require.Equal(t, 1, m.Must(m.Read("keys/k")).Data["primary_version"])
				require.Equal(t, "secret", m.Decrypt("k", held))
				require.True(t, strings.HasPrefix(m.Encrypt("k", "x"), "vault:v1:"))
				f.end(m)
				m.K.Ops(act)
				require.Equal(t, 2, m.Must(m.Read("keys/k")).Data["primary_version"])
				require.False(t, m.Storage.Unchecked())
			})
			t.Run(fmt.Sprintf("%d %s staged=%v by the clock", i, f.check, staged), func(t *testing.T) {
				t.Parallel()
				preCheckByTheClock(t, f, staged)
			})
		}
	}
}

func preCheckByTheClock(t *testing.T, f fault, staged bool) {
	m := mounttest.Governed(t, "auto")
	m.Encrypt("k", "in memory from now on")
	if staged {
		m.Must(m.Write("policies/p", "staging_time", "30m"))
		m.Must(m.K.Op("rotate", "stage", true))
		m.Advance(29 * time.Minute)
	} else {
		m.Advance(59 * time.Minute)
	}
	f.begin(m)
	latest := m.Latest("k")
	for range 4 {
		m.Advance(time.Minute)
		require.Equal(t, 1, m.Must(m.Read("keys/k")).Data["primary_version"])
		m.Encrypt("k", "x")
	}
	r := m.Rotation("k")
	require.Equal(t, "retrying", r["status"], r["why"])
	require.Equal(t, 3, r["failures"], "after none, one and three minutes")
	require.Contains(t, r["last_error"], "pre-check "+f.check+" failed")
	require.Equal(t, latest, m.Latest("k"))
	require.Equal(t, 1, m.Status()["failed"])
	f.end(m)
	m.Advance(5 * time.Minute)
	require.Equal(t, 2, m.Must(m.Read("keys/k")).Data["primary_version"])
	require.Equal(t, "scheduled", m.Rotation("k")["status"])
	require.Equal(t, 0, m.Rotation("k")["failures"])
	require.Equal(t, 0, m.Status()["failed"])
}

func TestAStagedVersionIsMadeWithoutTheChecksOfAPromotion(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	believe(m, 2*time.Hour)
	m.Must(m.K.Op("rotate", "stage", true))
	m.Refused(m.K.Op("versions/2/promote"), "clock_sane", "config/clock")
}

func TestNoCheckKeepsACompromisedVersionInForce(t *testing.T) {
	t.Parallel()
	for _, staged := range []bool{false, true} {
		m := mounttest.Governed(t, "auto")
		if staged {
			m.Must(m.K.Op("rotate", "stage", true))
		}
		believe(m, 2*time.Hour)
		m.K.Ops("versions/1/compromise")
		require.Equal(t, 2, m.Must(m.Read("keys/k")).Data["primary_version"])
		require.Contains(t, m.Log.String(), "a compromised version is replaced although a check failed")
		require.False(t, m.Storage.Unchecked())
	}
}

func TestACheckOfANewerReleaseFails(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	m.SetStored("policies/p", "pre_checks", []string{"quantum_safe"})
	require.Contains(t, m.K.Op("rotate").Err, "pre-check quantum_safe failed: this release does not know the check")
	m.SetStored("policies/p", "pre_checks", []string{}, "post_checks", []string{"quantum_safe"})
	m.Refused(m.K.Op("rotate"), "post-check quantum_safe failed", "version 2 was rolled back, version 1 is active")
}

func TestAKeyThatFailsTooOftenIsStalledAndEveryAttemptSaysSo(t *testing.T) {
	t.Parallel()
	m := mounttest.Governed(t, "auto")
	believe(m, 1000*time.Hour)
	m.Advance(59 * time.Minute)
	require.NotContains(t, m.Log.String(), "stalled")
	m.Advance(70 * time.Minute) // attempts after 0, 1, 3, 7, 15, 31 and 63 minutes
	r := m.Rotation("k")
	require.Equal(t, "stalled", r["status"])
	require.Equal(t, 7, r["failures"])
	require.Equal(t, 3, strings.Count(m.Log.String(), "[ERROR] key is stalled: its rotation failed again: key=k policy=p failures="))
	require.Contains(t, m.Log.String(), "key=k policy=p failures=7")
	require.Equal(t, 1, m.Status()["stalled"])
	require.Equal(t, 0, m.Status()["failed"])
	m.Must(m.Write("config/clock", "acknowledge", true))
	m.Must(m.K.Op("rotate"))
	require.Equal(t, 0, m.Status()["stalled"], "an operator's rotation ends it too")
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
	m := mounttest.Governed(t, "auto")
	h := hanging{make(chan time.Time, 1)}
	m.WrapKeys(func(envelope.KeyWrapper) envelope.KeyWrapper { return h })
	answer := m.K.Op("rotate")
	require.Equal(t, http.StatusServiceUnavailable, answer.Status)
	require.Contains(t, answer.Err, "pre-check hsm_healthy failed: context deadline exceeded")
	require.LessOrEqual(t, time.Until(<-h.asked), 5*time.Second)
}
