// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clock_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestADeniedUseHoldsTheClockBackAlsoWhereItCannotBeStored(t *testing.T) {
	t.Parallel()
	m, c := mounttest.UnderPolicy(t, "retire_after", "2h", "quiet_period", "2h")
	m.Advance(time.Minute)
	m.K.Ops("versions/2/archive")
	m.Advance(118 * time.Minute)
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	denied := m.Clock.Now()
	for range 10 {
		m.Clock.Add(time.Minute)
		require.Error(t, m.TickOn(m.Storage.DeafTo("denied/")))
	}
	require.Equal(t, "archived", m.K.State(2))
	m.AdvanceTo(denied.Add(2*time.Hour - time.Minute).Sub(mounttest.Start))
	require.Equal(t, "archived", m.K.State(2))
	require.Equal(t, 1, m.Must(m.Read("keys/k/versions/2")).Data["denied_uses"], "stored later, once")
	m.Advance(time.Minute)
	require.Equal(t, "retired", m.K.State(2))
}

func TestADeniedUseThatIsNotStoredYetHoldsARetirementByHandBack(t *testing.T) {
	t.Parallel()
	for op, archived := range map[string]string{"versions/2/retire": "versions/2/archive", "retire": "archive"} {
		m, c := mounttest.UnderPolicy(t, "quiet_period", "1h")
		m.K.Ops(archived)
		m.Clock.Add(time.Hour)
		m.Refused(m.Write("decrypt/k", "ciphertext", c[2]), "archived")
		m.Clock.Add(59 * time.Minute)
		m.Refused(m.K.Op(op), "quiet_period is 1h", m.Clock.Now().Add(time.Minute).Format(time.RFC3339))
		m.Advance(time.Minute)
		m.K.Ops(op)
	}
}

func TestAStoredDeniedUseOfAnyVersionHoldsTheRetirementOfTheKeyBack(t *testing.T) {
	t.Parallel()
	m, c := mounttest.UnderPolicy(t, "quiet_period", "1h")
	m.K.Ops("archive")
	m.Clock.Add(time.Hour)
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "archived")
	m.Advance(time.Minute)
	m.Restart()
	m.Refused(m.K.Op("retire"), "quiet_period")
	m.Clock.Add(59 * time.Minute)
	m.K.Ops("retire")
}

func TestWhatStopsAKeyDoesNotWaitForItsDeniedUses(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("versions/2/archive")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	m.Storage.FailGets("denied/")
	m.K.Ops("versions/2/compromise", "suspend")
	require.Equal(t, 500, m.K.Op("versions/2/retire").Status)
}

func TestANewKeyIsNotCreditedWithDeniedUsesThatWereOnlyInMemory(t *testing.T) {
	t.Parallel()
	m, c := mounttest.KeyOf3(t)
	m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	m.K.Ops("versions/2/archive")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]))
	m.Must(m.Delete("keys/k"))
	m.Must(m.Write("keys/k"))
	m.K.Ops("rotate", "rotate")
	m.Advance(time.Minute)
	require.Equal(t, 0, m.Must(m.Read("keys/k/versions/2")).Data["denied_uses"])
}

func TestAClockGuardThatCannotBeReadFreezes(t *testing.T) {
	t.Parallel()
	m, _ := mounttest.UnderPolicy(t, "retire_after", "24h")
	m.K.Ops("versions/1/archive", "versions/1/retire")
	m.Clock.Add(time.Minute)
	m.K.Ops("versions/2/archive")
	m.Leap(24*time.Hour - 2*time.Minute)
	m.Storage.FailGets("config/clock")
	m.Clock.Add(2 * time.Hour)
	for range 3 {
		require.Error(t, m.Tick())
		m.Clock.Add(time.Minute)
	}
	require.Equal(t, []string{"retired", "archived", "active"}, m.K.States())
	m.Storage.Heal()
	m.Advance(11 * time.Minute)
	require.Equal(t, []string{"destroyed", "retired", "active"}, m.K.States())
}

// readOnly is the storage of a node that must not write.
type readOnly struct{ logical.Storage }

func (readOnly) Put(context.Context, *logical.StorageEntry) error { return logical.ErrReadOnly }
func (readOnly) Delete(context.Context, string) error             { return logical.ErrReadOnly }

func TestADeniedUseOnANodeThatMustNotWriteIsForwarded(t *testing.T) {
	t.Parallel()
	m, c := mounttest.UnderPolicy(t)
	m.K.Ops("versions/2/archive")
	standby := *m
	standby.Restart()
	standby.System = &mounttest.CountingView{}
	standby.System.ReplicationStateVal = consts.ReplicationPerformanceStandby
	standby.Restart()
	send := func(text string) error {
		_, err := standby.HandleRequest(t.Context(), &logical.Request{
			Operation: logical.UpdateOperation, Path: "decrypt/k", Data: map[string]any{"ciphertext": text}, Storage: readOnly{m.Storage},
		})
		return err
	}
	require.Equal(t, logical.ErrReadOnly, send(c[2]), "Vault forwards the request on this very error")
	require.Equal(t, logical.ErrReadOnly, send(c[2]), "as often as it comes")
	require.NoError(t, send(c[3]), "nothing is denied")
	require.ErrorIs(t, send("vault:v2:"+strings.Repeat("A", 64)), logical.ErrReadOnly, "a use was counted since the last tick: unseen")

	standby.Restart()
	require.NotErrorIs(t, send("vault:v2:"+strings.Repeat("A", 64)), logical.ErrReadOnly, "it does not authenticate: no use")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]), "archived")
	require.Equal(t, 1, m.Must(m.Read("keys/k/versions/2")).Data["denied_uses"], "counted where it was forwarded to")
}
