// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/migrate"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// TestAVersionThatIsAnotherInTheBackupIsFound: the versions that only an export tells from others.
func TestAVersionThatIsAnotherInTheBackupIsFound(t *testing.T) {
	b := newBench(t)
	b.key("k", 2)
	b.from.Must(b.from.Write("keys/k/config", "min_encryption_version", 2))
	other := newBench(t)
	other.key("k", 1)
	b.wire.at = func(_ int, s *side, r *migrate.Request) fate {
		if strings.HasPrefix(r.Path, "restore/") {
			text := r.Data["backup"].(string)
			r.Data["backup"] = mixed(t, text, other.from.Must(other.from.Read("backup/k")).Data["backup"].(string))
		}
		return answered
	}
	b.requireOutcome(migrate.Failed, "version 1: the material differs")
}

func TestACopyThatIsAnotherKeyIsNotCalledMoved(t *testing.T) {
	for _, kind := range []string{"aes256-gcm96", "ecdsa-p256", "ed25519", "hmac"} {
		t.Run(kind, func(t *testing.T) {
			fields := []any{"type", kind}
			if kind == "hmac" {
				fields = append(fields, "key_size", 32)
			}
			b, other := newBench(t), newBench(t)
			b.key("k", 1, fields...)
			other.key("k", 1, fields...)
			b.wire.at = func(_ int, s *side, r *migrate.Request) fate {
				if strings.HasPrefix(r.Path, "restore/") {
					r.Data["backup"] = other.from.Must(other.from.Read("backup/k")).Data["backup"]
				}
				return answered
			}
			b.requireOutcome(migrate.Failed, "the target has not what was copied there: version 1")
			b.wire.at = nil
			b.requireOutcome(migrate.Conflict, "another key of the name")
		})
	}
}

// TestARunThatIsCutShortIsRunAgain cuts it at each request, in each way.
func TestARunThatIsCutShortIsRunAgain(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	for _, how := range []fate{lost, unheard, broken, failed} {
		t.Run(fmt.Sprint(how), func(t *testing.T) {
			for at := 1; ; at++ {
				b := newBench(t)
				b.options.AllowBackup = true
				b.from.Must(b.from.Write("keys/k"))
				b.key("signs", 2, "type", "ed25519")
				ciphertext := b.from.Encrypt("k", "secret")
				b.wire.at = func(n int, _ *side, _ *migrate.Request) fate {
					if n == at {
						return how
					}
					return answered
				}
				sum, err := b.run()
				if b.wire.requests < at {
					require.True(t, err == nil && sum.Complete())
					break
				}
				if how == lost || how == unheard {
					require.ErrorIs(t, err, errCut, "at %d", at)
				}
				before := b.to.Storage.All()
				b.wire.at, b.wire.writes = nil, nil
				sum, err = b.run()
				require.NoError(t, err, "at %d", at)
				require.True(t, sum.Complete(), "at %d: %v", at, b.lines)
				require.Equal(t, "secret", b.to.Decrypt("k", ciphertext))
				require.Equal(t, "secret", b.from.Decrypt("k", ciphertext), "the source has its key")
				for _, e := range b.entries {
					if e.Outcome == migrate.Proven {
						require.Equal(t, before["versions/"+e.Key+"/1"], b.to.Storage.All()["versions/"+e.Key+"/1"], "it was not copied again")
						require.NotContains(t, b.wire.writes, "restore/"+e.Key)
					}
				}
			}
		})
	}
}

// TestARestoreThatWasSentAgainIsNoFailure: the second one finds the key there.
func TestARestoreThatWasSentAgainIsNoFailure(t *testing.T) {
	b := newBench(t)
	b.key("k", 1)
	b.wire.at = func(_ int, _ *side, r *migrate.Request) fate {
		if strings.HasPrefix(r.Path, "restore/") {
			return failed
		}
		return answered
	}
	b.requireOutcome(migrate.Moved)
}

func TestAKeyThatRotatesMeanwhileIsCopiedAgain(t *testing.T) {
	for at := 5; ; at++ { // from the first request about the key on
		b := newBench(t)
		b.key("k", 2)
		b.wire.at = func(n int, _ *side, _ *migrate.Request) fate {
			if n == at {
				b.from.Must(b.from.Write("keys/k/rotate"))
			}
			return answered
		}
		b.requireOutcome(migrate.Moved)
		require.Equal(t, b.from.Latest("k"), b.to.Latest("k"), "at %d", at)
		if b.wire.requests < at {
			break
		}
	}
}

func TestAKeyThatAlwaysChangesIsGivenUp(t *testing.T) {
	b := newBench(t)
	b.key("k", 1)
	b.wire.at = func(_ int, _ *side, r *migrate.Request) fate {
		if strings.HasPrefix(r.Path, "backup/") {
			b.from.Must(b.from.Write("keys/k/rotate"))
		}
		if strings.HasPrefix(r.Path, "hmac/") {
			b.from.Must(b.from.Write("keys/k/rotate"))
		}
		return answered
	}
	b.requireOutcome(migrate.Failed, "again and again")
}

func TestAnOlderCopyIsReplaced(t *testing.T) {
	b := newBench(t)
	b.key("k", 2)
	b.requireOutcome(migrate.Moved)
	b.from.Must(b.from.Write("keys/k/rotate"))
	b.requireOutcome(migrate.Moved, "older copy, which was replaced")
	require.Equal(t, 3, b.to.Latest("k"))
	b.requireOutcome(migrate.Proven)
}

// TestWhatIsNotTheKeyStaysAsItIs: what the target has is not replaced unless it is an older copy.
func TestWhatIsNotTheKeyStaysAsItIs(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(b *bench)
		says string
	}{
		"another key":           {func(b *bench) { b.to.Must(b.to.Write("keys/k")) }, "version 1: the target does not decrypt"},
		"another type":          {func(b *bench) { b.to.Must(b.to.Write("keys/k", "type", "ed25519")) }, "type: aes256-gcm96, at the target ed25519"},
		"another key, rotated":  {func(b *bench) { b.to.Must(b.to.Write("keys/k")); rotate(b.to, "k"); rotate(b.to, "k") }, "latest_version: 2, at the target 3"},
		"rotated at the target": {func(b *bench) { b.outcome(); rotate(b.to, "k") }, "latest_version: 2, at the target 3"},
		"rotated at both":       {func(b *bench) { b.outcome(); rotate(b.to, "k"); rotate(b.from, "k") }, "version 3: the target does not decrypt"},
		"source went further":   {func(b *bench) { b.outcome(); rotate(b.to, "k"); rotate(b.from, "k"); rotate(b.from, "k") }, "version 3: the target does not decrypt"},
		"another floor":         {func(b *bench) { b.outcome(); b.to.Must(b.to.Write("keys/k/config", "min_decryption_version", 2)) }, "min_decryption_version: 1, at the target 2"},
		"another term":          {func(b *bench) { b.outcome(); b.to.Must(b.to.Write("keys/k/config", "deletion_allowed", true)) }, "deletion_allowed: false, at the target true"},
		"older, with a higher floor": {func(b *bench) {
			b.outcome()
			b.to.Must(b.to.Write("keys/k/config", "min_decryption_version", 2))
			rotate(b.from, "k")
		}, "min_decryption_version: 1, at the target 2"},
		"older, and not proven": {func(b *bench) {
			b.outcome()
			b.from.Must(b.from.Write("keys/k/config", "min_encryption_version", 2))
			rotate(b.from, "k")
			b.wire.at = func(_ int, s *side, r *migrate.Request) fate {
				if s == b.to && strings.HasPrefix(r.Path, "export/") {
					return broken
				}
				return answered
			}
		}, "latest_version: 3, at the target 2"},
		"older, and does not open": {func(b *bench) { b.to.Must(b.to.Write("keys/k")); rotate(b.from, "k") }, "version 1: the target does not decrypt"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.key("k", 2)
			c.do(b)
			was := b.to.Storage.All()
			b.wire.writes = nil
			b.requireOutcome(migrate.Conflict, c.says)
			require.Empty(t, b.wire.writes)
			now := b.to.Storage.All()
			for _, path := range []string{"keys/k", "versions/k/1", "versions/k/2"} {
				require.Equal(t, was[path], now[path])
			}
		})
	}
}

func rotate(s *side, key string) { s.Must(s.Write("keys/" + key + "/rotate")) }

func TestAKeyThatMayNotLeaveNeedsTheFlags(t *testing.T) {
	b := newBench(t)
	b.from.Must(b.from.Write("keys/k", "exportable", true))
	b.requireOutcome(migrate.Needs, "allow_plaintext_backup: not set at the source; -allow-backup sets it")
	require.Empty(t, b.wire.writes)
	b.options.AllowBackup = true
	b.requireOutcome(migrate.Moved, "set at the source: allow_plaintext_backup")
}

func TestADryRunChangesNothing(t *testing.T) {
	b := newBench(t)
	b.from.Must(b.from.Write("keys/k"))
	b.key("there", 1)
	b.options.Keys = []string{"there"}
	_, err := b.run()
	require.NoError(t, err)
	b.options = migrate.Options{DryRun: true, AllowBackup: true}
	b.from.Storage.Reset()
	b.to.Storage.Reset()
	sum, err := b.run()
	require.NoError(t, err)
	require.Zero(t, b.from.Storage.Reset().Writes()+b.to.Storage.Reset().Writes())
	require.True(t, sum.Complete())
	require.Equal(t, migrate.Would, b.entries["k"].Outcome)
	require.Equal(t, []string{"to be set at the source: exportable", "to be set at the source: allow_plaintext_backup"}, b.entries["k"].Notes)
	require.Equal(t, migrate.There, b.entries["there"].Outcome)
	b.to.Must(b.to.Write("keys/k", "type", "ed25519"))
	require.Equal(t, migrate.Conflict, b.outcome().Outcome)
}

func TestTransitDoesNotGetWhatItWouldNotHoldBack(t *testing.T) {
	for name, c := range map[string]struct {
		ops  func(k *mounttest.Key)
		says string
	}{
		"suspended version":   {func(k *mounttest.Key) { k.Ops("versions/1/suspend") }, "version 1 is suspended: Transit would use it"},
		"archived version":    {func(k *mounttest.Key) { k.Ops("versions/1/archive") }, "version 1 is archived"},
		"compromised version": {func(k *mounttest.Key) { k.Op("versions/1/compromise", "reason_code", "key_compromise") }, "version 1 is compromised"},
		"suspended key":       {func(k *mounttest.Key) { k.Ops("suspend") }, "the key is suspended"},
		"held key":            {func(k *mounttest.Key) { k.Op("hold", "hold", true) }, "legal_hold: Transit has none"},
		"rolled back":         {func(k *mounttest.Key) { k.Ops("rollback") }, "primary_version is 1: Transit protects with the latest, 2"},
		"restricted":          {func(k *mounttest.Key) { k.Op("config", "allowed_uses", "encrypt") }, "allowed_uses"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t).turned()
			b.key("k", 2)
			c.ops(b.from.K)
			b.requireOutcome(migrate.Needs, c.says)
			require.Empty(t, b.wire.writes)
		})
	}
	b := newBench(t).turned()
	b.key("k", 2)
	b.from.K.Ops("versions/1/suspend")
	b.from.Must(b.from.Write("keys/k/config", "min_decryption_version", 2))
	b.requireOutcome(migrate.Moved)
}

func TestKeysComeUnderAPolicy(t *testing.T) {
	b := newBench(t)
	b.key("k", 2, "auto_rotate_period", "24h")
	b.options.Policy = "p"
	b.requireOutcome(migrate.Failed, `policy: "p"`)
	b.to.Must(b.to.Write("policies/p", "owner", "o", "rotation_period", "30d", "require_reason", "restore-backup"))
	e := b.requireOutcome(migrate.Failed, "reason")
	require.NotContains(t, e.Reason, "another key")
	b.options.Reason = mounttest.Reason
	b.requireOutcome(migrate.Moved, "by the policy: exportable: true, at the target false", "rotates by itself")
	require.Equal(t, "p", b.to.Must(b.to.Read("keys/k")).Data["policy"])
	b.requireOutcome(migrate.Proven)
	b.options.Policy = "q"
	b.requireOutcome(migrate.Conflict, `policy: "p" at the target, and not "q"`)

	b.options.Policy = ""
	rotate(b.from, "k")
	b.requireOutcome(migrate.Failed, "the target has an older copy: ", "policy")

	_, err := b.turned().withPolicy("p").run()
	require.ErrorContains(t, err, "the target is Transit, which has no policies")
}

func (b *bench) withPolicy(name string) *bench {
	b.options.Policy = name
	return b
}

// TestWhatCannotBeProvenIsSaid: a policy does not let the material out by which a version could be compared.
func TestWhatCannotBeProvenIsSaid(t *testing.T) {
	b := newBench(t)
	b.key("k", 3)
	b.from.Must(b.from.Write("keys/k/config", "min_encryption_version", 3))
	b.to.Must(b.to.Write("policies/p", "owner", "o", "rotation_period", "30d"))
	b.options.Policy, b.options.Reason = "p", mounttest.Reason
	e := b.requireOutcome(migrate.Unproven, "versions 1-2 protect nothing")
	require.Equal(t, migrate.Proof{Sample: migrate.Versions{3}, None: migrate.Versions{1, 2}}, e.Proof)
	sum, err := b.run()
	require.NoError(t, err)
	require.False(t, sum.Complete())
	for _, s := range []*side{b.from, b.to} {
		s.Must(s.Write("keys/k/config", "min_encryption_version", 1, "reason", mounttest.Reason))
	}
	e = b.requireOutcome(migrate.Proven)
	require.Equal(t, migrate.Versions{1, 2, 3}, e.Proof.Sample)
}

func TestAllKeysGoInOrderAndOneFailureStopsNone(t *testing.T) {
	b := newBench(t)
	b.key("a", 1)
	b.from.Must(b.from.Write("keys/b"))
	b.key("c", 1)
	sum, err := b.run()
	require.NoError(t, err)
	require.Equal(t, map[migrate.Outcome]int{migrate.Moved: 2, migrate.Needs: 1}, sum.Outcomes)
	require.False(t, sum.Complete())
	var keys []string
	for _, line := range b.lines[:3] {
		var e struct{ Key string }
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		keys = append(keys, e.Key)
	}
	require.Equal(t, []string{"a", "b", "c"}, keys)
	b.options.Keys = []string{"c", "missing"}
	_, err = b.run()
	require.NoError(t, err)
	require.Equal(t, migrate.Proven, b.entries["c"].Outcome)
	require.Equal(t, "the source has no such key", b.entries["missing"].Reason)
}

func TestARunThatCannotReportEnds(t *testing.T) {
	b := newBench(t)
	b.key("a", 1)
	b.key("b", 1)
	full := errors.New("no space")
	b.options.Report = func(any) error { return full }
	_, err := b.run()
	require.ErrorIs(t, err, full)
	require.Equal(t, []string{"restore/a"}, b.wire.writes)
}

func TestStatesGoAlongFromOneMountOfKeylifeToAnother(t *testing.T) {
	b := newBench(t)
	b.from.transit = false
	b.key("k", 3)
	b.from.K.Ops("versions/1/suspend", "rollback")
	e := b.requireOutcome(migrate.Unproven)
	require.Equal(t, migrate.Proof{Sample: migrate.Versions{2, 3}, None: migrate.Versions{1}}, e.Proof)
	require.Equal(t, b.from.K.Letters(), b.to.K.Letters())
}
