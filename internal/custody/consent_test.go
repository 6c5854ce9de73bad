// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// cast adds the vote of an entity for a request.
func (j *journal) cast(chain, request, entity string, outcome custody.Outcome) {
	j.t.Helper()
	of := j.add(chain, custody.Record{
		Kind: custody.Begin, Act: "approve", Actor: custody.Actor{EntityID: entity}, Details: map[string]string{"approval": request},
	})
	j.add(chain, custody.Record{Kind: custody.End, Of: of, Outcome: outcome})
}

// consented adds an act that counted votes, by the ids of who cast them, and returns the number of its record.
func (j *journal) consented(chain, request, ids string) int {
	j.t.Helper()
	seq := j.add(chain, custody.Record{Kind: custody.Begin, Act: "retire", Details: map[string]string{"approval": request, "approver_ids": ids}})
	j.end(chain, seq)
	return seq
}

func TestAnActHasTheVotesThatItCounted(t *testing.T) {
	long := make([]string, 20)
	for i := range long {
		long[i] = strings.Repeat(string(rune('a'+i)), 36)
	}
	for name, c := range map[string]struct {
		story func(j *journal) int // the record with a problem; 0: none has one
		of    string
	}{
		"all are there": {func(j *journal) int {
			j.cast("orders", "ap-1", "bob", custody.Done)
			j.act("orders", "rotate")
			j.cast("orders", "ap-1", "carol", custody.Done)
			j.consented("orders", "ap-1", "bob, carol")
			return 0
		}, ""},
		"an act of an earlier release says of nobody who it was": {func(j *journal) int { j.consented("orders", "ap-1", ""); return 0 }, ""},
		"one is forged": {func(j *journal) int {
			j.cast("orders", "ap-1", "bob", custody.Done)
			return j.consented("orders", "ap-1", "bob, carol")
		}, "carol"},
		"one was for another request": {func(j *journal) int {
			j.cast("orders", "ap-2", "bob", custody.Done)
			return j.consented("orders", "ap-1", "bob")
		}, "bob"},
		"one is in another chain": {func(j *journal) int {
			j.cast("cards", "ap-1", "bob", custody.Done)
			return j.consented("orders", "ap-1", "bob")
		}, "bob"},
		"one failed": {func(j *journal) int {
			j.cast("orders", "ap-1", "bob", custody.Failed)
			return j.consented("orders", "ap-1", "bob")
		}, "bob"},
		"one that failed was cast before": {func(j *journal) int {
			j.cast("orders", "ap-1", "bob", custody.Done)
			j.cast("orders", "ap-1", "bob", custody.Failed)
			j.consented("orders", "ap-1", "bob")
			return 0
		}, ""},
		"one came after": {func(j *journal) int {
			seq := j.consented("orders", "ap-1", "bob")
			j.cast("orders", "ap-1", "bob", custody.Done)
			return seq
		}, "bob"},
		"more than a record takes": {func(j *journal) int {
			for _, id := range long {
				j.cast("orders", "ap-1", id, custody.Done)
			}
			j.consented("orders", "ap-1", custody.Clip(strings.Join(long, ", ")))
			return 0
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJournal(t, mount)
			seq := c.story(j)
			report := verify(t, export(j.lines), nil)
			require.Zero(t, report.UnfinishedCount)
			if seq == 0 {
				require.Empty(t, report.Problems)
				return
			}
			require.Len(t, report.Problems, 1)
			p := report.Problems[0]
			require.ErrorIs(t, p.Err, custody.ErrConsent)
			require.Equal(t, []any{"orders", seq}, []any{p.Key, p.Seq})
			require.Contains(t, p.Error(), `retire was done with the consent of entity "`+c.of+`" to request "ap-1"`)
		})
	}
}

// TestAVoteWhoseRecordIsLostIsNoNews holds that a gap is told once.
func TestAVoteWhoseRecordIsLostIsNoNews(t *testing.T) {
	j := newJournal(t, mount)
	j.act("orders", "create")
	j.cast("orders", "ap-1", "bob", custody.Done)
	j.consented("orders", "ap-1", "bob")
	j.lines = append(j.lines[:2:2], j.lines[4:]...)
	report := verify(t, export(j.lines), nil)
	require.Len(t, report.Problems, 1)
	require.ErrorIs(t, report.Problems[0].Err, custody.ErrGap)
}
