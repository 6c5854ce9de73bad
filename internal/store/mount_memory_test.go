// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// oblige writes the duties of approvers, one of the settings about consent.
func oblige(w *world, duties string) error {
	_, err := w.SetApprovalSettings(ctx, func(s consent.Settings) (consent.Settings, lifecycle.Event, error) {
		s.Duties = duties
		return s, lifecycle.Event{Act: "configure-approvals"}, nil
	})
	return err
}

// duties returns them as they are in force, and what it took to know.
func duties(t *testing.T, w *world) (string, storagetest.Counts) {
	t.Helper()
	w.disk.Reset()
	s, err := w.ApprovalSettings(ctx)
	require.NoError(t, err)
	return s.Duties, w.disk.Reset()
}

func TestTheRulesOfTheMountAreReadOnce(t *testing.T) {
	w := newWorld()
	require.NoError(t, oblige(w, "Look."))
	for _, want := range []storagetest.Counts{{Gets: 1}, {}, {}} {
		text, cost := duties(t, w)
		require.Equal(t, "Look.", text)
		require.Equal(t, want, cost)
	}
	w.store.DisableCache()
	for range 2 {
		_, cost := duties(t, w)
		require.Equal(t, storagetest.Counts{Gets: 1}, cost)
	}
}

// TestTheRulesThatAreRememberedAreThoseThatAreStored whatever became of the write, and whoever made it.
func TestTheRulesThatAreRememberedAreThoseThatAreStored(t *testing.T) {
	for at := 1; at <= 3; at++ { // custody, settings, custody
		for _, fate := range storagetest.Fates() {
			w := newWorld()
			require.NoError(t, oblige(w, "Look."))
			duties(t, w)
			w.disk.FailWriteAs(at, fate)
			_ = oblige(w, "Look twice.")
			w.disk.Heal()
			duties(t, w) // would be remembered
			require.NoError(t, w.SetClock(ctx, lifecycle.Clock{High: start}), "what is late lands")
			remembered, _ := duties(t, w)
			w.restart()
			stored, _ := duties(t, w)
			require.Equal(t, stored, remembered, "write %d %s", at, fate)
		}
	}
}

// cutOff is a storage that takes the rules, says that it did not, and takes nothing more while it is down.
type cutOff struct {
	logical.Storage
	down bool
	held *logical.StorageEntry
}

func (s *cutOff) Put(ctx context.Context, entry *logical.StorageEntry) error {
	switch {
	case entry.Key == "config/approvals":
		s.held, s.down = entry, true
		return storagetest.ErrInjected
	case s.down:
		return storagetest.ErrInjected
	}
	return s.Storage.Put(ctx, entry)
}

func TestRulesAreNotRememberedWhileOthersMayStillLand(t *testing.T) {
	w := newWorld()
	require.NoError(t, oblige(w, "Look."))
	disk := &cutOff{Storage: w.disk}
	w.on(disk)
	require.ErrorIs(t, oblige(w, "Look twice."), storagetest.ErrInjected)
	text, _ := duties(t, w)
	require.Equal(t, "Look.", text)
	require.NoError(t, w.disk.Put(ctx, disk.held))
	text, _ = duties(t, w)
	require.Equal(t, "Look twice.", text)
}

func TestTheRulesThatAnotherNodeWroteAreFollowed(t *testing.T) {
	w := newWorld()
	require.NoError(t, oblige(w, "Look."))
	duties(t, w)
	other := &world{disk: w.disk}
	other.restart()
	require.NoError(t, oblige(other, "Look twice."))
	w.store.Forget(custody.MountChain)
	text, _ := duties(t, w)
	require.Equal(t, "Look twice.", text)
}

func TestTheEndOfTheMountsChainIsRemembered(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.SetDisableUpsert(ctx, true))
	for _, on := range []bool{false, true} {
		w.disk.Reset()
		require.NoError(t, w.SetDisableUpsert(ctx, on))
		require.Equal(t, storagetest.Counts{Gets: 2, Puts: 3}, w.disk.Reset(), "the setting, nothing behind the chain")
	}
	require.NoError(t, w.SetCacheSize(ctx, 20))
	checkCustody(t, w)
}

// TestNothingIsOverwrittenInTheMountsChain by a node that was told nothing of another one's acts.
func TestNothingIsOverwrittenInTheMountsChain(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.SetDisableUpsert(ctx, true))
	other := &world{disk: w.disk}
	other.restart()
	require.NoError(t, other.SetCacheSize(ctx, 20))
	require.NoError(t, w.SetDisableUpsert(ctx, false))
	head, err := w.JournalHead(ctx, custody.MountChain)
	require.NoError(t, err)
	require.Equal(t, 6, head.Count)
	checkCustody(t, w)
}

// TestASettingThatIsPutBackIsFoundByTheProcessThatWroteIt although that remembers the end of the chain.
func TestASettingThatIsPutBackIsFoundByTheProcessThatWroteIt(t *testing.T) {
	w := newWorld()
	require.NoError(t, w.SetDisableUpsert(ctx, true))
	old := w.entries(t)["config/keys"]
	require.NoError(t, w.SetDisableUpsert(ctx, false))
	w.plant(t, "config/keys", old)
	problem, err := w.CheckJournal(ctx, custody.MountChain)
	require.NoError(t, err)
	require.Contains(t, problem, "took effect")
}
