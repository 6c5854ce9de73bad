// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// plants are records that somebody with access to the storage puts behind the end of the chain of key k, which has six.
func plants() map[string]func(m *mount) {
	behind := func(seq int, edit func(*custody.Record, custody.Head) custody.Head) func(m *mount) {
		return func(m *mount) {
			m.t.Helper()
			rec := m.journal()[4] // the beginning of the last act
			head := custody.Head{Count: 6, Hash: custody.Hash(m.dump()["journal/k/0000000006"])}
			line, _, err := edit(&rec, head).Append(rec)
			require.NoError(m.t, err)
			m.plant(fmt.Sprintf("journal/k/%010d", seq), line)
		}
	}
	return map[string]func(m *mount){
		"a copy of the last record": func(m *mount) { m.plant("journal/k/0000000007", m.dump()["journal/k/0000000006"]) },
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
			m, _ := keyOf3(t)
			require.Len(t, m.journal(), 6)
			plant(m)
			m.restart()
			a := m.op("rotate")
			require.Equal(t, 500, a.status)
			require.Contains(t, a.err, "the custody of the key was altered or lost")
			require.Equal(t, []string{"k"}, m.must(m.write("custody/checkpoint")).data["broken"])
			m.requireBreakReported()

			m.ops("suspend")
			require.Contains(t, m.newestRecord(2), `"custody_break":"journal/k/0000000007`)
			m.ops("resume", "rotate")
			m.requireBreakReported()
		})
	}
}

func TestAKeyWhoseChainLeadsNowhereHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	for _, name := range []string{"a", "z"} {
		m.must(m.write("keys/"+name, "auto_rotate_period", "1h"))
	}
	m.must(m.write("keys/k/config", "auto_rotate_period", "1h"))
	last := m.newestRecord(1)
	m.plant(fmt.Sprintf("journal/k/%010d", len(m.journal())+1), []byte(last))
	m.restart()
	m.advance(61 * time.Minute)
	require.Equal(t, 2, m.latest("a"))
	require.Equal(t, 2, m.latest("z"))
	require.Equal(t, 3, m.latest("k"))
}

func TestAChainAtItsLastNumberLetsAKeyBeStopped(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"journal/k/2147483647", "journal/k/2147483646"} {
		for _, stop := range []string{"suspend", "versions/3/compromise"} {
			t.Run(path+"/"+stop, func(t *testing.T) {
				m, _ := keyOf3(t)
				m.plant("journal/k/0000000006", []byte("{}"))
				m.plant(path, []byte("{}"))
				m.restart()
				require.Equal(t, 500, m.op("rotate").status)
				m.ops(stop)
				require.Contains(t, m.dump(), "journal/k/0000000007")
				m.requireBreakReported()
			})
		}
	}
}

func TestAnOlderRecordOfAKeyThatIsPutBackStopsAllActsButThoseThatStopIt(t *testing.T) {
	t.Parallel()
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			m, _ := keyOf3(t)
			old := m.dump()["keys/k"]
			m.must(m.write("keys/k/hold"))
			m.ops("versions/2/compromise", "versions/1/archive")
			checkpoint := m.must(m.write("custody/checkpoint")).data
			m.plant("keys/k", old)
			m.InvalidateKey(context.Background(), "keys/k")
			if restart {
				m.restart()
			}
			require.Equal(t, 500, m.op("rotate").status)
			verified := m.must(m.write("custody/verify", "checkpoint", map[string]any{
				"payload": checkpoint["payload"], "key_id": checkpoint["key_id"], "signature": checkpoint["signature"],
			})).data
			require.Equal(t, false, verified["valid"])
			require.Contains(t, fmt.Sprint(verified["problems"]), "record 11 took effect, and the key's record names record 5")
			m.ops("suspend")
			require.Contains(t, m.newestRecord(2), `"custody_break"`)
		})
	}
}

func TestADeletedKeyThatIsPutBackIsFoundOut(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	m.must(m.write("keys/k/config", "deletion_allowed", true))
	old := m.dump()["keys/k"]
	m.must(m.delete("keys/k"))
	m.plant("keys/k", old)
	m.restart()
	require.Equal(t, 500, m.op("rotate").status)
	require.Contains(t, fmt.Sprint(m.must(m.write("custody/verify")).data["problems"]), "took effect")
}

func TestAnActInForceThatCustodyCallsFailedIsReported(t *testing.T) {
	t.Parallel()
	m, _ := keyOf3(t)
	end := m.journal()[5]
	end.Outcome = custody.Failed
	line, _, err := custody.Head{Count: 5, Hash: custody.Hash(m.dump()["journal/k/0000000005"])}.Append(end)
	require.NoError(t, err)
	m.plant("journal/k/0000000006", line)
	m.restart()
	verified := m.must(m.write("custody/verify")).data
	require.Equal(t, false, verified["valid"])
	require.Contains(t, fmt.Sprint(verified["problems"]), "record 5, which the key's own record names, begins an act that ended as failed")
	m.ops("rotate")
}
