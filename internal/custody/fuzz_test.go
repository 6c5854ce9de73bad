// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// Whatever decodes is what Append writes of it, to the byte.
func FuzzDecode(f *testing.F) {
	for _, e := range history(f).lines {
		f.Add(e.line)
	}
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := custody.Decode(line)
		if err != nil {
			require.Zero(t, r)
			return
		}
		got, next, err := custody.Head{Count: r.Seq - 1, Hash: r.Prev}.Append(r)
		require.NoError(t, err)
		require.Equal(t, string(line), string(got))
		require.Equal(t, custody.Head{Count: r.Seq, Hash: custody.Hash(line)}, next)
	})
}

// Whatever is appended decodes to what was appended, and appended again is the same.
func FuzzAppend(f *testing.F) {
	f.Add("orders", "rotate", "reason <&>\u2028", "name", "text", 1, int64(1e18))
	f.Add("\x00\x7f", "\b\f\n\r\t", "\\\"/", "\U0001F511", "", 0, int64(-1))
	f.Fuzz(func(t *testing.T, key, act, reason, name, text string, version int, nanos int64) {
		in := custody.Record{
			Instance: mount, Key: key, Time: start.Add(time.Duration(nanos)), Kind: custody.Begin, Act: act, Reason: reason,
			Versions: []int{version}, Details: map[string]string{name: text}, Actor: custody.Actor{DisplayName: reason},
		}
		line, next, err := second.Append(in)
		if err != nil {
			require.ErrorIs(t, err, custody.ErrInvalid)
			require.Nil(t, line)
			return
		}
		got, err := custody.Decode(line)
		require.NoError(t, err)
		in.Format, in.Seq, in.Prev = 1, 2, second.Hash
		require.Equal(t, in, got)
		require.Equal(t, custody.Hash(line), next.Hash)
		require.NotContains(t, string(line), "\n")
	})
}

// FuzzVerify replaces a piece of a clean export, or all of it, by something else.
func FuzzVerify(f *testing.F) {
	j := history(f)
	keys, public := generations(f, 1)
	checkpoint := j.checkpoint(keys[0])
	whole := export(j.lines)
	f.Add(uint16(0), uint16(0), []byte("\n"))
	f.Add(uint16(0), uint16(0), j.lines[0].line)
	f.Add(uint16(0), uint16(len(whole)), []byte(nil))
	f.Add(uint16(len(whole)/2), uint16(1), []byte("\n{"))
	f.Add(uint16(bytes.Index(whole, []byte(`"seq":2`))), uint16(7), []byte(`"seq":2147483647`))
	f.Fuzz(func(t *testing.T, from, length uint16, insert []byte) {
		at := min(int(from), len(whole))
		to := min(at+int(length), len(whole))
		in := slices.Concat(whole[:at], insert, whole[to:])
		r, err := custody.Verify(custody.Lines(bytes.NewReader(in)), public, "", []custody.Signed{checkpoint})
		require.NoError(t, err)
		require.LessOrEqual(t, len(r.Problems), r.ProblemCount)
		for i := range r.Problems {
			require.NotEmpty(t, r.Problems[i].Error())
		}
		if r.Clean() {
			requireHolds(t, in, j.lines)
		}
	})
}

// requireHolds demands the signed lines of each key in their order.
func requireHolds(t *testing.T, in []byte, lines []entry) {
	t.Helper()
	reached := map[string]int{}
	for _, e := range lines {
		found := bytes.Index(in[reached[e.key]:], e.line)
		require.GreaterOrEqual(t, found, 0, "%s %d", e.key, e.seq)
		reached[e.key] += found + len(e.line)
	}
}
