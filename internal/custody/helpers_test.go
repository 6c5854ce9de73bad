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

const mount = "8f14e45f"

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// journal is a naive mount: it appends to chains and remembers the lines in the order of writing.
type journal struct {
	t        testing.TB
	instance string
	heads    map[string]custody.Head
	lines    []entry
}

type entry struct {
	key  string
	seq  int
	line []byte
}

func newJournal(t testing.TB, instance string) *journal {
	return &journal{t: t, instance: instance, heads: map[string]custody.Head{}}
}

func (j *journal) add(key string, r custody.Record) int {
	j.t.Helper()
	r.Instance, r.Key = j.instance, key
	r.Time = start.Add(time.Duration(len(j.lines)) * time.Second)
	line, next, err := j.heads[key].Append(r)
	require.NoError(j.t, err)
	require.Equal(j.t, custody.Head{Count: j.heads[key].Count + 1, Hash: custody.Hash(line)}, next)
	j.heads[key] = next
	j.lines = append(j.lines, entry{key, next.Count, line})
	return next.Count
}

func (j *journal) begin(key, act string) int {
	return j.add(key, custody.Record{Kind: custody.Begin, Act: act, KeyID: "6f72", Versions: []int{1}, Reason: "for " + act})
}

func (j *journal) end(key string, of int) {
	j.add(key, custody.Record{Kind: custody.End, Of: of, Outcome: custody.Done})
}

// act begins an act and ends it.
func (j *journal) act(key, act string) { j.end(key, j.begin(key, act)) }

func (j *journal) checkpoint(key custody.SigningKey) custody.Signed {
	j.t.Helper()
	c := custody.Checkpoint{Instance: j.instance, Time: start.Add(time.Hour)}
	for name, head := range j.heads {
		c.Heads = append(c.Heads, custody.KeyHead{Key: name, Count: head.Count, Hash: head.Hash})
	}
	signed, err := custody.SignCheckpoint(c, key)
	require.NoError(j.t, err)
	return signed
}

func export(lines []entry) []byte {
	var out bytes.Buffer
	for _, e := range lines {
		out.Write(e.line)
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// at returns where a record is.
func at(lines []entry, key string, seq int) int {
	return slices.IndexFunc(lines, func(e entry) bool { return e.key == key && e.seq == seq })
}

func seeded(n byte) *bytes.Reader { return bytes.NewReader(bytes.Repeat([]byte{n}, 32)) }

// generations returns n signing keys, each signed by the one before, and what is public of them.
func generations(t testing.TB, n int) ([]custody.SigningKey, custody.PublicKeys) {
	t.Helper()
	var keys []custody.SigningKey
	var public custody.PublicKeys
	var previous *custody.SigningKey
	for i := range n {
		key, err := custody.NewSigningKey(seeded(byte(i+1)), start.AddDate(i, 0, 0), i+1, previous)
		require.NoError(t, err)
		keys, public = append(keys, key), append(public, key.Public())
		previous = &key
	}
	return keys, public
}

func verify(t testing.TB, export []byte, public custody.PublicKeys, checkpoints ...custody.Signed) custody.Report {
	t.Helper()
	report, err := custody.Verify(custody.Lines(bytes.NewReader(export)), public, "", checkpoints)
	require.NoError(t, err)
	return report
}
