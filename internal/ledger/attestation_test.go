// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/ledger"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func making(act string, version int, fingerprint string) custody.Record {
	return custody.Record{Act: act, Versions: []int{version}, From: "none", To: "active", Details: map[string]string{"fingerprint": fingerprint}}
}

// attested is version 2 of key orders, made when all in the journal was.
func attested() ledger.Attested {
	return ledger.Attested{
		Key: "orders", KeyID: "id of orders", Number: 2, Type: "aes256-gcm96", Fingerprint: "f2", Created: start, Activated: start,
		FingerprintOf: func(_ context.Context, number int) (string, error) { return "f1", nil },
	}
}

// attest returns what is attested of a version.
func attest(t *testing.T, m *mount, v ledger.Attested) custody.Making {
	t.Helper()
	e, err := m.ledger().Attest(ctx, v)
	require.NoError(t, err)
	keys, err := m.ledger().PublicKeys(ctx)
	require.NoError(t, err)
	s, err := e.Statement(keys)
	require.NoError(t, err)
	require.Equal(t, custody.Hash([]byte(m.journals["orders"][s.Predicate.Record])), s.Subject[0].Digest.SHA256)
	require.Equal(t, custody.ChainHead{Count: m.heads["orders"].Count, Hash: m.heads["orders"].Hash}, s.Predicate.Chain)
	return s.Predicate
}

func TestAnAttestationIsOfTheActThatMadeTheVersion(t *testing.T) {
	m := newMount(t)
	before := making("rotate", 2, "of a key before")
	before.KeyID = "id of one before"
	m.act("orders", before, custody.Done)
	m.act("orders", making("create", 1, "f1"), custody.Done)
	m.act("orders", making("rotate", 2, "never stored"), custody.Failed)
	seq := m.act("orders", making("rotate", 2, "f2"), custody.Done)
	m.act("orders", making("rotate", 3, "f3"), custody.Done)

	got := attest(t, m, attested())
	require.Equal(t, seq, got.Record)
	require.Equal(t, "f2", got.Fingerprint)
	require.Equal(t, &custody.Predecessor{Version: 1, Fingerprint: "f1"}, got.Predecessor)
	require.Equal(t, start, got.Activated)

	first := attested()
	first.Number, first.Fingerprint = 1, "f1"
	require.Nil(t, attest(t, m, first).Predecessor)

	late := attested()
	late.Created = start.Add(time.Hour) // by a clock that was ahead
	require.Equal(t, seq, attest(t, m, late).Record, "the dates do not lead there")
}

func TestAVersionThatWasStagedIsActivatedWhenItIsPromoted(t *testing.T) {
	m := newMount(t)
	staged := making("rotate", 2, "f2")
	staged.To = "pre_active"
	m.act("orders", staged, custody.Done)
	require.Zero(t, attest(t, m, attested()).Activated)
	promoted := attested()
	promoted.Activated = start.Add(time.Hour)
	require.Equal(t, start.Add(time.Hour), attest(t, m, promoted).Activated)
}

func TestWhatCustodyDoesNotKnowIsNotAttested(t *testing.T) {
	m := newMount(t)
	m.act("orders", making("create", 1, "f1"), custody.Done)
	_, err := m.ledger().Attest(ctx, attested())
	require.ErrorIs(t, err, refusal.ErrNotFound)
	m.act("orders", making("rotate", 2, "another"), custody.Done)
	_, err = m.ledger().Attest(ctx, attested())
	require.ErrorIs(t, err, refusal.ErrRefused, "what is stored is not what was made")
	m.broken["orders"] = true
	_, err = m.ledger().Attest(ctx, attested())
	require.ErrorIs(t, err, custody.ErrBroken)
}

func TestAFailureOfStorageIsNoAttestation(t *testing.T) {
	m := newMount(t)
	m.act("orders", making("rotate", 2, "f2"), custody.Done)
	attest(t, m, attested())
	for _, what := range []string{"JournalHead", "Line", "Lines", "SigningKeys"} {
		m.fails = what
		_, err := m.ledger().Attest(ctx, attested())
		require.ErrorIs(t, err, errDown, what)
	}
	m.fails = ""
	v := attested()
	v.FingerprintOf = func(context.Context, int) (string, error) { return "", errDown }
	_, err := m.ledger().Attest(ctx, v)
	require.ErrorIs(t, err, errDown)
}
