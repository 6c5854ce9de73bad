// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSuspendingDoesNotPutArchivingOff(t *testing.T) {
	m, c := underPolicy(t, "archive_after", "24h", "rollback_window", "1h")
	m.advance(time.Minute)
	m.leap(23 * time.Hour)
	m.ops("versions/1/suspend", "versions/1/resume", "versions/2/suspend")
	m.leap(2 * time.Hour)
	require.Equal(t, []string{"archived", "suspended", "active"}, m.states())
	m.ops("versions/2/resume")
	require.Equal(t, "archived", m.state(2), "its time was over while it was suspended")
	m.refused(m.write("decrypt/k", "ciphertext", c[2]), "archived")
	m.ops("versions/2/recover")
	require.Equal(t, "secret", m.decrypt("k", c[2]))
}

func TestAVersionThatIsResumedPastItsOriginatorPeriodProtectsNoMore(t *testing.T) {
	m := clockwork(t, "rotation_mode", "manual", "originator_period", "2h", "archive_after", 0)
	m.to(time.Hour)
	m.ops("versions/1/suspend")
	m.to(10 * time.Hour)
	m.ops("versions/1/resume")
	require.Equal(t, []string{"deactivated"}, m.states())
	m.refused(m.write("encrypt/k", "plaintext", b64("x")), "no active version")
}

func TestATimeLimitRunsOnWhileTheVersionIsSuspended(t *testing.T) {
	m, c := underPolicy(t)
	m.ops("versions/1/archive")
	m.must(m.op("versions/1/recover", "time_limit", "1h"))
	m.ops("versions/1/suspend")
	m.leap(2 * time.Hour)
	m.ops("versions/1/resume")
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "archived")
}

func TestAnArchivedKeyDestroysOrRestoresWhatWasRetiredBefore(t *testing.T) {
	m, c := underPolicy(t)
	m.advance(time.Minute)
	m.ops("versions/1/archive", "versions/1/retire", "versions/2/archive", "versions/2/retire", "archive", "versions/2/restore")
	m.refused(m.op("versions/3/suspend"), "as a whole")
	m.leap(25 * time.Hour)
	require.Equal(t, []string{"destroyed", "archived", "archived"}, m.states())
	require.Nil(t, m.sealed("versions/k/1"))
	require.Nil(t, m.sealed("archive/k/1"))
	m.ops("recover", "versions/2/recover")
	require.Equal(t, "secret", m.decrypt("k", c[2]))
}

func TestATimeLimitIsHeldWhateverElseIsLeft(t *testing.T) {
	m, c := underPolicy(t, "min_versions_kept", 2)
	m.advance(time.Minute)
	m.ops("versions/1/archive")
	m.must(m.op("versions/1/recover", "time_limit", "1h"))
	m.ops("versions/2/compromise")
	m.leap(2 * time.Hour)
	require.Equal(t, "archived", m.state(1))
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "archived")
}

func TestACompromisedActiveVersionIsReplacedAlsoWhenItIsRetiredBefore(t *testing.T) {
	m, _ := keyOf3(t)
	m.ops("suspend", "versions/3/compromise", "versions/3/retire", "resume")
	m.advance(time.Minute)
	require.Equal(t, []string{"deactivated", "deactivated", "retired", "active"}, m.states())
	require.Equal(t, "vault:v4:", m.encrypt("k", "x")[:9])
}

func TestASecondReportReplacesNothing(t *testing.T) {
	m, _ := keyOf3(t)
	m.must(m.op("versions/2/compromise", "reason_code", "key_compromise", "occurred_at", "2026-02-01T00:00:00Z"))
	before := m.read("keys/k/compromise-report").data
	m.ops("versions/2/retire")
	m.clock.add(time.Hour)
	m.refused(m.op("versions/2/compromise"), "was reported as compromised at")
	require.Equal(t, "retired", m.state(2))
	m.ops("versions/2/restore")
	require.Equal(t, before, m.read("keys/k/compromise-report").data)
}

func TestRecoveringAKeyLiftsNoSuspension(t *testing.T) {
	m, c := keyOf3(t)
	m.ops("suspend", "archive", "recover")
	m.restart()
	require.Equal(t, "suspended", m.read("keys/k").data["state"])
	m.refused(m.write("decrypt/k", "ciphertext", c[1]), "suspended")
	m.ops("resume")
	require.Equal(t, "secret", m.decrypt("k", c[1]))
}

func TestNothingIsRestoredOnceItsTimeIsOver(t *testing.T) {
	m, _ := underPolicy(t)
	m.ops("versions/1/archive", "versions/1/retire")
	m.clock.add(24 * time.Hour) // and no tick yet
	m.refused(m.op("versions/1/restore"), "destroy_time was")
	m.ops("archive", "retire")
	m.clock.add(24 * time.Hour)
	m.refused(m.op("restore"), "destroy_time was")
}
