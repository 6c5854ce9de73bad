// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// This file is about what stops a key: it works whatever else is damaged, full or at its end.

func TestSuspendingAKeyMovesNothingHoweverManyVersionsItHas(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	for range 300 {
		m.K.Ops("rotate")
	}
	sealed := m.Encrypt("k", "x")
	cached := len(mounttest.Cached(m))
	require.Positive(t, cached)
	for _, op := range []string{"suspend", "resume"} {
		m.Storage.Reset()
		a := m.Must(m.K.Op(op))
		require.Empty(t, a.Warnings)
		require.LessOrEqual(t, m.Storage.Reset().Gets, 3, "record, journal, record")
		require.NotContains(t, m.Storage.All(), "intents/settle/k")
		require.Len(t, mounttest.Cached(m), cached, "no cipher is dropped")
	}
	require.Equal(t, "x", m.Decrypt("k", sealed))
}

func TestWhatStopsAKeyIsNotStoppedByADamagedIntent(t *testing.T) {
	for _, damage := range []string{"{broken", "", `{"schema":1}`, `{"schema":1,"from":7,"to":-2}`, `{"schema":1,"from":"a"}`} {
		m, c := mounttest.KeyOf3(t)
		m.K.Ops("versions/2/archive")
		put := func() {
			entry := &logical.StorageEntry{Key: "intents/settle/k", Value: []byte(damage)}
			require.NoError(t, m.Storage.Put(context.Background(), entry))
			m.Restart()
		}
		put()
		m.K.Ops("suspend")
		m.Refused(m.Write("decrypt/k", "ciphertext", c[3]), "suspended")
		m.K.Ops("resume", "versions/2/compromise", "versions/3/compromise")
		put()
		m.K.Ops("versions/2/recover", "versions/1/archive") // move material
		put()
		m.Must(m.Read("keys/k/versions/2"))
		m.Advance(2 * time.Minute)
		require.NotContains(t, m.Storage.All(), "intents/settle/k", "the tick brings everything to where the record says it belongs")
		require.NotNil(t, m.Storage.Sealed("archive/k/1"))
		require.NotNil(t, m.Storage.Sealed("versions/k/2"))
		m.Must(m.Write("rewrap/k", "ciphertext", c[2]))
	}
}

func TestWhatStopsAKeyIsNotStoppedByADamagedPageOfDates(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.K.RotateTo(300)
	m.Corrupt("dates/k/0")
	for _, op := range []string{"suspend", "resume", "versions/7/suspend", "versions/8/compromise", "versions/300/compromise"} {
		a := m.Must(m.K.Op(op))
		if op != "resume" {
			require.Contains(t, fmt.Sprint(a.Warnings), "keys/k", op)
		}
	}
	require.Equal(t, 301, m.Storage.Key("k").Primary)
}

func TestWhatStopsAKeyIsNotStoppedByANumberAtItsEnd(t *testing.T) {
	for _, end := range []int{math.MaxInt32, math.MaxInt} {
		m, c := mounttest.KeyOf3(t)
		m.SetStored("keys/k", "revision", end)
		m.Restart()
		m.K.Ops("suspend")
		m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "suspended")
		m.K.Ops("resume", "versions/3/compromise")
		require.Equal(t, []string{"deactivated", "deactivated", "compromised", "active"}, m.K.States())
		require.Positive(t, m.Storage.Key("k").Revision)
		m.K.Ops("hold")
		require.Equal(t, true, m.Must(m.Read("keys/k")).Data["legal_hold"])
	}
}

func TestAVersionIsReportedAlsoWhereNoNumberIsLeftForTheOneThatWouldReplaceIt(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.K.RotateTo(255)
	m.SetStored("keys/k", "latest", math.MaxInt32, "primary", math.MaxInt32, "min_decryption", math.MaxInt32-3)
	m.Restart()
	m.Refused(m.K.Op("rotate"), "2147483647")
	m.K.Ops("suspend", "resume")
	m.Must(m.Write("keys/k/versions/2147483647/compromise", "reason", mounttest.Reason))
	require.Contains(t, fmt.Sprint(m.Storage.LastAct()["details"]), "nothing")
	m.Refused(m.Write("encrypt/k", "plaintext", ""), "cannot encrypt")
	require.NoError(t, m.Tick())
	m.K.Ops("suspend")
}

func TestAFullRecordHoldsBackNothingThatStopsAKey(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.K.RotateTo(3)
	const latest = 47*256 + 3 // of which the newest three are dated in the record
	overrides := map[string]any{}
	for i := range 5_900 { // reports as they were stored one by one
		at := mounttest.Start.Add(time.Duration(i) * time.Second).Format(time.RFC3339Nano)
		overrides[strconv.Itoa(2*i+1)] = map[string]any{"s": "compromised", "t": at, "u": at, "c": "unspecified", "co": at, "cr": at}
	}
	m.SetStored("keys/k", "latest", latest, "primary", latest, "min_decryption", latest-2, "marks", overrides)
	m.Restart()
	require.Greater(t, len(m.Storage.All()["keys/k"]), 850<<10)
	for _, op := range []string{"versions/2/compromise", "versions/12034/suspend", "suspend", "resume"} {
		m.Must(m.K.Op(op))
		require.Less(t, len(m.Storage.All()["keys/k"]), 512<<10, "the smallest entry that a storage takes")
	}
	m.Restart()
	require.Len(t, m.Storage.Key("k").Overrides, 5_902)
	require.Equal(t, "compromised", m.Storage.Key("k").State(11_799).String())
	require.Equal(t, "deactivated", m.Storage.Key("k").State(latest-2).String())
}
