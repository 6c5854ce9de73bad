// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// govern sets how keys come under a policy.
func govern(w *world, g policy.Governance) error {
	_, err := w.SetGovernance(ctx, func(policy.Governance) policy.Governance { return g })
	return err
}

func TestGovernanceIsNoneUntilItIsSetAndThenStays(t *testing.T) {
	w := newWorld()
	w.putPolicy(t, "pci", "")
	for _, want := range []policy.Governance{
		{}, {RequirePolicy: true}, {RequirePolicy: true, DefaultPolicy: "pci"}, {DefaultPolicy: "pci"}, {},
	} {
		require.NoError(t, govern(w, want))
		w.restart()
		got, err := w.Governance(ctx)
		require.NoError(t, err)
		require.Equal(t, want, got)
		store.Trust(w.store)
		w.disk.Reset()
		require.NoError(t, govern(w, want))
		require.Zero(t, w.disk.Reset().Writes(), "what is set is not written again")
	}
}

func TestTheRecordOfTheGovernanceIsTheGoldenOne(t *testing.T) {
	const record = `{"schema":1,"require_policy":true,"default_policy":"pci"}`
	w := newWorld()
	w.putPolicy(t, "pci", "")
	require.NoError(t, govern(w, policy.Governance{RequirePolicy: true, DefaultPolicy: "pci"}))
	written := w.entries(t)
	act := custody.Hash([]byte(written["journal/mount:/0000000001"]))
	require.JSONEq(t, record[:len(record)-1]+`,"journal_count":1,"journal_hash":"`+act+`"}`, written["config/engine"])

	w = load(t, map[string]string{"config/kek": golden(t, "kek"), "config/engine": later(record)})
	got, err := w.Governance(ctx)
	require.NoError(t, err)
	require.Equal(t, policy.Governance{RequirePolicy: true, DefaultPolicy: "pci"}, got)
	require.NoError(t, govern(w, policy.Governance{}))
	requireLater(t, w.entries(t)["config/engine"])
}

func TestAGovernanceThatCannotBeReadIsReportedAndKept(t *testing.T) {
	for record, want := range map[string]error{
		`{"schema":2,"default_policy":"s3cr3t"}`: store.ErrNewerSchema, `{"schema":1,"default_policy":7}`: store.ErrCorrupt, "{": store.ErrCorrupt,
	} {
		before := map[string]string{"config/engine": record}
		w := load(t, before)
		_, err := w.Governance(ctx)
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, "config/engine")
		require.NotContains(t, err.Error(), "s3cr3t")
		require.ErrorIs(t, govern(w, policy.Governance{RequirePolicy: true}), want)
		require.Equal(t, before, w.entries(t))
	}
}

func TestTheDefaultPolicyIsOneThatIsThere(t *testing.T) {
	w := newWorld()
	err := govern(w, policy.Governance{DefaultPolicy: "pci"})
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.NotContains(t, w.entries(t), "config/engine")

	w.putPolicy(t, "pci", "")
	require.NoError(t, govern(w, policy.Governance{DefaultPolicy: "pci"}))
	require.ErrorIs(t, w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci")), refusal.ErrRefused)
	require.NoError(t, govern(w, policy.Governance{}))
	require.NoError(t, w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci")))
}

// TestDeletingAPolicyAndMakingItTheDefaultExcludeEachOther lets both run at once: whichever comes first, the default
// policy exists.
func TestDeletingAPolicyAndMakingItTheDefaultExcludeEachOther(t *testing.T) {
	for range 200 {
		w := newWorld()
		w.putPolicy(t, "pci", "")
		deleted := make(chan error)
		go func() { deleted <- w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci")) }()
		set := govern(w, policy.Governance{DefaultPolicy: "pci"})
		gone := <-deleted
		require.False(t, set == nil && gone == nil, "both happened")
		g, err := w.Governance(ctx)
		require.NoError(t, err)
		if g.DefaultPolicy != "" {
			_, err := w.Policy(ctx, g.DefaultPolicy)
			require.NoError(t, err)
		}
	}
}

func TestAGovernanceWhoseWriteFailsIsTheOldOneOrTheNewOne(t *testing.T) {
	for applied, want := range map[bool]bool{false: false, true: true} {
		w := newWorld()
		w.disk.FailWrite(2, applied) // custody, the record
		require.Equal(t, want, govern(w, policy.Governance{RequirePolicy: true}) == nil, "how it ended is found out")
		w.disk.Heal()
		got, err := w.Governance(ctx)
		require.NoError(t, err)
		require.Equal(t, want, got.RequirePolicy)
	}
}
