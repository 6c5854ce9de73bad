// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// withBackup makes key k of so many versions that may be backed up.
func withBackup(t *testing.T, w *enginetest.World, policy string, versions int) {
	t.Helper()
	_, _, err := w.Session().Keys().Create(t.Context(), engine.Creation{
		Spec: lifecycle.Key{Name: "k", Type: keytype.AES256GCM96, Exportable: true, AllowPlaintextBackup: true}, Policy: &policy,
	})
	require.NoError(t, err)
	for range versions - 1 {
		w.Clock.Add(time.Hour)
		w.Rotate("k")
	}
	w.Acts()
	w.Calls()
}

func backedUp(t *testing.T, w *enginetest.World) string {
	t.Helper()
	text, err := w.Session().Transfers().Backup(t.Context(), "k", "a reason for it")
	require.NoError(t, err)
	return text
}

func restore(w *enginetest.World, in engine.Restoring) error {
	in.CheckName = func(name string) error {
		if name != "k" {
			return errors.New("not a name")
		}
		return nil
	}
	return w.Session().Transfers().Restore(context.Background(), in)
}

func TestARestoredKeyOpensWhatTheOldOneEncrypted(t *testing.T) {
	w := enginetest.New(t)
	withBackup(t, w, "", 1)
	var texts []string
	for range 3 {
		texts = append(texts, w.Encrypt("k", "secret").Text)
		w.Rotate("k")
	}
	w.Acts()
	before := w.Stored("k")
	text := backedUp(t, w)
	require.Equal(t, before, w.Stored("k"))
	acts := w.Acts()
	require.Equal(t, "backup", acts[0].Act)
	require.Equal(t, []int{1, 2, 3, 4}, acts[0].Versions)

	other := enginetest.New(t)
	other.Clock.Add(48 * time.Hour)
	require.NoError(t, restore(other, engine.Restoring{Backup: text}))
	k := other.Stored("k")
	require.NotEqual(t, before.ID, k.ID)
	require.Equal(t, 1, k.Revision)
	require.Equal(t, 4, k.Primary)
	require.Equal(t, before.Recent, k.Recent)
	for _, text := range texts {
		outcome := other.Decrypt("k", text)
		require.NoError(t, outcome.Err)
		require.Equal(t, enginetest.Text("secret"), outcome.Text)
	}
	require.Contains(t, other.Encrypt("k", "x").Text, "vault:v4:")
	other.Rotate("k")
	require.Contains(t, other.Encrypt("k", "x").Text, "vault:v5:")
	done := other.Acts()[0]
	require.Equal(t, "restore-backup", done.Act)
	require.Equal(t, []int{1, 2, 3, 4}, done.Versions)
	require.NotContains(t, done.Details, "backup_of")
}

func TestStatesSurviveABackup(t *testing.T) {
	w := enginetest.New(t)
	withBackup(t, w, "", 5)
	text := w.Encrypt("k", "secret").Text
	require.NoError(t, do(w, lifecycle.ReportCompromise, 1))
	require.NoError(t, do(w, lifecycle.Suspend, 2))
	require.NoError(t, do(w, lifecycle.Archive, 3))
	require.NoError(t, do(w, lifecycle.Suspend, 5))
	require.Error(t, w.Encrypt("k", "x").Err, "the active version is suspended")
	backup := backedUp(t, w)

	other := enginetest.New(t)
	require.NoError(t, restore(other, engine.Restoring{Backup: backup, Name: "k"}))
	k := other.Stored("k")
	for n, want := range []lifecycle.State{lifecycle.Compromised, lifecycle.Suspended, lifecycle.Archived, lifecycle.Deactivated, lifecycle.Suspended} {
		require.Equal(t, want, k.State(n+1), "version %d", n+1)
	}
	require.Equal(t, "key_compromise", k.Overrides[1].Compromise.Code)
	inUse, archived, _ := other.StoredVersion("k", 3)
	require.Empty(t, inUse, "the material of an archived version goes to the archive")
	require.NotEmpty(t, archived)
	require.Error(t, other.Decrypt("k", text).Err)
	require.NoError(t, do(other, lifecycle.Resume, 5))
	require.NoError(t, other.Decrypt("k", text).Err)
}

func TestABackupNeedsBothFlagsAndAPolicyThatAllowsThem(t *testing.T) {
	yes := true
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.Exportable, d.AllowPlaintextBackup = true, true })
	w.Create("k", "p")
	backup := func() error {
		_, err := w.Session().Transfers().Backup(t.Context(), "k", "")
		return err
	}
	configure := func(c lifecycle.ConfigChange) {
		_, _, err := w.Session().Keys().Configure(t.Context(), "k", c, engine.Precondition{})
		require.NoError(t, err)
	}
	err := backup()
	require.ErrorIs(t, err, refusal.ErrAsFault)
	require.ErrorContains(t, err, "exporting is disallowed on the policy")
	configure(lifecycle.ConfigChange{Exportable: &yes})
	err = backup()
	require.ErrorIs(t, err, refusal.ErrAsFault)
	require.ErrorContains(t, err, "plaintext backup is disallowed on the policy")
	configure(lifecycle.ConfigChange{AllowPlaintextBackup: &yes})
	require.NoError(t, backup())
	acts := w.Acts()
	require.Equal(t, "p", acts[len(acts)-1].Policy)
}

func TestARestoredKeyComesUnderAPolicy(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.Exportable, d.AllowPlaintextBackup = true, true })
	withBackup(t, w, "p", 2)
	backup := backedUp(t, w)

	other := enginetest.New(t)
	err := restore(other, engine.Restoring{Backup: backup})
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, `policy: "p"`, "the key does not get rid of its policy unseen")

	other.Policy("p", func(*policy.Document) {})
	require.NoError(t, restore(other, engine.Restoring{Backup: backup}))
	k := other.Stored("k")
	require.Equal(t, "p", k.Policy)
	require.False(t, k.Exportable, "the policy allows no exportable keys")
	require.False(t, k.AllowPlaintextBackup)
	require.False(t, k.Due.IsZero(), "the policy rotates it")

	none, third := "", enginetest.New(t)
	require.NoError(t, restore(third, engine.Restoring{Backup: backup, Policy: &none}))
	require.True(t, third.Stored("k").Exportable)

	strict := enginetest.New(t)
	strict.Policy("p", func(d *policy.Document) { d.AllowedTypes = []keytype.Type{keytype.ChaCha20Poly1305} })
	err = restore(strict, engine.Restoring{Backup: backup})
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, "allowed_types")

	asks := enginetest.New(t)
	asks.Policy("p", func(d *policy.Document) { d.RequireReason = []string{"restore-backup"} })
	require.ErrorContains(t, restore(asks, engine.Restoring{Backup: backup}), "demands a reason")
	require.NoError(t, restore(asks, engine.Restoring{Backup: backup, Reason: "the site burned down"}))
}

func TestAKeyIsReplacedByForceAlone(t *testing.T) {
	w := enginetest.New(t)
	withBackup(t, w, "", 2)
	backup := backedUp(t, w)
	old := w.Stored("k")
	text := w.Encrypt("k", "secret").Text
	err := restore(w, engine.Restoring{Backup: backup})
	require.ErrorIs(t, err, refusal.ErrAsFault)
	require.EqualError(t, err, `key "k" already exists`)
	require.Equal(t, old, w.Stored("k"))

	w.Rotate("k")
	require.NoError(t, restore(w, engine.Restoring{Backup: backup, Force: true}))
	require.Equal(t, 2, w.Stored("k").Latest)
	require.NoError(t, w.Decrypt("k", text).Err)

	for name, hinder := range map[string]func(w *enginetest.World){
		"under legal hold": func(w *enginetest.World) {
			_, err := w.Session().Versions().Hold(t.Context(), "k", true, engine.Precondition{})
			require.NoError(t, err)
		},
		"governed by policy": func(w *enginetest.World) {
			w.Policy("p", func(d *policy.Document) { d.Exportable, d.AllowPlaintextBackup = true, true })
			p := "p"
			_, _, err := w.Session().Keys().Configure(t.Context(), "k", lifecycle.ConfigChange{Policy: &p}, engine.Precondition{})
			require.NoError(t, err)
		},
	} {
		w := enginetest.New(t)
		withBackup(t, w, "", 2)
		hinder(w)
		before := w.Stored("k")
		err := restore(w, engine.Restoring{Backup: backup, Force: true})
		require.ErrorIs(t, err, refusal.ErrRefused)
		require.ErrorContains(t, err, name)
		require.Equal(t, before, w.Stored("k"))
	}
}

// TestNothingIsWrittenOfABackupThatDoesNotSeal: everything is sealed before the key that is there is touched.
func TestNothingIsWrittenOfABackupThatDoesNotSeal(t *testing.T) {
	w := enginetest.New(t)
	withBackup(t, w, "", 3)
	backup := backedUp(t, w)
	before := w.Stored("k")
	w.Acts()
	w.Token.Away(errors.New("away"))
	require.ErrorContains(t, restore(w, engine.Restoring{Backup: backup, Force: true}), "away")
	require.ErrorIs(t, restore(w, engine.Restoring{Backup: "e30=", Force: true}), refusal.ErrInvalid)
	require.Equal(t, before, w.Stored("k"))
	require.Empty(t, w.Acts())
}

func TestANameOfABackupIsChecked(t *testing.T) {
	w := enginetest.New(t)
	withBackup(t, w, "", 1)
	backup := backedUp(t, w)
	other := enginetest.New(t)
	in := engine.Restoring{Backup: backup, CheckName: func(string) error { return errors.New("not a name") }}
	require.ErrorContains(t, other.Session().Transfers().Restore(t.Context(), in), "not a name")
	in.Name = "another"
	require.NoError(t, other.Session().Transfers().Restore(t.Context(), in))
	require.Equal(t, "k", other.Acts()[0].Details["backup_of"])
}

func TestAStagedVersionOfABackupWaitsForAnOperator(t *testing.T) {
	w := enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.Exportable, d.AllowPlaintextBackup = true, true })
	withBackup(t, w, "p", 1)
	_, err := w.Session().Versions().Rotate(t.Context(), "k", true, engine.Precondition{})
	require.NoError(t, err)
	require.NoError(t, restore(w, engine.Restoring{Backup: backedUp(t, w), Name: "r"}))
	for range 3 {
		w.Clock.Add(10 * time.Minute)
		w.Tick()
	}
	for _, name := range []string{"k", "r"} {
		require.Equal(t, 2, w.Stored(name).Staged, name)
		require.Equal(t, 1, w.Stored(name).Primary, name)
	}
}
