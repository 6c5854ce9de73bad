// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

func heads() []custody.KeyHead {
	return []custody.KeyHead{{Key: "payments", Count: 2, Hash: strings.Repeat("cd", 32)}, {Key: "orders", Count: 7, Hash: strings.Repeat("ab", 32)}}
}

func TestACheckpointOpensAsItWasSigned(t *testing.T) {
	keys, public := generations(t, 2)
	given := heads()
	signed, err := custody.SignCheckpoint(custody.Checkpoint{Instance: mount, Time: start.In(time.FixedZone("", 60)), Heads: given}, keys[1])
	require.NoError(t, err)
	require.Equal(t, public[1].ID, signed.KeyID)
	require.Equal(t, heads(), given, "the caller's list is left as it is")

	got, err := signed.Open(public)
	require.NoError(t, err)
	require.Equal(t, custody.Checkpoint{Format: 1, Instance: mount, Time: start, Heads: []custody.KeyHead{heads()[1], heads()[0]}}, got)
}

func TestAnEmptyMountHasACheckpoint(t *testing.T) {
	keys, public := generations(t, 1)
	signed, err := custody.SignCheckpoint(custody.Checkpoint{Instance: mount, Time: start}, keys[0])
	require.NoError(t, err)
	require.Equal(t, `{"format":1,"instance":"8f14e45f","time":"2026-03-01T12:00:00Z","heads":[]}`, signed.Payload)
	_, err = signed.Open(public)
	require.NoError(t, err)
}

func TestACheckpointDoesNotOpenWithAnyByteChanged(t *testing.T) {
	racetest.Skip(t, "one goroutine verifies hundreds of signatures")
	keys, public := generations(t, 1)
	signed, err := custody.SignCheckpoint(custody.Checkpoint{Instance: mount, Time: start, Heads: heads()}, keys[0])
	require.NoError(t, err)
	for _, field := range []func(*custody.Signed) *string{
		func(s *custody.Signed) *string { return &s.Payload },
		func(s *custody.Signed) *string { return &s.KeyID },
		func(s *custody.Signed) *string { return &s.Signature },
	} {
		for i := range *field(&signed) {
			for bit := range 8 {
				forged := signed
				raw := []byte(*field(&forged))
				raw[i] ^= 1 << bit
				*field(&forged) = string(raw)
				got, err := forged.Open(public)
				require.ErrorIs(t, err, custody.ErrSignature)
				require.Zero(t, got)
			}
		}
	}
}

func TestSignCheckpointRefuses(t *testing.T) {
	keys, _ := generations(t, 1)
	for name, edit := range map[string]func(*custody.Checkpoint){
		"no instance":   func(c *custody.Checkpoint) { c.Instance = "" },
		"bad instance":  func(c *custody.Checkpoint) { c.Instance = "\xff" },
		"no time":       func(c *custody.Checkpoint) { c.Time = time.Time{} },
		"far time":      func(c *custody.Checkpoint) { c.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"no key":        func(c *custody.Checkpoint) { c.Heads[0].Key = "" },
		"bad key":       func(c *custody.Checkpoint) { c.Heads[0].Key = "\xff" },
		"no count":      func(c *custody.Checkpoint) { c.Heads[0].Count = 0 },
		"no hash":       func(c *custody.Checkpoint) { c.Heads[0].Hash = "" },
		"one key twice": func(c *custody.Checkpoint) { c.Heads[0].Key = c.Heads[1].Key },
	} {
		c := custody.Checkpoint{Instance: mount, Time: start, Heads: heads()}
		edit(&c)
		got, err := custody.SignCheckpoint(c, keys[0])
		require.ErrorIs(t, err, custody.ErrInvalid, name)
		require.Zero(t, got, name)
	}
}

func TestTheZeroSigningKeySignsNothing(t *testing.T) {
	_, err := custody.SignCheckpoint(custody.Checkpoint{Instance: mount, Time: start}, custody.SigningKey{})
	require.ErrorIs(t, err, custody.ErrInvalid)
}

// One key that records take and checkpoints do not would leave the whole mount without checkpoints.
func TestACheckpointTakesEveryNameThatARecordTakes(t *testing.T) {
	keys, public := generations(t, 1)
	longest := strings.Repeat("n", 8<<10)
	j := newJournal(t, mount)
	j.act(longest, "create")
	j.act(longest, "rotate")
	signed := j.checkpoint(keys[0])
	whole := verify(t, export(j.lines), public, signed)
	require.True(t, whole.Clean(), "%v", whole.Problems)

	cut := verify(t, export(j.lines[:2]), public, signed)
	require.Len(t, cut.Problems, 1)
	require.ErrorIs(t, cut.Problems[0].Err, custody.ErrCut)
	require.Equal(t, longest, cut.Problems[0].Key)

	j.lines[1].line = j.lines[1].line[:len(j.lines[1].line)-1]
	broken := verify(t, export(j.lines), public, signed)
	require.Len(t, broken.Problems, 1)
	require.Equal(t, longest, broken.Problems[0].Key, "the line is of that key, though it does not decode")
	require.ErrorIs(t, broken.Problems[0].Err, custody.ErrMalformed)

	_, err := custody.SignCheckpoint(custody.Checkpoint{Instance: mount, Time: start, Heads: []custody.KeyHead{
		{Key: longest + "n", Count: 1, Hash: strings.Repeat("ab", 32)},
	}}, keys[0])
	require.ErrorIs(t, err, custody.ErrInvalid)
}
