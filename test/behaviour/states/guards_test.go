// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package states_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestSuspendingDoesNotPutArchivingOff(t *testing.T) {
	m, c := mounttest.UnderPolicy(t, "archive_after", "24h", "rollback_window", "1h")
	m.Advance(time.Minute)
	m.Leap(23 * time.Hour)
	m.K.Ops("versions/1/suspend", "versions/1/resume", "versions/2/suspend")
	m.Leap(2 * time.Hour)
	require.Equal(t, []string{"archived", "suspended", "active"}, m.K.States())
	m.K.Ops("versions/2/resume")
	require.Equal(t, "archived", m.K.State(2), "its time was over while it was suspended")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[2]), "archived")
	m.K.Ops("versions/2/recover")
	require.Equal(t, "secret", m.Decrypt("k", c[2]))
}

func TestAVersionThatIsResumedPastItsOriginatorPeriodProtectsNoMore(t *testing.T) {
	m := mounttest.Clockwork(t, "rotation_mode", "manual", "originator_period", "2h", "archive_after", 0)
	m.AdvanceTo(time.Hour)
	m.K.Ops("versions/1/suspend")
	m.AdvanceTo(10 * time.Hour)
	m.K.Ops("versions/1/resume")
	require.Equal(t, []string{"deactivated"}, m.K.States())
	m.Refused(m.Write("encrypt/k", "plaintext", mounttest.B64("x")), "no active version")
}

func TestATimeLimitRunsOnWhileTheVersionIsSuspended(t *testing.T) {
	m, c := mounttest.UnderPolicy(t)
	m.K.Ops("versions/1/archive")
	m.Must(m.K.Op("versions/1/recover", "time_limit", "1h"))
	m.K.Ops("versions/1/suspend")
	m.Leap(2 * time.Hour)
	m.K.Ops("versions/1/resume")
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "archived")
}

func TestAnArchivedKeyDestroysOrRestoresWhatWasRetiredBefore(t *testing.T) {
	m, c := mounttest.UnderPolicy(t)
	m.Advance(time.Minute)
	m.K.Ops("versions/1/archive", "versions/1/retire", "versions/2/archive", "versions/2/retire", "archive", "versions/2/restore")
	m.Refused(m.K.Op("versions/3/suspend"), "as a whole")
	m.Leap(25 * time.Hour)
	require.Equal(t, []string{"destroyed", "archived", "archived"}, m.K.States())
	require.Nil(t, m.Storage.Sealed("versions/k/1"))
	require.Nil(t, m.Storage.Sealed("archive/k/1"))
	m.K.Ops("recover", "versions/2/recover")
	require.Equal(t, "secret", m.Decrypt("k", c[2]))
}

func TestATimeLimitIsHeldWhateverElseIsLeft(t *testing.T) {
	m, c := mounttest.UnderPolicy(t, "min_versions_kept", 2)
	m.Advance(time.Minute)
	m.K.Ops("versions/1/archive")
	m.Must(m.K.Op("versions/1/recover", "time_limit", "1h"))
	m.K.Ops("versions/2/compromise")
	m.Leap(2 * time.Hour)
	require.Equal(t, "archived", m.K.State(1))
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "archived")
}

func TestACompromisedActiveVersionIsReplacedAlsoWhenItIsRetiredBefore(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	m.K.Ops("suspend", "versions/3/compromise", "versions/3/retire", "resume")
	m.Advance(time.Minute)
	require.Equal(t, []string{"deactivated", "deactivated", "retired", "active"}, m.K.States())
	require.Equal(t, "vault:v4:", m.Encrypt("k", "x")[:9])
}

func TestASecondReportReplacesNothing(t *testing.T) {
	m, _ := mounttest.KeyOf3(t)
	m.Must(m.K.Op("versions/2/compromise", "reason_code", "key_compromise", "occurred_at", "2026-02-01T00:00:00Z"))
	before := m.Read("keys/k/compromise-report").Data
	m.K.Ops("versions/2/retire")
	m.Clock.Add(time.Hour)
	m.Refused(m.K.Op("versions/2/compromise"), "was reported as compromised at")
	require.Equal(t, "retired", m.K.State(2))
	m.K.Ops("versions/2/restore")
	require.Equal(t, before, m.Read("keys/k/compromise-report").Data)
}

func TestRecoveringAKeyLiftsNoSuspension(t *testing.T) {
	m, c := mounttest.KeyOf3(t)
	m.K.Ops("suspend", "archive", "recover")
	m.Restart()
	require.Equal(t, "suspended", m.Read("keys/k").Data["state"])
	m.Refused(m.Write("decrypt/k", "ciphertext", c[1]), "suspended")
	m.K.Ops("resume")
	require.Equal(t, "secret", m.Decrypt("k", c[1]))
}

func TestNothingIsRestoredOnceItsTimeIsOver(t *testing.T) {
	m, _ := mounttest.UnderPolicy(t)
	m.K.Ops("versions/1/archive", "versions/1/retire")
	m.Clock.Add(24 * time.Hour) // and no tick yet
	m.Refused(m.K.Op("versions/1/restore"), "destroy_time was")
	m.K.Ops("archive", "retire")
	m.Clock.Add(24 * time.Hour)
	m.Refused(m.K.Op("restore"), "destroy_time was")
}
