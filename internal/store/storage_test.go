// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/stretchr/testify/require"
)

// readOnly is a storage as an external plugin sees it on a standby: the error has lost its identity.
type readOnly struct{ logical.Storage }

func (readOnly) Put(context.Context, *logical.StorageEntry) error {
	return errors.New(logical.ErrReadOnly.Error())
}

func (readOnly) Delete(context.Context, string) error {
	return errors.New("rpc error: code = Unknown desc = " + logical.ErrReadOnly.Error())
}

func TestReadOnlyStorageIsRecognisedInEveryAct(t *testing.T) {
	for i, a := range acts() {
		if a.writes == 0 || racetest.Spared(t, i) {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			w := newWorld()
			a.arrange(t, w)
			before := w.entries(t)
			w.on(readOnly{w.disk})
			err := a.do(w, "first")
			require.ErrorIs(t, err, logical.ErrReadOnly)
			require.ErrorContains(t, err, logical.ErrReadOnly.Error(), "Vault looks for the text")
			require.Equal(t, before, w.entries(t))
		})
	}
}

func TestOtherStorageErrorsKeepTheirCauseAndNameThePath(t *testing.T) {
	w := newWorld()
	w.create(t, "orders", "")
	w.disk.FailWrites()
	err := rotateOrders(w, "lost")
	require.ErrorIs(t, err, storagetest.ErrInjected)
	require.NotErrorIs(t, err, logical.ErrReadOnly)
	require.EqualError(t, err, "put journal/orders/0000000003: injected storage failure")
}

// reads is every call of the store that reads, with the first path it asks for.
var reads = map[string]func(w *world) error{
	"get keys/orders":            func(w *world) error { _, err := w.Key(ctx, "orders"); return err },
	"get versions/orders/1":      func(w *world) error { _, err := w.Version(ctx, "orders", 1); return err },
	"get policies/pci":           func(w *world) error { _, err := w.Policy(ctx, "pci"); return err },
	"get config/kek":             func(w *world) error { _, _, err := w.Keyring(ctx); return err },
	"get config/cache":           func(w *world) error { _, err := w.CacheSize(ctx); return err },
	"get config/approvals":       func(w *world) error { _, err := w.ApprovalSettings(ctx); return err },
	"get config/approvers":       func(w *world) error { _, err := w.Enrolments(ctx); return err },
	"get config/keys":            func(w *world) error { _, err := w.DisableUpsert(ctx); return err },
	"get intents/reschedule/pci": func(w *world) error { _, _, err := w.ReindexCursor(ctx, "pci"); return err },
	"list keys/":                 func(w *world) error { _, err := w.KeyNames(ctx); return err },
	"list policies/":             func(w *world) error { _, err := w.PolicyNames(ctx); return err },
	"list bound/pci/":            func(w *world) error { _, err := w.BoundKeys(ctx, "pci"); return err },
	"list intents/erase/":        func(w *world) error { _, err := w.Erasures(ctx); return err },
	"list intents/reschedule/":   func(w *world) error { _, err := w.PendingReindexes(ctx); return err },
	"list schedule/":             func(w *world) error { _, err := w.DueMinutes(ctx); return err },
	"list schedule/20260301T1200/": func(w *world) error {
		_, err := w.KeysDue(ctx, start)
		return err
	},
	"get schedule/20260301T1200/orders": func(w *world) error {
		_, err := w.IsListed(ctx, start, "orders")
		return err
	},
	"get config/custody":  func(w *world) error { _, err := w.SigningKeys(ctx); return err },
	"get config/clock":    func(w *world) error { _, err := w.Clock(ctx); return err },
	"get denied/orders/0": func(w *world) error { _, err := w.Denied(ctx, goldenKey(), lifecycle.Of(2)); return err },
	"list denied/orders/": func(w *world) error {
		_, err := w.Denied(ctx, goldenKey(), lifecycle.Range{From: 1, To: 300})
		return err
	},
	"get archive/orders/1": func(w *world) error { _, err := w.Archived(ctx, "orders", 1); return err },
	"get journal/orders/0000000001": func(w *world) error {
		for _, err := range w.Lines(ctx, "orders", 0) {
			if err != nil {
				return err
			}
		}
		return nil
	},
	"get reviews/rv-aa":    func(w *world) error { _, err := w.Review(ctx, "rv-aa"); return err },
	"list reviews/":        func(w *world) error { _, err := w.ReviewIDs(ctx); return err },
	"list journal/":        func(w *world) error { _, err := w.JournalNames(ctx); return err },
	"list intents/settle/": func(w *world) error { _, err := w.PendingRelocations(ctx); return err },
	"get intents/settle/orders": func(w *world) error {
		return w.RelocateAsATick(ctx, "orders", func(lifecycle.Key, int) error { return nil })
	},
	"get dates/orders/0": func(w *world) error {
		_, err := w.Dates(ctx, lifecycle.Key{ID: "id", Name: "orders", Latest: 256}, 1)
		return err
	},
}

func TestReadThatFailsIsNotNothing(t *testing.T) {
	for path, read := range reads {
		w := newWorld()
		w.on(failReads{w.disk})
		err := read(w)
		require.ErrorIs(t, err, errRead, path)
		require.NotErrorIs(t, err, refusal.ErrNotFound, path)
		require.EqualError(t, err, path+": injected read failure")
	}
}

// flaky is a storage whose n-th read fails.
type flaky struct {
	logical.Storage
	left *int
}

func (f flaky) fails() bool { *f.left--; return *f.left == 0 }

func (f flaky) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	if f.fails() {
		return nil, errRead
	}
	return f.Storage.Get(ctx, path)
}

func (f flaky) List(ctx context.Context, prefix string) ([]string, error) {
	if f.fails() {
		return nil, errRead
	}
	return f.Storage.List(ctx, prefix)
}

func TestActThatCannotReadFailsAndCanBeDoneLater(t *testing.T) {
	for i, a := range acts() {
		if racetest.Spared(t, i) {
			continue
		}
		t.Run(a.name, func(t *testing.T) {
			w := newWorld()
			a.arrange(t, w)
			before := w.entries(t)
			for at := 1; ; at++ {
				w := load(t, before)
				left := at
				w.on(flaky{w.disk, &left})
				err := a.do(w, "first")
				if left > 0 {
					require.NoError(t, err)
					break
				}
				what := fmt.Sprintf("read %d", at)
				if err != nil {
					require.ErrorIs(t, err, errRead, what)
				}
				w.restart()
				w.finish(t)
				checkWhole(t, w)
				if err := a.do(w, "second"); a.again == nil || !errors.Is(err, a.again) {
					require.NoError(t, err, what)
				}
				w.finish(t)
				checkWhole(t, w)
			}
		})
	}
}
