// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

// This file is about what stops a key: it works whatever else is damaged, full or at its end.

func TestSuspendingAKeyMovesNothingHoweverManyVersionsItHas(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	for range 300 {
		m.ops("rotate")
	}
	sealed := m.encrypt("k", "x")
	cached := len(m.cached())
	require.Positive(t, cached)
	for _, op := range []string{"suspend", "resume"} {
		m.storage.Reset()
		a := m.must(m.op(op))
		require.Empty(t, a.warnings)
		require.LessOrEqual(t, m.storage.Reset().Gets, 3, "record, journal, record")
		require.NotContains(t, m.dump(), "intents/settle/k")
		require.Len(t, m.cached(), cached, "no cipher is dropped")
	}
	require.Equal(t, "x", m.decrypt("k", sealed))
}

func TestWhatStopsAKeyIsNotStoppedByADamagedIntent(t *testing.T) {
	for _, damage := range []string{"{broken", "", `{"schema":1}`, `{"schema":1,"from":7,"to":-2}`, `{"schema":1,"from":"a"}`} {
		m, c := keyOf3(t)
		m.ops("versions/2/archive")
		put := func() {
			entry := &logical.StorageEntry{Key: "intents/settle/k", Value: []byte(damage)}
			require.NoError(t, m.storage.Put(context.Background(), entry))
			m.restart()
		}
		put()
		m.ops("suspend")
		m.refused(m.write("decrypt/k", "ciphertext", c[3]), "suspended")
		m.ops("resume", "versions/2/compromise", "versions/3/compromise")
		put()
		m.ops("versions/2/recover", "versions/1/archive") // move material
		put()
		m.must(m.read("keys/k/versions/2"))
		m.advance(2 * time.Minute)
		require.NotContains(t, m.dump(), "intents/settle/k", "the tick brings everything to where the record says it belongs")
		require.NotNil(t, m.sealed("archive/k/1"))
		require.NotNil(t, m.sealed("versions/k/2"))
		m.must(m.write("rewrap/k", "ciphertext", c[2]))
	}
}

func TestWhatStopsAKeyIsNotStoppedByADamagedPageOfDates(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	rotateTo(m, 300)
	m.corrupt("dates/k/0")
	for _, op := range []string{"suspend", "resume", "versions/7/suspend", "versions/8/compromise", "versions/300/compromise"} {
		a := m.must(m.op(op))
		if op != "resume" {
			require.Contains(t, fmt.Sprint(a.warnings), "keys/k", op)
		}
	}
	require.Equal(t, 301, m.repoKey("k").Primary)
}

func TestWhatStopsAKeyIsNotStoppedByANumberAtItsEnd(t *testing.T) {
	for _, end := range []int{math.MaxInt32, math.MaxInt} {
		m, c := keyOf3(t)
		m.setStored("keys/k", "revision", end)
		m.restart()
		m.ops("suspend")
		m.refused(m.write("decrypt/k", "ciphertext", c[1]), "suspended")
		m.ops("resume", "versions/3/compromise")
		require.Equal(t, []string{"deactivated", "deactivated", "compromised", "active"}, m.states())
		require.Positive(t, m.repoKey("k").Revision)
		m.ops("hold")
		require.Equal(t, true, m.must(m.read("keys/k")).data["legal_hold"])
	}
}

func TestAVersionIsReportedAlsoWhereNoNumberIsLeftForTheOneThatWouldReplaceIt(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	rotateTo(m, 255)
	m.setStored("keys/k", "latest", math.MaxInt32, "primary", math.MaxInt32, "min_decryption", math.MaxInt32-3)
	m.restart()
	m.refused(m.op("rotate"), "2147483647")
	m.ops("suspend", "resume")
	m.must(m.write("keys/k/versions/2147483647/compromise", "reason", why))
	require.Contains(t, fmt.Sprint(lastAct(m)["details"]), "nothing")
	m.refused(m.write("encrypt/k", "plaintext", ""), "cannot encrypt")
	require.NoError(t, m.tickNow())
	m.ops("suspend")
}

func TestAFullRecordHoldsBackNothingThatStopsAKey(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	rotateTo(m, 3)
	const latest = 47*256 + 3 // of which the newest three are dated in the record
	overrides := map[string]any{}
	for i := range 5_900 { // reports as they were stored one by one
		at := start.Add(time.Duration(i) * time.Second).Format(time.RFC3339Nano)
		overrides[strconv.Itoa(2*i+1)] = map[string]any{"s": "compromised", "t": at, "u": at, "c": "unspecified", "co": at, "cr": at}
	}
	m.setStored("keys/k", "latest", latest, "primary", latest, "min_decryption", latest-2, "marks", overrides)
	m.restart()
	require.Greater(t, len(m.dump()["keys/k"]), 850<<10)
	for _, op := range []string{"versions/2/compromise", "versions/12034/suspend", "suspend", "resume"} {
		m.must(m.op(op))
		require.Less(t, len(m.dump()["keys/k"]), 512<<10, "the smallest entry that a storage takes")
	}
	m.restart()
	require.Len(t, m.repoKey("k").Overrides, 5_902)
	require.Equal(t, "compromised", m.repoKey("k").State(11_799).String())
	require.Equal(t, "deactivated", m.repoKey("k").State(latest-2).String())
}
