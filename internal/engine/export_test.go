// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// exportable makes key k with so many versions.
func exportable(t *testing.T, w *enginetest.World, kind keytype.Type, policy string, versions int) {
	t.Helper()
	_, _, err := w.Session().Keys().Create(t.Context(), engine.Creation{
		Spec: lifecycle.Key{Name: "k", Type: kind, Exportable: true}, Policy: &policy,
	})
	require.NoError(t, err)
	for range versions - 1 {
		w.Rotate("k")
	}
	w.Acts()
	w.Calls()
}

// export returns the versions that were given out.
func export(w *enginetest.World, in engine.Exporting) ([]int, error) {
	out, err := w.Session().Transfers().Export(context.Background(), "k", in)
	return slices.Sorted(maps.Keys(out.Values)), err
}

func TestAnExportIsKeptByCustodyAndChangesNothing(t *testing.T) {
	w := enginetest.New(t)
	exportable(t, w, keytype.Ed25519, "", 3)
	before := w.Stored("k")
	got, err := export(w, engine.Exporting{Kind: engine.SigningKey, Encoding: envelope.PEM, Reason: "an escrow"})
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, got)
	require.Equal(t, before, w.Stored("k"))
	require.Equal(t, []enginetest.Done{{Key: "k", Event: lifecycle.Event{
		Act: "export", Versions: []int{1, 2, 3}, Reason: "an escrow", Details: map[string]string{"kind": "signing-key", "format": "pem"},
	}}}, w.Acts())
	calls := w.Calls()
	require.Equal(t, 1, calls["Read"], "the key is read once")
	require.Equal(t, 1, calls["UpdateKey"])
	require.Equal(t, 3, calls["Version"])

	for _, kind := range []engine.ExportKind{engine.PublicKey} {
		got, err = export(w, engine.Exporting{Kind: kind})
		require.NoError(t, err)
		require.Equal(t, []int{1, 2, 3}, got)
	}
	require.Empty(t, w.Acts(), "a public half is no secret")
}

func TestManyVersionsAreKeptAsARange(t *testing.T) {
	w := enginetest.New(t)
	exportable(t, w, keytype.AES128GCM96, "", 66)
	_, err := export(w, engine.Exporting{Kind: engine.EncryptionKey})
	require.NoError(t, err)
	event := w.Acts()[0].Event
	require.Empty(t, event.Versions)
	require.Equal(t, "66 of 1 to 66", event.Details["versions"])
}

// TestWhatCannotBeKeptDoesNotLeave: no answer has material in it where the act did not commit.
func TestWhatCannotBeKeptDoesNotLeave(t *testing.T) {
	w := enginetest.New(t)
	exportable(t, w, keytype.AES256GCM96, "", 2)
	w.Fail("UpdateKey", errors.New("disk"))
	out, err := w.Session().Transfers().Export(t.Context(), "k", engine.Exporting{Kind: engine.EncryptionKey})
	require.ErrorContains(t, err, "disk")
	require.Empty(t, out)
	w.Fail("UpdateKey", nil)

	w.Token.Away(errors.New("away"))
	out, err = w.Session().Transfers().Export(t.Context(), "k", engine.Exporting{Kind: engine.EncryptionKey})
	require.ErrorContains(t, err, "away")
	require.Empty(t, out)
	require.Empty(t, w.Acts(), "nothing left, so nothing is kept")
}

func TestMaterialLeavesAsStatesLetIt(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(w *enginetest.World) error
		leave   []int
		refused string // of version 1
	}{
		{"active and deactivated", func(*enginetest.World) error { return nil }, []int{1, 2, 3}, ""},
		{"staged", func(w *enginetest.World) error { return rotate(w, true, engine.Precondition{}) }, []int{1, 2, 3, 4}, ""},
		{"suspended", func(w *enginetest.World) error { return do(w, lifecycle.Suspend, 1) }, []int{2, 3}, "[version_suspended]"},
		{"archived", func(w *enginetest.World) error { return do(w, lifecycle.Archive, 1) }, []int{2, 3}, "[version_archived]"},
		{"retired", func(w *enginetest.World) error {
			return errors.Join(do(w, lifecycle.Archive, 1), do(w, lifecycle.Retire, 1))
		}, []int{2, 3}, "[version_retired]"},
		{"compromised", func(w *enginetest.World) error { return do(w, lifecycle.ReportCompromise, 1) }, []int{1, 2, 3}, ""},
		{"below the floor", func(w *enginetest.World) error {
			two := 2
			_, _, err := w.Session().Keys().Configure(context.Background(), "k", lifecycle.ConfigChange{MinDecryption: &two}, engine.Precondition{})
			return err
		}, []int{2, 3}, "below minimum decryption version"},
		{"the whole key suspended", func(w *enginetest.World) error { return do(w, lifecycle.Suspend, 0) }, nil, "[key_suspended]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := enginetest.New(t)
			exportable(t, w, keytype.AES256GCM96, "", 3)
			require.NoError(t, c.change(w))
			w.Acts()
			got, err := export(w, engine.Exporting{Kind: engine.EncryptionKey})
			require.Equal(t, c.leave, got)
			require.Equal(t, c.leave == nil, errors.Is(err, refusal.ErrRefused), "%v", err)
			got, err = export(w, engine.Exporting{Kind: engine.EncryptionKey, Version: "v1"})
			if c.refused == "" {
				require.NoError(t, err)
				require.Equal(t, []int{1}, got)
				return
			}
			require.ErrorIs(t, err, refusal.ErrRefused)
			require.NotErrorIs(t, err, refusal.ErrDenied, "no ciphertext asked for the version")
			require.ErrorContains(t, err, c.refused)
		})
	}
}

func TestAPolicyForbidsAnExport(t *testing.T) {
	w := enginetest.New(t)
	loose := func(d *policy.Document) { d.Exportable = true }
	w.Policy("p", loose)
	exportable(t, w, keytype.AES256GCM96, "p", 1)
	_, err := export(w, engine.Exporting{Kind: engine.EncryptionKey})
	require.NoError(t, err)
	require.Equal(t, "p", w.Acts()[0].Policy)

	w.Policy("p", func(d *policy.Document) { loose(d); d.RequireReason = []string{"export"} })
	_, err = export(w, engine.Exporting{Kind: engine.EncryptionKey})
	require.ErrorContains(t, err, "demands a reason")
	_, err = export(w, engine.Exporting{Kind: engine.EncryptionKey, Reason: "an escrow at the notary"})
	require.NoError(t, err)

	w.Policy("p", func(d *policy.Document) { d.Exportable = false })
	_, err = export(w, engine.Exporting{Kind: engine.HMACKey, Reason: "an escrow at the notary"})
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, "does not allow exportable keys")
}

func TestAnExportOfWhatIsNotThereIsRefused(t *testing.T) {
	w := enginetest.New(t)
	exportable(t, w, keytype.Ed25519, "", 2)
	for _, c := range []struct {
		in   engine.Exporting
		kind error
		text string
	}{
		{engine.Exporting{Kind: "bogus"}, refusal.ErrInvalid, "invalid export type: bogus"},
		{engine.Exporting{Kind: engine.EncryptionKey}, refusal.ErrRefused, "encryption not supported for the key"},
		{engine.Exporting{Kind: engine.CertificateChain, Encoding: envelope.JWK}, refusal.ErrAsFault, "does not have a certificate chain imported"},
		{engine.Exporting{Kind: engine.CMACKey}, refusal.ErrRefused, "CMAC not supported for the key"},
		{engine.Exporting{Kind: engine.CertificateChain}, refusal.ErrAsFault, "does not have a certificate chain imported"},
		{engine.Exporting{Kind: engine.SigningKey, Version: "3"}, refusal.ErrRefused, "version does not exist or cannot be found"},
		{engine.Exporting{Kind: engine.SigningKey, Version: "0"}, refusal.ErrRefused, "below minimum decryption version"},
		{engine.Exporting{Kind: engine.SigningKey, Version: "-1"}, refusal.ErrRefused, "below minimum decryption version"},
		{engine.Exporting{Kind: engine.PublicKey, Version: "vv1"}, refusal.ErrInvalid, "invalid key version"},
	} {
		t.Run(fmt.Sprint(c.in), func(t *testing.T) {
			_, err := export(w, c.in)
			require.ErrorIs(t, err, c.kind)
			require.ErrorContains(t, err, c.text)
		})
	}
	w.Create("plain", "")
	_, err := w.Session().Transfers().Export(t.Context(), "plain", engine.Exporting{Kind: engine.EncryptionKey})
	require.EqualError(t, err, "private key material is not exportable")
	_, err = w.Session().Transfers().Export(t.Context(), "plain", engine.Exporting{Kind: engine.PublicKey})
	require.ErrorIs(t, err, refusal.ErrAsFault)
	require.EqualError(t, err, "unknown key type aes256-gcm96 for export type public-key")
	_, err = w.Session().Transfers().Export(t.Context(), "nothing", engine.Exporting{Kind: engine.EncryptionKey})
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.Empty(t, slices.DeleteFunc(w.Acts(), func(d enginetest.Done) bool { return d.Act == "create" }))
}

func TestACMACKeyIsExportedUnderItsNameAlone(t *testing.T) {
	w := enginetest.New(t)
	exportable(t, w, keytype.AES192CMAC, "", 2)
	out, err := w.Session().Transfers().Export(t.Context(), "k", engine.Exporting{Kind: engine.CMACKey})
	require.NoError(t, err)
	require.Len(t, out.Values[1], 32, "24 bytes")
	require.NotEqual(t, out.Values[1], out.Values[2])
	require.Equal(t, "cmac-key", w.Acts()[0].Details["kind"])
	_, err = export(w, engine.Exporting{Kind: engine.HMACKey})
	require.ErrorContains(t, err, "HMAC not supported for the key")
}

// TestAVersionThatIsTakenAwayMeanwhileDoesNotLeave: material is opened before the act is decided for good.
func TestAVersionThatIsTakenAwayMeanwhileDoesNotLeave(t *testing.T) {
	w := enginetest.New(t)
	exportable(t, w, keytype.AES256GCM96, "", 2)
	w.Before("Version", func() {
		w.Before("Version", nil)
		require.NoError(t, do(w, lifecycle.Suspend, 1))
	})
	got, err := export(w, engine.Exporting{Kind: engine.EncryptionKey})
	require.NoError(t, err)
	require.Equal(t, []int{2}, got)
	acts := w.Acts()
	require.Equal(t, []int{2}, acts[len(acts)-1].Versions)
}
