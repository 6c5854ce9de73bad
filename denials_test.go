// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// deafTo is a storage that takes no write below a prefix.
type deafTo struct {
	logical.Storage
	prefix string
}

func (d deafTo) Put(ctx context.Context, entry *logical.StorageEntry) error {
	if strings.HasPrefix(entry.Key, d.prefix) {
		return storagetest.ErrInjected
	}
	return d.Storage.Put(ctx, entry)
}

// tickOn runs the tick with another storage.
func (m *mount) tickOn(storage logical.Storage) error {
	_, err := m.HandleRequest(context.Background(), &logical.Request{Operation: logical.RollbackOperation, Storage: storage})
	return err
}

func TestADeniedUseHoldsTheClockBackAlsoWhereItCannotBeStored(t *testing.T) {
	t.Parallel()
	m, c := underPolicy(t, "retire_after", "2h", "quiet_period", "2h")
	m.advance(time.Minute)
	m.ops("versions/2/archive")
	m.advance(118 * time.Minute)
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	denied := m.clock.Now()
	for range 10 {
		m.clock.add(time.Minute)
		require.Error(t, m.tickOn(deafTo{m.storage, "denied/"}))
	}
	require.Equal(t, "archived", m.state(2))
	m.to(denied.Add(2*time.Hour - time.Minute).Sub(start))
	require.Equal(t, "archived", m.state(2))
	require.Equal(t, 1, m.must(m.read("keys/k/versions/2")).data["denied_uses"], "stored later, once")
	m.advance(time.Minute)
	require.Equal(t, "retired", m.state(2))
}

func TestADeniedUseThatIsNotStoredYetHoldsARetirementByHandBack(t *testing.T) {
	t.Parallel()
	for op, archived := range map[string]string{"versions/2/retire": "versions/2/archive", "retire": "archive"} {
		m, c := underPolicy(t, "quiet_period", "1h")
		m.ops(archived)
		m.clock.add(time.Hour)
		m.refused(m.write("decrypt/k", "ciphertext", c[2]), "archived")
		m.clock.add(59 * time.Minute)
		m.refused(m.op(op), "quiet_period is 1h0m0s", m.clock.Now().Add(time.Minute).Format(time.RFC3339))
		m.advance(time.Minute)
		m.ops(op)
	}
}

func TestAStoredDeniedUseOfAnyVersionHoldsTheRetirementOfTheKeyBack(t *testing.T) {
	t.Parallel()
	m, c := underPolicy(t, "quiet_period", "1h")
	m.ops("archive")
	m.clock.add(time.Hour)
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "archived")
	m.advance(time.Minute)
	m.restart()
	m.refused(m.op("retire"), "quiet_period")
	m.clock.add(59 * time.Minute)
	m.ops("retire")
}

func TestWhatStopsAKeyDoesNotWaitForItsDeniedUses(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.ops("versions/2/archive")
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	m.storage.FailGets("denied/")
	m.ops("versions/2/compromise", "suspend")
	require.Equal(t, 500, m.op("versions/2/retire").status)
}

func TestANewKeyIsNotCreditedWithDeniedUsesThatWereOnlyInMemory(t *testing.T) {
	t.Parallel()
	m, c := keyOf3(t)
	m.must(m.write("keys/k/config", "deletion_allowed", true))
	m.ops("versions/2/archive")
	m.refused(m.write("decrypt/k", "ciphertext", c[2]))
	m.must(m.delete("keys/k"))
	m.must(m.write("keys/k"))
	m.ops("rotate", "rotate")
	m.advance(time.Minute)
	require.Equal(t, 0, m.must(m.read("keys/k/versions/2")).data["denied_uses"])
}

func TestAClockGuardThatCannotBeReadFreezes(t *testing.T) {
	t.Parallel()
	m, _ := underPolicy(t, "retire_after", "24h")
	m.ops("versions/1/archive", "versions/1/retire")
	m.clock.add(time.Minute)
	m.ops("versions/2/archive")
	m.leap(24*time.Hour - 2*time.Minute)
	m.storage.FailGets("config/clock")
	m.clock.add(2 * time.Hour)
	for range 3 {
		require.Error(t, m.tickNow())
		m.clock.add(time.Minute)
	}
	require.Equal(t, []string{"retired", "archived", "active"}, m.states())
	m.storage.Heal()
	m.advance(11 * time.Minute)
	require.Equal(t, []string{"destroyed", "retired", "active"}, m.states())
}
