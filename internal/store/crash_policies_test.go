// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
	"github.com/stretchr/testify/require"
)

func revisePCI(w *world, _ string) error {
	_, err := w.PutPolicy(ctx, "pci", revise("pci", "next"))
	return err
}

func deletePCI(w *world, _ string) error { return w.DeletePolicy(ctx, "pci", anyPolicy, unused("pci")) }

func rescheduled(done bool) func(w *world, attempt string) error {
	return func(w *world, _ string) error { return w.SaveReindexCursor(ctx, "pci", 1, "orders", done) }
}

// unbound arranges a policy of two revisions, with an entry of a key in its index that is not bound any more.
func unbound(t *testing.T, w *world) {
	withKey(1, true)(t, w)
	w.putPolicy(t, "pci", "second")
	w.disk.FailWrite(3, false) // custody, the record, then the entry
	_, err := w.UpdateKey(ctx, "orders", configure(func(k *lifecycle.Key) { k.Policy = "" }))
	if err != nil {
		t.Fatal(err)
	}
	w.disk.Heal()
}

func policyActs() []act {
	return []act{
		{name: "put a policy", arrange: nothing, do: revisePCI, writes: 5},
		{name: "revise a policy", arrange: withKey(2, true), do: revisePCI, writes: 5},
		{name: "delete a policy", arrange: withKey(1, false), do: deletePCI, writes: 5, again: refusal.ErrNotFound},
		{name: "delete a policy with a stale entry", arrange: unbound, do: deletePCI, writes: 7, again: refusal.ErrNotFound},
		{name: "note a reschedule", arrange: withKey(1, true), do: rescheduled(false), writes: 1},
		{name: "end a reschedule", arrange: withKey(1, true), do: rescheduled(true), writes: 1},
	}
}

func noKeyring(t *testing.T, w *world) {
	for path := range w.entries(t) {
		require.NoError(t, w.disk.Delete(ctx, path))
	}
	w.restart()
}

func clockSet(t *testing.T, w *world) {
	require.NoError(t, w.SetClock(ctx, lifecycle.Clock{High: start}))
}

// allSet arranges a mount on which every setting was changed, and what is changed next the longest ago.
func allSet(t *testing.T, w *world) {
	clockSet(t, w)
	require.NoError(t, w.SetDisableUpsert(ctx, true))
	require.NoError(t, w.SetCacheSize(ctx, 10))
	enrolled(t, w)
	_, err := w.SetGovernance(ctx, func(policy.Governance) policy.Governance { return policy.Governance{RequirePolicy: true} })
	require.NoError(t, err)
	_, err = w.AddSigningKey(ctx, nextSigningKey)
	require.NoError(t, err)
	require.NoError(t, w.AcknowledgeClock(ctx, goldenClock()))
}

// tokenSet arranges a mount with a token and a key on it.
func tokenSet(t *testing.T, w *world) {
	require.NoError(t, configureHSM(w, true))
	require.NoError(t, addKEK(w, 1, "create-kek"))
}

func configureHSM(w *world, configured bool) error {
	act, settings := "configure-hsm", goldenHSM()
	if !configured {
		act, settings = "delete-hsm", tokens.Settings{}
	}
	return w.SetHSM(ctx, lifecycle.Event{Act: act}, func(keyring.HSM) (tokens.Settings, bool, error) { return settings, configured, nil })
}

// addKEK makes the n-th key the active one; without an act it is pending.
func addKEK(w *world, n int, act string) error {
	return w.SetKEKs(ctx, func(h keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		kek := goldenKEK()
		kek.ID[0] = byte(n)
		if act == "" {
			kek.State = keyring.Pending
			return append(h.KEKs[:n-1:n-1], kek), lifecycle.Event{}, nil
		}
		kek.State = keyring.Active
		for i := range h.KEKs {
			h.KEKs[i].State = keyring.DecryptOnly
		}
		return append(h.KEKs[:n-1:n-1], kek), lifecycle.Event{Act: act}, nil
	})
}

func mountActs() []act {
	return []act{
		{name: "create the keyring", arrange: noKeyring, do: func(w *world, attempt string) error {
			ring := keyring.KEKs{
				Instance: attempt, Use: keyring.KEK{Key: make([]byte, 32), Created: start}, Archive: keyring.KEK{Key: make([]byte, 32), Created: start},
			}
			_, err := w.CreateKeyring(ctx, ring)
			return err
		}, writes: 2},
		{name: "add a signing key", arrange: nothing, do: func(w *world, _ string) error {
			_, err := w.AddSigningKey(ctx, nextSigningKey)
			return err
		}, writes: 3},
		{name: "acknowledge the clock", arrange: clockSet, do: func(w *world, _ string) error {
			return w.AcknowledgeClock(ctx, goldenClock())
		}, writes: 3},
		{name: "configure the engine", arrange: withKey(1, true), do: func(w *world, _ string) error {
			_, err := w.SetGovernance(ctx, func(policy.Governance) policy.Governance {
				return policy.Governance{RequirePolicy: true, DefaultPolicy: "pci"}
			})
			return err
		}, writes: 3},
		{name: "change a setting after others", arrange: allSet, do: func(w *world, _ string) error { return w.SetDisableUpsert(ctx, false) }, writes: 3},
		{name: "set the clock", arrange: nothing, do: func(w *world, _ string) error { return w.SetClock(ctx, goldenClock()) }, writes: 1},
		{name: "add denied uses", arrange: withKey(1, false), do: func(w *world, _ string) error { return addDenied(w) }, writes: 1},
		{name: "bound the cache", arrange: nothing, do: func(w *world, _ string) error { return w.SetCacheSize(ctx, 10) }, writes: 3},
		{name: "bound the cache anew", arrange: allSet, do: func(w *world, _ string) error { return w.SetCacheSize(ctx, 20) }, writes: 3},
		{name: "disable upsert", arrange: nothing, do: func(w *world, _ string) error { return w.SetDisableUpsert(ctx, true) }, writes: 3},
		{name: "configure the HSM", arrange: allSet, do: func(w *world, _ string) error { return configureHSM(w, true) }, writes: 3},
		{name: "delete the HSM", arrange: tokenSet, do: func(w *world, _ string) error { return configureHSM(w, false) }, writes: 3},
		{name: "note a PIN that was rejected", arrange: tokenSet, do: func(w *world, _ string) error {
			return w.SetHSM(ctx, lifecycle.Event{}, func(h keyring.HSM) (tokens.Settings, bool, error) {
				h.Settings.PINRejected = start.Add(2 * time.Hour)
				return h.Settings, true, nil
			})
		}, writes: 1},
		{name: "draw a KEK", arrange: tokenSet, do: func(w *world, _ string) error { return addKEK(w, 2, "") }, writes: 1},
		{name: "rotate a KEK", arrange: tokenSet, do: func(w *world, _ string) error { return addKEK(w, 2, "rotate-kek") }, writes: 3},
		{name: "list a key", arrange: nothing, do: func(w *world, _ string) error { return w.AddDue(ctx, start, "orders") }, writes: 1},
		{name: "unlist a key", arrange: withKey(1, false), do: func(w *world, _ string) error { return w.RemoveDue(ctx, start, "orders") }, writes: 1},
		{name: "defer a key", arrange: withKey(1, false), do: func(w *world, _ string) error {
			return w.PostponeDue(ctx, start, start.Add(10*time.Minute), "orders")
		}, writes: 2},
	}
}
