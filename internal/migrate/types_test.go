// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/migrate"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

type flavour struct {
	name     string
	fields   []any
	requests int // to move three versions
}

// flavours are all keys that there are. Each costs twelve requests; one more for each further version that does not protect in a batch;
// two more where it both encrypts and signs.
func flavours() (all []flavour) {
	for _, name := range keytype.Names() {
		kind := keytype.Type(name)
		f := flavour{name, []any{"type", name}, 12}
		switch {
		case kind.IsRSA(), kind.SupportsSigning():
			f.requests += 2
		case kind == keytype.HMAC:
			f.fields = append(f.fields, "key_size", 64)
		}
		all = append(all, f)
		if kind.SupportsDerivation() {
			all = append(all, flavour{name + " derived", append(f.fields[:2:2], "derived", true), f.requests})
		}
		if kind.SupportsConvergent() {
			all = append(all, flavour{name + " convergent", append(f.fields[:2:2], "derived", true, "convergent_encryption", true), f.requests})
		}
	}
	return all
}

func TestKeysOfEveryTypeMoveThereAndBack(t *testing.T) {
	for _, f := range flavours() {
		if (f.name == "rsa-3072" || f.name == "rsa-4096") && racetest.Watched(t) {
			continue // making the keys takes minutes
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.key("k", 3, f.fields...)
			sum, err := b.run()
			require.NoError(t, err)
			there := b.entries["k"]
			require.Equal(t, migrate.Moved, there.Outcome, there.Reason)
			require.Equal(t, migrate.Versions{1, 2, 3}, there.Proof.Sample)
			require.Equal(t, f.requests, there.Requests)
			require.True(t, sum.Complete())
			require.Equal(t, migrate.Proven, b.outcome().Outcome, "once more")

			b.turned().to = &side{mounttest.New(t), true, b.wire}
			back := b.outcome()
			require.Equal(t, migrate.Moved, back.Outcome, back.Reason)
			require.Equal(t, migrate.Versions{1, 2, 3}, back.Proof.Sample)
			require.Equal(t, f.requests+1, back.Requests, "the states of the versions are asked for, too")
		})
	}
}

func TestVersionsThatProtectNoMoreAreProvenOtherwise(t *testing.T) {
	for kind, by := range map[string]migrate.Proof{
		"aes256-gcm96": {Sample: migrate.Versions{4}, Export: migrate.Versions{3}},
		"rsa-2048":     {Sample: migrate.Versions{4}, Export: migrate.Versions{3}},
		"ecdsa-p256":   {Sample: migrate.Versions{4}, PublicKey: migrate.Versions{3}},
	} {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t)
			b.key("k", 4, "type", kind)
			b.from.Must(b.from.Write("keys/k/config", "min_decryption_version", 3, "min_encryption_version", 4))
			b.from.Must(b.from.Write("keys/k/trim", "min_available_version", 2))
			e := b.requireOutcome(migrate.Moved, "below min_decryption_version are copied, and not proven: 2")
			require.Equal(t, by, e.Proof)
			require.Contains(t, b.lines[0], `"sample":"4"`)
		})
	}
}
