// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// begun returns the records that acts begin with, of the history at path.
func begun(m *mounttest.Mount, path string) (acts []map[string]any) {
	m.T.Helper()
	for _, record := range m.Must(m.Read(path)).Data["records"].([]map[string]any) {
		if record["kind"] == "begin" {
			acts = append(acts, record)
		}
	}
	return acts
}

func actsIn(m *mounttest.Mount, path string) (acts []any) {
	m.T.Helper()
	for _, record := range begun(m, path) {
		acts = append(acts, record["act"])
	}
	return acts
}

func TestCustodyKeepsWhoChangedAPolicyAndHow(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	require.Equal(t, 404, m.Read("policies/p/history").Status)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "30d", "reason", "CHG-1: the first one"))
	m.Must(m.Write("policies/p", "rotation_period", "90d", "allowed_types", "aes256-gcm96", "reason", "CHG-2: looser"))
	m.Must(m.Write("policies/p", "rotation_period", "90d")) // says the same
	m.Refused(m.Write("policies/p", "rotation_period", "x"), "rotation_period")
	acts := begun(m, "policies/p/history")
	require.Len(t, acts, 2)
	require.Equal(t, "CHG-2: looser", acts[1]["reason"])
	require.Equal(t, []any{"write", "p", 2.0, "policy:p"}, []any{acts[1]["act"], acts[1]["policy"], acts[1]["policy_revision"], acts[1]["key"]})
	require.Equal(t, map[string]any{
		"revision": "1 -> 2", "rotation_period": "30d -> 90d", "allowed_types": "[] -> [\"aes256-gcm96\"]",
		"policy_hash": m.Must(m.Read("policies/p")).Data["hash"],
	}, acts[1]["details"])
	require.Equal(t, "0 -> 1", acts[0]["details"].(map[string]any)["revision"])

	m.Must(m.Delete("policies/p", "reason", "CHG-3: unused"))
	m.Must(m.Write("policies/p", "owner", "o"))
	require.Equal(t, []any{"write", "write", "delete", "write"}, actsIn(m, "policies/p/history"))
	require.Equal(t, "CHG-3: unused", begun(m, "policies/p/history")[2]["reason"])
	require.Equal(t, true, m.Must(m.Write("custody/verify")).Data["valid"])
}

func TestCustodyKeepsWhoChangedTheSettingsOfTheMount(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	require.Empty(t, m.Must(m.Read("config/history")).Data["records"])
	m.Must(m.Write("config/keys", "disable_upsert", true, "reason", "no misspelt keys"))
	m.Must(m.Write("config/keys", "disable_upsert", true))
	m.Must(m.Write("config/engine", "require_policy", true, "reason", "as the auditors asked"))
	m.Must(m.Write("config/clock", "acknowledge", true, "reason", "the clock is right"))
	m.Must(m.Write("custody/rotate-key", "reason", "staff left"))
	m.Must(m.Write("custody/rotate-key"))
	acts := begun(m, "config/history")
	require.Equal(t, []any{"configure-keys", "configure-engine", "acknowledge-clock", "rotate-signing-key", "rotate-signing-key"}, actsIn(m, "config/history"))
	require.Equal(t, "the clock is right", acts[2]["reason"])
	require.Equal(t, map[string]any{"require_policy": "false -> true"}, acts[1]["details"])
	require.Equal(t, "2", acts[4]["details"].(map[string]any)["generation"])

	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/k", "policy", "p"))
	checkpoint := checkpointed(m)
	for _, chain := range []string{`"key":"mount:"`, `"key":"policy:p"`, `"key":"k"`} {
		require.Contains(t, checkpoint.Payload, chain)
		require.Contains(t, strings.Join(exported(m, 100), "\n"), chain)
	}
	report := verified(m, checkpoint)
	require.True(t, report.Clean(), "%v", report.Problems)
	require.Equal(t, 3, report.Chains)
}

func TestATableOfTheHistoryOfAPolicyShowsWhatWasChanged(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "30d"))
	m.Must(m.Write("policies/p", "rotation_period", "90d", "reason", "CHG-2: looser"))
	info := m.Must(m.List("policies/p/history")).Data["key_info"].(map[string]any)
	require.Len(t, info, 2)
	require.Contains(t, fmt.Sprint(info["3"]), "revision 1 -> 2; rotation_period 30d -> 90d")
	require.Equal(t, 404, m.List("config/history").Status, "Vault's answer to a list without entries")
}

// TestTheFirstActOfAMountGivesItItsIdentity is about the first act of every kind: none is left out for want of a key.
func TestTheFirstActOfAMountGivesItItsIdentity(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(m *mounttest.Mount){
		"policy": func(m *mounttest.Mount) { m.Must(m.Write("policies/p", "owner", "o")) },
		"keys":   func(m *mounttest.Mount) { m.Must(m.Write("config/keys", "disable_upsert", true)) },
		"clock":  func(m *mounttest.Mount) { m.Must(m.Write("config/clock", "acknowledge", true)) },
		"key":    func(m *mounttest.Mount) { m.Must(m.Read("custody/public-key")) },
	} {
		t.Run(name, func(t *testing.T) {
			m := mounttest.New(t)
			first(m)
			m.Restart()
			m.Must(m.Write("custody/checkpoint"))
			m.Must(m.Write("keys/k"))
			m.Encrypt("k", "secret")
			mounttest.RequireCustodyWhole(t, m)
		})
	}
}

func TestARefusedWriteOfAPolicyLeavesAnEmptyMountEmpty(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Refused(m.Write("policies/p", "owner", "o", "rotation_period", "x"), "rotation_period")
	require.Empty(t, m.Storage.All())
}

func TestAWriteOfAPolicyThatComesAgainIsOneRevision(t *testing.T) {
	t.Parallel()
	racetest.Skip(t, "one goroutine works alone")
	for at := 1; at <= 5; at++ { // custody, revision, intent, policy, custody
		for _, fate := range storagetest.Fates() {
			m := mounttest.New(t)
			m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "30d"))
			write := func() mounttest.Answer {
				return m.As("r1", func(m *mounttest.Mount) mounttest.Answer {
					return m.Write("policies/p", "rotation_period", "90d", "cas", 1)
				})
			}
			m.Storage.FailWriteAs(at, fate)
			_ = write()
			m.Storage.Heal()
			m.Restart()
			require.Less(t, write().Status, 300, "write %d %s", at, fate)
			require.Equal(t, 2, m.Must(m.Read("policies/p")).Data["revision"])
			m.Must(m.Write("custody/checkpoint"))
			mounttest.RequireCustodyWhole(t, m)
		}
	}
}

func TestAChainThatWasAlteredStopsActsOnItsPolicyAlone(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("policies/q", "owner", "o"))
	m.Storage.Plant("journal/policy:p/0000000003", m.Storage.All()["journal/policy:q/0000000001"])
	m.Restart()
	refused := m.Write("policies/p", "owner", "x")
	require.Equal(t, 500, refused.Status)
	require.Contains(t, refused.Err, `the custody of the policy "p" was altered or lost`)
	m.Must(m.Write("policies/q", "owner", "x"))
	m.Must(m.Write("keys/k", "policy", "p"))
	require.Equal(t, []string{"policy:p"}, m.Must(m.Write("custody/checkpoint")).Data["broken"])
	require.Equal(t, false, m.Must(m.Write("custody/verify")).Data["valid"])
}

func TestAnOlderPolicyThatIsPutBackIsFoundOut(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	old := m.Storage.All()["policies/p"]
	m.Must(m.Write("policies/p", "owner", "x"))
	m.Storage.Plant("policies/p", old)
	m.InvalidateKey(context.Background(), "policies/p")
	require.Equal(t, 500, m.Write("policies/p", "owner", "y").Status)
	require.Contains(t, fmt.Sprint(m.Must(m.Write("custody/verify")).Data["problems"]), "took effect")
}

func TestASettingThatIsPutBackIsFoundOut(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("config/engine", "require_policy", true))
	m.Must(m.Write("policies/p", "owner", "o"))
	require.NoError(t, m.Storage.Delete(t.Context(), "config/engine"))
	m.Restart()
	require.Equal(t, 500, m.Write("config/keys", "disable_upsert", true).Status)
	require.Contains(t, fmt.Sprint(m.Must(m.Write("custody/verify")).Data["problems"]), "took effect")
}

func TestAJournalThatIsMissingAsAWholeIsFoundOut(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("config/keys", "disable_upsert", true))
	for path := range m.Storage.All() {
		if strings.HasPrefix(path, "journal/") {
			require.NoError(t, m.Storage.Delete(t.Context(), path))
		}
	}
	m.Restart()
	require.Len(t, m.Must(m.Write("custody/verify")).Data["problems"], 2)
}

// TestAPolicyThatCannotBeReadIsReplacedAndCustodySaysSo is about a chain of which the damaged record names nothing any more.
func TestAPolicyThatCannotBeReadIsReplacedAndCustodySaysSo(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Storage.Plant("policies/p", []byte("{"))
	m.Restart()
	require.Equal(t, []string{"policy:p"}, m.Must(m.Write("custody/checkpoint")).Data["broken"])
	require.Contains(t, fmt.Sprint(m.Must(m.Write("custody/verify")).Data["problems"]), "policies/p")
	m.Must(m.Write("policies/p", "owner", "x"))
	acts := begun(m, "policies/p/history")
	require.Len(t, acts, 2)
	require.Contains(t, acts[1]["details"].(map[string]any)["custody_break"], "policies/p")
	m.Must(m.Write("policies/p", "owner", "y"))
	require.Equal(t, true, m.Must(m.Write("custody/verify")).Data["valid"])
}

// TestAnotherNodesActsAreFollowed is about a node that remembers the end of a chain.
func TestAnotherNodesActsAreFollowed(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("config/keys", "disable_upsert", true))
	snapshot := m.Storage.All()
	m.Must(m.Write("policies/p", "owner", "x"))
	m.Must(m.Write("config/keys", "disable_upsert", false))
	for path := range m.Storage.All() {
		require.NoError(t, m.Storage.Delete(t.Context(), path))
	}
	for path, value := range snapshot { // as if the other node had written all that there is
		m.Storage.Plant(path, value)
	}
	m.InvalidateKey(context.Background(), "policies/p")
	m.InvalidateKey(context.Background(), "config/keys")
	m.Must(m.Write("policies/p", "owner", "z"))
	m.Must(m.Write("config/engine", "require_policy", true))
	require.Equal(t, true, m.Must(m.Write("custody/verify")).Data["valid"])
}

func TestATickKeepsWhichActAcknowledgedTheClock(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("config/clock", "acknowledge", true))
	for range 10 {
		m.Clock.Add(time.Minute)
		require.NoError(t, m.Tick())
	}
	m.Restart()
	m.Must(m.Write("config/keys", "disable_upsert", true))
	require.Equal(t, []any{"acknowledge-clock", "configure-keys"}, actsIn(m, "config/history"))
	require.Equal(t, true, m.Must(m.Write("custody/verify")).Data["valid"])
}

func TestWritingAPolicyCostsTwoPutsForCustody(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Storage.Reset()
	m.Must(m.Write("policies/p", "owner", "x"))
	require.Equal(t, storagetest.Counts{Gets: 2, Puts: 5}, m.Storage.Reset(), "custody, revision, intent, policy, custody")
}

func TestASettingOfTheMountCostsTwoGetsAndThreePuts(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Storage.Reset()
	m.Must(m.Write("config/engine", "require_policy", true))
	require.Equal(t, storagetest.Counts{Gets: 12, Puts: 3}, m.Storage.Reset(), "the first one reads each record of the mount")
	for path, field := range map[string]string{"config/engine": "require_policy", "config/keys": "disable_upsert"} {
		for _, on := range []bool{true, false} {
			m.Must(m.Write(path, field, on))
			m.Storage.Reset()
			m.Must(m.Write(path, field, !on))
			require.Equal(t, storagetest.Counts{Gets: 2, Puts: 3}, m.Storage.Reset(), "the setting, nothing behind the chain; custody, setting, custody")
		}
	}
}
