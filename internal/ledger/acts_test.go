// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/ledger"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func begins(acts []ledger.Act) (seqs []int) {
	for _, a := range acts {
		seqs = append(seqs, a.Seq)
	}
	return seqs
}

func TestActsAreTheirBeginningsWithTheirOutcomes(t *testing.T) {
	m := rotations(t, "orders", 6) // 1, 3, 5
	m.act("orders", custody.Record{Act: "rotate"}, custody.Failed)
	m.add("orders", custody.Record{Kind: custody.Begin, Act: "suspend", KeyID: "id of orders"})
	all, more, err := m.ledger().Acts(ctx, "orders", 0, 9)
	require.NoError(t, err)
	require.False(t, more)
	require.Equal(t, []int{1, 3, 5, 7, 9}, begins(all))
	require.Equal(t, []custody.Outcome{custody.Done, custody.Failed, ""}, []custody.Outcome{all[0].Outcome, all[3].Outcome, all[4].Outcome})

	for after, want := range map[int][]int{0: {1, 3}, 1: {3, 5}, 2: {3, 5}, 7: {9}, 9: nil} {
		page, more, err := m.ledger().Acts(ctx, "orders", after, 2)
		require.NoError(t, err)
		require.Equal(t, want, begins(page), "after %d", after)
		require.Equal(t, after < 3, more, "after %d", after)
	}
}

func TestTheNewestActsAreTheLastOnes(t *testing.T) {
	m := rotations(t, "orders", 20)
	newest, older, err := m.ledger().NewestActs(ctx, "orders", 3)
	require.NoError(t, err)
	require.Equal(t, []int{15, 17, 19}, begins(newest))
	require.True(t, older)
	all, older, err := m.ledger().NewestActs(ctx, "orders", 10)
	require.NoError(t, err)
	require.Len(t, all, 10)
	require.False(t, older)
}

func TestAChainWithoutRecordsIsOneOfNothingUnlessItIsTheMounts(t *testing.T) {
	m := rotations(t, "orders", 2)
	for name, missing := range map[string]bool{"other": true, custody.PolicyChain("pci"): true, custody.MountChain: false} {
		_, historyErr := m.ledger().History(ctx, name, 0, 9)
		_, _, actsErr := m.ledger().Acts(ctx, name, 0, 9)
		_, _, newestErr := m.ledger().NewestActs(ctx, name, 9)
		for _, err := range []error{historyErr, actsErr, newestErr} {
			if !missing {
				require.NoError(t, err, name)
				continue
			}
			require.ErrorIs(t, err, refusal.ErrNotFound, name)
		}
	}
	_, err := m.ledger().History(ctx, custody.PolicyChain("pci"), 0, 9)
	require.ErrorContains(t, err, `no policy is named "pci"`)
}
