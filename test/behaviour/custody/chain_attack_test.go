// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// plants are records that somebody with access to the storage puts behind the end of the chain of key k, which has six.
func plants() map[string]func(m *mounttest.Mount) {
	behind := func(seq int, edit func(*custody.Record, custody.Head) custody.Head) func(m *mounttest.Mount) {
		return func(m *mounttest.Mount) {
			m.T.Helper()
			rec := m.Storage.Journal()[4] // the beginning of the last act
			head := custody.Head{Count: 6, Hash: custody.Hash(m.Storage.All()["journal/k/0000000006"])}
			line, _, err := edit(&rec, head).Append(rec)
			require.NoError(m.T, err)
			m.Storage.Plant(fmt.Sprintf("journal/k/%010d", seq), line)
		}
	}
	return map[string]func(m *mounttest.Mount){
		"a copy of the last record": func(m *mounttest.Mount) {
			m.Storage.Plant("journal/k/0000000007", m.Storage.All()["journal/k/0000000006"])
		},
		"the record of another key": behind(7, func(r *custody.Record, h custody.Head) custody.Head { r.Key = "other"; return h }),
		"of another mount":          behind(7, func(r *custody.Record, h custody.Head) custody.Head { r.Instance = "other"; return h }),
		"of another chain": behind(7, func(_ *custody.Record, h custody.Head) custody.Head {
			h.Hash = custody.Hash([]byte("another line"))
			return h
		}),
		"of another number": behind(7, func(_ *custody.Record, h custody.Head) custody.Head { h.Count = 6999; return h }),
	}
}

func TestARecordThatDoesNotBelongBehindTheChainStopsAllActsButThoseThatStopAKey(t *testing.T) {
	t.Parallel()
	for name, plant := range plants() {
		t.Run(name, func(t *testing.T) {
			m, _ := mounttest.KeyOf3(t)
			require.Len(t, m.Storage.Journal(), 6)
			plant(m)
			m.Restart()
			a := m.K.Op("rotate")
			require.Equal(t, 500, a.Status)
			require.Contains(t, a.Err, "the custody of the key was altered or lost")
			require.Equal(t, []string{"k"}, m.Must(m.Write("custody/checkpoint")).Data["broken"])
			requireBreakReported(m)

			m.K.Ops("suspend")
			require.Contains(t, m.Storage.JournalLine(2), `"custody_break":"journal/k/0000000007`)
			m.K.Ops("resume", "rotate")
			requireBreakReported(m)
		})
	}
}

func TestAKeyWhoseChainLeadsNowhereHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	for _, name := range []string{"a", "z"} {
		m.Must(m.Write("keys/"+name, "auto_rotate_period", "1h"))
	}
	m.Must(m.Write("keys/k/config", "auto_rotate_period", "1h"))
	last := m.Storage.JournalLine(1)
	m.Storage.Plant(fmt.Sprintf("journal/k/%010d", len(m.Storage.Journal())+1), []byte(last))
	m.Restart()
	m.Advance(61 * time.Minute)
	require.Equal(t, 2, m.Latest("a"))
	require.Equal(t, 2, m.Latest("z"))
	require.Equal(t, 3, m.Latest("k"))
}

func TestAChainAtItsLastNumberLetsAKeyBeStopped(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"journal/k/2147483647", "journal/k/2147483646"} {
		for _, stop := range []string{"suspend", "versions/3/compromise"} {
			t.Run(path+"/"+stop, func(t *testing.T) {
				m, _ := mounttest.KeyOf3(t)
				m.Storage.Plant("journal/k/0000000006", []byte("{}"))
				m.Storage.Plant(path, []byte("{}"))
				m.Restart()
				require.Equal(t, 500, m.K.Op("rotate").Status)
				m.K.Ops(stop)
				require.Contains(t, m.Storage.All(), "journal/k/0000000007")
				requireBreakReported(m)
			})
		}
	}
}

func TestAnOlderRecordOfAKeyThatIsPutBackStopsAllActsButThoseThatStopIt(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			m, _ := mounttest.KeyOf3(t)
			old := m.Storage.All()["keys/k"]
			m.Must(m.Write("keys/k/hold"))
			m.K.Ops("versions/2/compromise", "versions/1/archive")
			checkpoint := m.Must(m.Write("custody/checkpoint")).Data
			m.Storage.Plant("keys/k", old)
			m.InvalidateKey(context.Background(), "keys/k")
			if restart {
				m.Restart()
			}
			require.Equal(t, 500, m.K.Op("rotate").Status)
			verified := m.Must(m.Write("custody/verify", "checkpoint", map[string]any{
				"payload": checkpoint["payload"], "key_id": checkpoint["key_id"], "signature": checkpoint["signature"],
			})).Data
			require.Equal(t, false, verified["valid"])
			require.Contains(t, fmt.Sprint(verified["problems"]), "record 11 took effect, and the key's record names record 5")
			m.K.Ops("suspend")
			require.Contains(t, m.Storage.JournalLine(2), `"custody_break"`)
		})
	}
}

func TestADeletedKeyThatIsPutBackIsFoundOut(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	old := m.Storage.All()["keys/k"]
	m.Must(m.Delete("keys/k"))
	m.Storage.Plant("keys/k", old)
	m.Restart()
	require.Equal(t, 500, m.K.Op("rotate").Status)
	require.Contains(t, fmt.Sprint(m.Must(m.Write("custody/verify")).Data["problems"]), "took effect")
}

func TestAnActInForceThatCustodyCallsFailedIsReported(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.KeyOf3(t)
	end := m.Storage.Journal()[5]
	end.Outcome = custody.Failed
	line, _, err := custody.Head{Count: 5, Hash: custody.Hash(m.Storage.All()["journal/k/0000000005"])}.Append(end)
	require.NoError(t, err)
	m.Storage.Plant("journal/k/0000000006", line)
	m.Restart()
	verified := m.Must(m.Write("custody/verify")).Data
	require.Equal(t, false, verified["valid"])
	require.Contains(t, fmt.Sprint(verified["problems"]), "record 5, which the key's own record names, begins an act that ended as failed")
	m.K.Ops("rotate")
}
