// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// attested returns what the mount attests of a version of key k, having held it against the export of the mount.
func attested(t *testing.T, m *mounttest.Mount, version int) custody.Making {
	t.Helper()
	answer := m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d/attestation", version))).Data
	signatures := answer["signatures"].([]map[string]any)
	require.Len(t, signatures, 1)
	e := custody.Envelope{
		Payload: answer["payload"].(string), PayloadType: answer["payloadType"].(string),
		Signatures: []custody.EnvelopeSignature{{KeyID: signatures[0]["keyid"].(string), Signature: signatures[0]["sig"].(string)}},
	}
	keys := publicCustodyKeys(m)
	s, err := e.Statement(keys)
	require.NoError(t, err)
	var export bytes.Buffer
	for _, line := range m.Must(m.Read("custody/export", "limit", 1000)).Data["records"].([]string) {
		export.WriteString(line + "\n")
	}
	report, err := custody.Evidence{Keys: keys, Attestations: []custody.Statement{s}}.Verify(custody.Lines(&export))
	require.NoError(t, err)
	require.True(t, report.Clean(), "%v", report.Problems)
	return s.Predicate
}

func TestEveryVersionIsAttestedHoweverItWasMade(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1h", "rotation_jitter", "0s", "pre_checks", "clock_sane,storage_writable"))
	m.Must(m.Write("keys/k", "policy", "p"))
	m.Advance(61 * time.Minute) // 2, by schedule
	m.K.Ops("rotate")
	m.Must(m.K.Op("rotate", "stage", true)) // 4
	require.Zero(t, attested(t, m, 4).Activated)
	m.Advance(time.Minute)
	m.K.Ops("versions/4/promote", "versions/4/compromise") // 5

	for version, want := range map[int]struct{ act, trigger string }{
		1: {"create", "creation"}, 2: {"rotate", "schedule"}, 3: {"rotate", "operator"}, 4: {"rotate", "operator"}, 5: {"compromise", "incident"},
	} {
		got := attested(t, m, version)
		require.Equal(t, want.act, got.Act, version)
		require.Equal(t, want.trigger, got.Trigger, version)
		require.Equal(t, "aes256-gcm96", got.Type)
		require.Equal(t, m.Must(m.Read(fmt.Sprintf("keys/k/versions/%d", version))).Data["fingerprint"], got.Fingerprint)
		require.Equal(t, "p", got.Policy.Name)
		require.Equal(t, m.Must(m.Read("policies/p")).Data["hash"], got.Policy.Hash)
		require.False(t, got.Activated.IsZero(), version)
		if version > 1 {
			require.Equal(t, version-1, got.Predecessor.Version)
			require.NotEmpty(t, got.Predecessor.Fingerprint)
		}
	}
	require.Equal(t, map[string]string{"clock_sane": "passed", "storage_writable": "passed"}, attested(t, m, 3).Checks)
	require.Equal(t, map[string]string{"clock_sane": "passed", "storage_writable": "skipped"}, attested(t, m, 5).Checks, "an incident does not wait for it")
	require.Nil(t, attested(t, m, 4).Checks, "they are of its promotion")
	staged := attested(t, m, 4)
	require.Equal(t, time.Minute, staged.Activated.Sub(staged.Created).Truncate(time.Minute))
}

func TestAnAttestationFollowsTheDateOfTheVersion(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	for i := range 300 {
		m.Clock.Add(time.Minute)
		m.Must(m.Write("keys/k/config", "owner", fmt.Sprint(i)))
	}
	m.Clock.Add(time.Minute)
	m.K.Ops("rotate")
	for i := range 300 {
		m.Clock.Add(time.Minute)
		m.Must(m.Write("keys/k/config", "owner", fmt.Sprint(i, "b")))
	}
	m.Must(m.Read("keys/k/versions/2/attestation"))
	m.Storage.Reset()
	m.Must(m.Read("keys/k/versions/2/attestation"))
	counts := m.Storage.Reset()
	require.Zero(t, counts.Writes())
	require.Less(t, counts.Gets, 30, "of 1204 records")
}

func TestAVersionThatIsNotThereIsNotAttested(t *testing.T) {
	t.Parallel()
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	require.Equal(t, 404, m.Read("keys/k/versions/2/attestation").Status)
	require.Equal(t, 404, m.Read("keys/other/versions/1/attestation").Status)
}
