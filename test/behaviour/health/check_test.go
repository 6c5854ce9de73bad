// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// conditions are those of the versions that a check of key k shows, in order.
func conditions(a mounttest.Answer) (list []string) {
	for _, row := range a.Data["versions"].([]map[string]any) {
		list = append(list, fmt.Sprintf("%d %s", row["version"], row["condition"]))
	}
	return list
}

func TestACheckOpensEachReadableVersionAndWritesNothing(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	m.K.Ops("versions/1/archive")
	m.Clock.Add(10 * time.Minute) // what was asked for in the last five minutes is read, too
	m.Storage.Reset()
	a := m.Must(m.Read("keys/k/check"))
	require.Equal(t, []string{"1 ok", "2 ok", "3 ok"}, conditions(a))
	require.Equal(t, true, a.Data["ok"])
	require.Empty(t, a.Data["custody_problem"])
	cost := m.Storage.Reset()
	require.Zero(t, cost.Writes()+cost.Lists)
	require.Equal(t, 1+3+1+1+3, cost.Gets, "record; versions, one of them in the archive; for custody the record, and its records from there to the end")

	destroyFirst(m)
	require.Equal(t, []string{"2 ok", "3 ok"}, conditions(m.Must(m.Read("keys/k/check"))), "what is destroyed is not looked for")
	require.Equal(t, 404, m.Read("keys/none/check").Status)
}

// destroyFirst destroys version 1 of key k.
func destroyFirst(m *mounttest.Mount) {
	m.Must(m.K.Op("config", "min_encryption_version", 2, "min_decryption_version", 2, "reason", mounttest.Reason))
	m.Must(m.K.Op("trim", "min_available_version", 2, "reason", mounttest.Reason))
}

func TestACheckSaysOfEachVersionWhatIsWrong(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	m.K.Ops("rotate")
	all := m.Storage.All()
	m.Storage.Plant("versions/k/1", all["versions/k/2"])
	m.SetStored("versions/k/2", "fingerprint", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
	require.NoError(t, m.Storage.Delete(t.Context(), "versions/k/3"))
	m.Corrupt("versions/k/4")
	a := m.Must(m.Read("keys/k/check"))
	require.Equal(t, []string{"1 missing", "2 damaged", "3 missing", "4 damaged"}, conditions(a))
	require.Equal(t, false, a.Data["ok"])
}

func TestACheckSaysThatTheWrapperIsAway(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	err := fmt.Errorf("%w: unplugged", envelope.ErrUnavailable)
	m.WrapKeys(func(w envelope.KeyWrapper) envelope.KeyWrapper { return away{w, &err} })
	a := m.Must(m.Read("keys/k/check"))
	require.Equal(t, []string{"1 unavailable", "2 unavailable", "3 unavailable"}, conditions(a))
	require.Equal(t, false, a.Data["ok"])
}

func TestAnArchiveWithoutItsKeyEncryptionKeyIsInaccessible(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	m.K.Ops("versions/1/archive")
	require.NoError(t, m.Storage.Delete(t.Context(), "config/archive-kek"))
	m.Restart()
	require.Equal(t, []string{"1 inaccessible", "2 ok", "3 ok"}, conditions(m.Must(m.Read("keys/k/check"))))
}

func TestACheckHoldsTheEndOfCustodyAgainstTheRecord(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	m.Storage.CutJournal("journal/k/0000000005", "journal/k/0000000006")
	a := m.Must(m.Read("keys/k/check"))
	require.Equal(t, false, a.Data["ok"])
	require.Contains(t, a.Data["custody_problem"], `key "k"`)
}

func TestAChainThatIsBrokenIsOnTheBoardUntilItIsMended(t *testing.T) {
	chains := func(m *mounttest.Mount) []any { return ask(t, m, logical.ReadOperation).data["broken_chains"].([]any) }
	for by, look := range map[string]func(m *mounttest.Mount){
		"a check":        func(m *mounttest.Mount) { m.Read("keys/k/check") },
		"an act":         func(m *mounttest.Mount) { m.Restart(); require.NoError(t, m.Tick()); m.K.Op("hold") },
		"a verification": func(m *mounttest.Mount) { m.Write("custody/verify", "key", "k") },
		"a checkpoint":   func(m *mounttest.Mount) { m.Restart(); require.NoError(t, m.Tick()); m.Write("custody/checkpoint") },
		"the scrub":      func(m *mounttest.Mount) { m.Clock.Add(2 * time.Hour); require.NoError(t, m.Tick()) },
	} {
		t.Run(by, func(t *testing.T) {
			m, _ := mounttest.KeyOf3(t)
			require.NoError(t, m.Tick())
			require.Empty(t, chains(m))
			whole := m.Storage.All()
			m.Storage.CutJournal("journal/k/0000000005", "journal/k/0000000006")
			look(m)
			require.Equal(t, []any{"k"}, chains(m))
			require.Equal(t, "degraded", ask(t, m, logical.ReadOperation).problems()["custody"])
			for _, path := range []string{"journal/k/0000000005", "journal/k/0000000006"} {
				m.Storage.Plant(path, whole[path])
			}
			look(m)
			if by == "a verification" {
				look(m)
			}
			require.Empty(t, chains(m))
		})
	}
}

func TestTheCheckpointOfAWholeRoundIsShown(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	require.Empty(t, ask(t, m, logical.ReadOperation).data["checkpoint_time"])
	m.Must(m.Write("custody/checkpoint", "key", "k"))
	require.Empty(t, ask(t, m, logical.ReadOperation).data["checkpoint_time"], "of one key alone")
	m.Must(m.Write("custody/checkpoint"))
	require.NotEmpty(t, ask(t, m, logical.ReadOperation).data["checkpoint_time"])
}

func TestAChecksPagesCoverAllVersions(t *testing.T) {
	m := mounttest.New(t)
	m.K.Make(70)
	first := m.Must(m.Read("keys/k/check"))
	require.Len(t, first.Data["versions"], 64)
	require.Equal(t, 64, first.Data["next"])
	second := m.Must(m.Read("keys/k/check", "after", 64))
	require.Len(t, second.Data["versions"], 6)
	require.NotContains(t, second.Data, "next")
	require.Len(t, m.Must(m.Read("keys/k/check", "limit", 2)).Data["versions"], 2)
	require.Empty(t, m.Must(m.Read("keys/k/check", "after", 1<<31-1)).Data["versions"])
	m.Refused(m.Read("keys/k/check", "limit", 65), "limit", "65")
	m.Refused(m.Read("keys/k/check", "after", -1), "after", "-1")
}

func TestEveryTypeOfKeyIsCheckedByUsingIt(t *testing.T) {
	for _, of := range []keytype.Type{
		keytype.AES128GCM96, keytype.AES256GCM96, keytype.ChaCha20Poly1305, keytype.Ed25519, keytype.ECDSAP256, keytype.RSA2048, keytype.HMAC, keytype.AES256CMAC,
	} {
		m := mounttest.New(t)
		kv := []any{"type", string(of)}
		if of == keytype.HMAC {
			kv = append(kv, "key_size", 32)
		}
		m.Must(m.Write("keys/k", kv...))
		require.Equal(t, []string{"1 ok"}, conditions(m.Must(m.Read("keys/k/check"))), of)
	}
}

func TestATicksScrubCostsSoManyReads(t *testing.T) {
	m := mounttest.New(t)
	for i := range 20 {
		m.Must(m.Write(fmt.Sprintf("keys/k%02d", i)))
	}
	idle, busy := cost(t, m, 0), cost(t, m, 8)
	require.Equal(t, idle.Lists, busy.Lists)
	require.Equal(t, 8*(4+2), busy.Gets-idle.Gets,
		"of each key: for its chain the record, the custody record that it names, the end, and nothing behind it; the record, and the version")
}

// cost is what a tick costs that goes on with a scrub of so much. It writes nothing but the clock guard.
func cost(t *testing.T, m *mounttest.Mount, scrub int) storagetest.Counts {
	m.Must(m.Write("config/engine", "scrub", scrub))
	for range 10 {
		m.Clock.Add(time.Minute)
	}
	require.NoError(t, m.Tick()) // a round begins
	m.Clock.Add(time.Minute)
	before := m.Storage.All()
	m.Storage.Reset()
	require.NoError(t, m.Tick())
	counts := m.Storage.Reset()
	after := m.Storage.All()
	delete(before, "config/clock")
	delete(after, "config/clock")
	require.Equal(t, before, after)
	return counts
}

func TestADamagedVersionDegradesUntilItIsMendedOrDestroyed(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	require.NoError(t, m.Tick())
	was := m.Storage.All()["versions/k/1"]
	round := func() answered {
		for range 61 {
			m.Clock.Add(time.Minute)
			require.NoError(t, m.Tick())
		}
		return ask(t, m, logical.ReadOperation)
	}
	m.Corrupt("versions/k/1")
	a := round()
	require.Equal(t, map[string]string{"scrub": "degraded"}, a.problems())
	failure := a.data["damaged_versions"].([]any)[0].(map[string]any)
	require.Equal(t, "k", failure["key"])
	require.EqualValues(t, 1, failure["version"])

	m.Storage.Plant("versions/k/1", was)
	a = round()
	require.Empty(t, a.problems())
	require.NotEmpty(t, a.data["scrub_round_time"])

	m.SetStored("versions/k/1", "fingerprint", "another")
	require.NotEmpty(t, round().problems())
	destroyFirst(m)
	require.Empty(t, round().problems(), "a version that is destroyed is not damaged")
}
