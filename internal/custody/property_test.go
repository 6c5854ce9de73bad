// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// randomHistory begins and ends acts of a few keys as chance has it.
func randomHistory(t *testing.T, r *rand.Rand) *journal {
	j := newJournal(t, mount)
	open := map[string][]int{}
	for range 5 + r.IntN(30) {
		key := fmt.Sprintf("key-%d", r.IntN(3))
		if acts := open[key]; len(acts) > 0 && r.IntN(2) == 0 {
			i := r.IntN(len(acts))
			j.end(key, acts[i])
			open[key] = slices.Delete(acts, i, i+1)
			continue
		}
		open[key] = append(open[key], j.begin(key, fmt.Sprintf("act %d", r.IntN(100))))
	}
	return j
}

// mutate makes one change to an export that an untouched one never differs by.
func mutate(r *rand.Rand, l []entry) (out []byte, what string) {
	at := r.IntN(len(l))
	what = fmt.Sprintf("line %d", at+1)
	switch r.IntN(5) {
	case 0:
		out = export(l)
		i := r.IntN(len(out))
		out[i] ^= byte(1 + r.IntN(255))
		return out, fmt.Sprintf("byte %d made %q", i, out[i])
	case 1:
		return export(slices.Delete(slices.Clone(l), at, at+1)), what + " dropped"
	case 2:
		for other := range l {
			if other != at && l[other].key == l[at].key {
				l = slices.Clone(l)
				l[at], l[other] = l[other], l[at]
				return export(l), fmt.Sprintf("%s and %d swapped", what, other+1)
			}
		}
		fallthrough // its key has no other record
	case 3:
		to := r.IntN(len(l) + 1)
		return export(slices.Insert(slices.Clone(l), to, l[at])), fmt.Sprintf("%s repeated behind %d", what, to)
	default:
		return export(l[:at]), what + " and all behind cut"
	}
}

func TestEveryMutationIsDetected(t *testing.T) {
	keys, public := generations(t, 1)
	for seed := range racetest.Size(t, 1500) {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		j := randomHistory(t, r)
		checkpoint := j.checkpoint(keys[0])
		if seed%20 == 0 {
			require.Empty(t, verify(t, export(j.lines), public, checkpoint).Problems, "seed %d", seed)
		}
		tampered, what := mutate(r, j.lines)
		report := verify(t, tampered, public, checkpoint)
		require.False(t, report.Clean(), "seed %d: %s", seed, what)
	}
}

// Without a checkpoint, too, nothing inside a chain can be changed: only at its end, and as a whole.
func TestEveryByteButTheLastRecordsIsHeldByTheChain(t *testing.T) {
	racetest.Skip(t, "one goroutine verifies hundreds of chains")
	j := newJournal(t, mount)
	j.act("orders", "create")
	j.begin("orders", "rotate")
	in := export(j.lines)
	last := len(in) - len(j.lines[2].line) - 1
	for i := range last {
		for bit := range 8 {
			tampered := bytes.Clone(in)
			tampered[i] ^= 1 << bit
			r := verify(t, tampered, nil)
			require.False(t, r.Clean(), "byte %d made %q", i, tampered[i])
		}
	}
}
