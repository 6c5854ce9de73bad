// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// history is three chains, interleaved, with an act of orders still open.
func history(t testing.TB) *journal {
	j := newJournal(t, mount)
	j.act("orders", "create")
	j.act("payments", "create")
	open := j.begin("orders", "rotate")
	j.act("payments", "rotate")
	j.end("orders", open)
	j.act("audit", "create")
	j.act("orders", "archive")
	j.begin("orders", "destroy")
	return j
}

// found is a problem without its line and its words.
type found struct {
	key          string
	seq, through int
	err          error
}

func classes() []error {
	return []error{
		custody.ErrMalformed, custody.ErrNewer, custody.ErrEdited, custody.ErrGap, custody.ErrOrder, custody.ErrOutcome,
		custody.ErrForeign, custody.ErrCut, custody.ErrSignature, custody.ErrKeys,
	}
}

func problems(r custody.Report) []found {
	var out []found
	for _, p := range r.Problems {
		i := slices.IndexFunc(classes(), func(class error) bool { return errors.Is(p.Err, class) })
		out = append(out, found{p.Key, p.Seq, p.Through, classes()[i]})
	}
	return out
}

func TestVerifyFindsAnUntouchedExportClean(t *testing.T) {
	j := history(t)
	keys, public := generations(t, 2)
	for _, checkpoints := range [][]custody.Signed{nil, {j.checkpoint(keys[0])}, {j.checkpoint(keys[0]), j.checkpoint(keys[1])}} {
		r := verify(t, export(j.lines), public, checkpoints...)
		require.Empty(t, r.Problems)
		require.True(t, r.Clean())
		require.Equal(t, 3, r.Chains)
		require.Equal(t, 13, r.Records)
		require.Equal(t, len(checkpoints), r.Checkpoints)
		require.Equal(t, []custody.Unfinished{{Key: "orders", Seq: 7}}, r.Unfinished)
	}
}

func TestVerifyTakesRecordsGroupedByKey(t *testing.T) {
	j := history(t)
	slices.SortStableFunc(j.lines, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	keys, public := generations(t, 1)
	require.Empty(t, verify(t, bytes.TrimSpace(export(j.lines)), public, j.checkpoint(keys[0])).Problems)
}

func TestVerifyCountsWhatNoCheckpointReaches(t *testing.T) {
	j := history(t)
	keys, public := generations(t, 1)
	checkpoint := j.checkpoint(keys[0])
	j.act("orders", "rotate")
	j.act("new", "create")
	r := verify(t, export(j.lines), public, checkpoint)
	require.Empty(t, r.Problems)
	require.Equal(t, 4, r.Unsigned)
}

// Every tampering with the export, with the problems it makes: what is wrong, of which key, at which record.
func TestVerifyNamesEveryTampering(t *testing.T) {
	type lines = []entry
	edit := func(l lines, key string, seq int, old, now string) lines {
		i := at(l, key, seq)
		require.Contains(t, string(l[i].line), old)
		l[i].line = bytes.Replace(l[i].line, []byte(old), []byte(now), 1)
		return l
	}
	drop := func(l lines, key string, from, to int) lines {
		return slices.DeleteFunc(l, func(e entry) bool { return e.key == key && e.seq >= from && e.seq <= to })
	}
	swap := func(l lines, key string, a, b int) lines {
		i, j := at(l, key, a), at(l, key, b)
		l[i], l[j] = l[j], l[i]
		return l
	}
	for name, c := range map[string]struct {
		tamper func(l lines) lines
		want   []found
	}{
		"edited": {
			func(l lines) lines { return edit(l, "orders", 3, "for rotate", "for robert") },
			[]found{{"orders", 3, 0, custody.ErrEdited}},
		},
		"edited link": {
			func(l lines) lines {
				return edit(l, "orders", 3, custody.Hash(l[at(l, "orders", 2)].line), strings.Repeat("1", 64))
			},
			[]found{{"orders", 2, 0, custody.ErrEdited}, {"orders", 3, 0, custody.ErrEdited}},
		},
		"edited first link": {
			func(l lines) lines {
				return edit(l, "orders", 1, strings.Repeat("0", 64), strings.Repeat("1", 64))
			},
			[]found{{"orders", 1, 0, custody.ErrMalformed}},
		},
		"edited last, seen by the checkpoint": {
			func(l lines) lines { return edit(l, "orders", 7, "destroy", "destrov") },
			[]found{{"orders", 7, 0, custody.ErrEdited}},
		},
		"edited outcome": {
			func(l lines) lines { return edit(l, "orders", 4, "done", "failed") },
			[]found{{"orders", 4, 0, custody.ErrEdited}},
		},
		"edited to no JSON": {
			func(l lines) lines { return edit(l, "orders", 3, `"kind"`, `"kind`) },
			[]found{{"orders", 3, 0, custody.ErrMalformed}},
		},
		"edited to another form": {
			func(l lines) lines { return edit(l, "orders", 3, `,"kind"`, `, "kind"`) },
			[]found{{"orders", 3, 0, custody.ErrMalformed}},
		},
		"edited to a newer format": {
			func(l lines) lines { return edit(l, "orders", 3, `"format":1`, `"format":2`) },
			[]found{{"orders", 3, 0, custody.ErrNewer}},
		},
		"too long": {
			func(l lines) lines { return edit(l, "orders", 3, "rotate", strings.Repeat("x", 70<<10)) },
			[]found{{"orders", 3, 0, custody.ErrMalformed}},
		},
		"not recognizable": {
			func(l lines) lines {
				l[at(l, "orders", 3)].line = []byte("?")
				return l
			},
			[]found{{"", 0, 0, custody.ErrMalformed}, {"orders", 3, 3, custody.ErrGap}},
		},
		"other key": {
			func(l lines) lines { return edit(l, "orders", 3, `"orders"`, `"orderz"`) },
			[]found{{"orderz", 1, 2, custody.ErrGap}, {"orders", 3, 3, custody.ErrGap}},
		},
		"other mount": {
			func(l lines) lines { return edit(l, "orders", 3, mount, "8f14e460") },
			[]found{{"orders", 3, 0, custody.ErrForeign}, {"orders", 3, 3, custody.ErrGap}},
		},
		"dropped": {
			func(l lines) lines { return drop(l, "orders", 3, 3) },
			[]found{{"orders", 3, 3, custody.ErrGap}},
		},
		"dropped first": {
			func(l lines) lines { return drop(l, "orders", 1, 2) },
			[]found{{"orders", 1, 2, custody.ErrGap}},
		},
		"dropped and counted anew": {
			func(l lines) lines {
				l = drop(l, "orders", 5, 6)
				return edit(l, "orders", 7, `"seq":7`, `"seq":5`)
			},
			[]found{{"orders", 4, 0, custody.ErrEdited}, {"orders", 6, 7, custody.ErrCut}},
		},
		"cut": {
			func(l lines) lines { return drop(l, "orders", 6, 7) },
			[]found{{"orders", 6, 7, custody.ErrCut}},
		},
		"chain missing": {
			func(l lines) lines { return drop(l, "audit", 1, 2) },
			[]found{{"audit", 1, 2, custody.ErrCut}},
		},
		"all missing": {
			func(lines) lines { return nil },
			[]found{{"audit", 1, 2, custody.ErrCut}, {"orders", 1, 7, custody.ErrCut}, {"payments", 1, 4, custody.ErrCut}},
		},
		"reordered": {
			func(l lines) lines { return swap(l, "orders", 3, 4) },
			[]found{{"orders", 3, 0, custody.ErrOrder}},
		},
		"reordered far": {
			func(l lines) lines { return swap(l, "orders", 2, 4) },
			[]found{{"orders", 3, 0, custody.ErrOrder}, {"orders", 2, 0, custody.ErrOrder}},
		},
		"one dropped, one moved": {
			func(l lines) lines {
				l = swap(l, "orders", 3, 6)
				return drop(l, "orders", 4, 4)
			},
			[]found{{"orders", 4, 4, custody.ErrGap}, {"orders", 5, 0, custody.ErrOrder}, {"orders", 3, 0, custody.ErrOrder}},
		},
		"duplicated": {
			func(l lines) lines {
				return slices.Insert(l, at(l, "orders", 5), l[at(l, "orders", 3)])
			},
			[]found{{"orders", 3, 0, custody.ErrOrder}},
		},
		"far future": {
			func(l lines) lines { return edit(l, "audit", 2, `"seq":2`, `"seq":2147483647`) },
			[]found{{"audit", 2, 2147483646, custody.ErrGap}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := history(t)
			keys, public := generations(t, 1)
			checkpoint := j.checkpoint(keys[0])
			for i := range j.lines {
				j.lines[i].line = bytes.Clone(j.lines[i].line)
			}
			r := verify(t, export(c.tamper(j.lines)), public, checkpoint)
			require.Equal(t, c.want, problems(r))
			require.Equal(t, len(c.want), r.ProblemCount)
			require.False(t, r.Clean())
		})
	}
}

func TestVerifySeesAChainComputedAnewByTheCheckpoint(t *testing.T) {
	j, forged := history(t), newJournal(t, mount)
	keys, public := generations(t, 1)
	for _, e := range j.lines {
		r, err := custody.Decode(e.line)
		require.NoError(t, err)
		r.Reason = strings.Replace(r.Reason, "archive", "nothing", 1)
		forged.add(e.key, r)
	}
	require.Empty(t, verify(t, export(forged.lines), nil).Problems)
	r := verify(t, export(forged.lines), public, j.checkpoint(keys[0]))
	require.Equal(t, []found{{"orders", 7, 0, custody.ErrEdited}}, problems(r))
	require.Equal(t, `checkpoint 1: key "orders": record 7: edited: it, or one before it, is not what was signed (checkpoint of 2026-03-01T13:00:00Z)`,
		r.Problems[0].Error())
}

func TestVerifyChecksEveryCheckpoint(t *testing.T) {
	j := history(t)
	keys, public := generations(t, 1)
	good := j.checkpoint(keys[0])
	stranger, err := custody.NewSigningKey(seeded(99), start, 1, nil)
	require.NoError(t, err)
	elsewhere := newJournal(t, "elsewhere")
	elsewhere.act("orders", "create")
	forged := good
	forged.Payload = strings.Replace(good.Payload, `"count":7`, `"count":5`, 1)

	r := verify(t, export(j.lines), public, good, j.checkpoint(stranger), elsewhere.checkpoint(keys[0]), forged)
	require.Equal(t, []found{{"", 0, 0, custody.ErrSignature}, {"", 0, 0, custody.ErrForeign}, {"", 0, 0, custody.ErrSignature}}, problems(r))
	require.Equal(t, 2, r.Problems[0].Checkpoint)
	require.Equal(t, 1, r.Checkpoints)
}

func TestVerifyOpensNoCheckpointWithKeysThatAreNotTrusted(t *testing.T) {
	j := history(t)
	keys, public := generations(t, 2)
	for _, c := range []struct {
		public custody.PublicKeys
		pinned string
	}{{public, public[1].ID}, {nil, ""}, {public[1:], public[0].ID}, {custody.PublicKeys{public[1], public[0]}, ""}} {
		r, err := custody.Verify(custody.Lines(bytes.NewReader(export(j.lines))), c.public, c.pinned, []custody.Signed{j.checkpoint(keys[0])})
		require.NoError(t, err)
		require.Equal(t, []found{{"", 0, 0, custody.ErrKeys}}, problems(r))
		require.Zero(t, r.Checkpoints)
	}
}

func TestVerifyBoundsTheReport(t *testing.T) {
	j := newJournal(t, mount)
	for range 150 {
		j.begin("orders", "rotate")
	}
	r := verify(t, append(export(j.lines), bytes.Repeat([]byte("?\n"), 250)...), nil)
	require.Len(t, r.Problems, 100)
	require.Equal(t, 250, r.ProblemCount)
	require.Equal(t, 151, r.Problems[0].Line)
	require.Len(t, r.Unfinished, 100)
	require.Equal(t, 150, r.UnfinishedCount)
}

func TestVerifyFailsIfTheExportCannotBeRead(t *testing.T) {
	broken := errors.New("broken")
	for _, lines := range []string{"", string(export(history(t).lines)), "half"} {
		in := io.MultiReader(strings.NewReader(lines), iotest.ErrReader(broken))
		_, err := custody.Verify(custody.Lines(in), nil, "", nil)
		require.ErrorIs(t, err, broken, fmt.Sprintf("%.10s", lines))
	}
}

func TestAProblemQuotesNames(t *testing.T) {
	j := newJournal(t, mount)
	j.begin("\x1b[2J\n", "create")
	r := verify(t, append(export(j.lines), export(j.lines)...), nil)
	require.Equal(t, `line 2: key "\x1b[2J\n": record 1: out of order: repeated`, r.Problems[0].Error())
}

func TestAnUnreadableLineMakesUpNoKey(t *testing.T) {
	j := history(t)
	r := verify(t, append(export(j.lines), `{"format":1,"key":"invented","seq":2,?`...), nil)
	require.Equal(t, []found{{"invented", 2, 0, custody.ErrMalformed}}, problems(r))
	require.Equal(t, 3, r.Chains)
}

func TestTheMountIsThatOfTheFirstReadableRecord(t *testing.T) {
	j, foreign := newJournal(t, mount), newJournal(t, "elsewhere")
	j.act("orders", "create")
	foreign.act("payments", "create")
	in := slices.Concat([]byte(`{"format":1,"key":"payments","seq":1,?`+"\n"), export(j.lines), export(foreign.lines[1:]))
	r := verify(t, in, nil)
	require.Equal(t, []found{{"payments", 1, 0, custody.ErrMalformed}, {"payments", 2, 0, custody.ErrForeign}}, problems(r))
}

func TestTheNewestCheckpointIsReported(t *testing.T) {
	j := history(t)
	keys, public := generations(t, 1)
	older, err := custody.SignCheckpoint(custody.Checkpoint{Instance: mount, Time: start}, keys[0])
	require.NoError(t, err)
	r := verify(t, export(j.lines), public, j.checkpoint(keys[0]), older)
	require.Equal(t, start.Add(time.Hour), r.Latest)
	require.Zero(t, r.Unsigned)
}
