// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// well returns an observer of a mount on which all is well at the time.
func well(at time.Time) *Observer {
	o := New()
	o.Board.Health.Set(Health{Started: start, At: at})
	o.Board.Tick.Set(Tick{LastSuccess: at})
	return o
}

func grade(o *Observer, check string, now time.Time, active bool) Grade {
	findings := o.Findings(now, active)
	i := slices.IndexFunc(findings, func(f Finding) bool { return f.Check == check })
	return findings[i].Grade
}

func TestEachFindingHasItsGrade(t *testing.T) {
	require.Equal(t, OK, Worst(well(start).Findings(start, true)))
	for name, c := range map[string]struct {
		check string
		spoil func(o *Observer)
		want  Grade
	}{
		"storage":       {CheckStorage, func(o *Observer) { o.Board.Health.Set(Health{Started: start, At: start, Storage: "no"}) }, Failing},
		"keks":          {CheckKEKs, func(o *Observer) { o.Board.Health.Set(Health{Started: start, At: start, KEKs: "no"}) }, Failing},
		"hsm away":      {CheckHSM, func(o *Observer) { o.Board.Health.Set(Health{Started: start, At: start, HSM: "away"}) }, Degraded},
		"hsm away long": {CheckHSM, func(o *Observer) { o.Board.Health.Set(Health{Started: start, At: start, HSM: "away", Unfit: true}) }, Failing},
		"clock":         {CheckClock, func(o *Observer) { o.Board.Tick.Set(Tick{LastSuccess: start, Frozen: "behind"}) }, Degraded},
		"custody":       {CheckCustody, func(o *Observer) { o.JudgeChain("k", ChainEnd, false) }, Degraded},
		"scrub": {CheckScrub, func(o *Observer) {
			o.Board.Scrub.Set(Scrub{}.WithFailures([]Failure{{Key: "k", Version: 1, Why: "w"}}))
		}, Degraded},
	} {
		o := well(start)
		c.spoil(o)
		assert.Equal(t, c.want, grade(o, c.check, start, true), name)
		assert.Equal(t, c.want, Worst(o.Findings(start, true)), "%s: nothing else is wrong", name)
	}
}

func TestFindingsThatAreOldSayNothing(t *testing.T) {
	o := well(start)
	assert.Equal(t, OK, grade(o, CheckTick, start.Add(FindingsAge), true))
	assert.Equal(t, Failing, grade(o, CheckTick, start.Add(FindingsAge+time.Second), true))

	o.Board.Health.Set(Health{Started: start, At: start.Add(10 * time.Minute)})
	assert.Equal(t, Degraded, grade(o, CheckTick, start.Add(10*time.Minute), true), "ticks run, and none succeeds")
	assert.Equal(t, OK, grade(o, CheckTick, start.Add(10*time.Minute), false), "a node that does not act")
}

func TestAProcessThatHasJustStartedHasThreeMinutesForItsFirstTick(t *testing.T) {
	o := New()
	o.Board.Health.Set(Health{Started: start})
	assert.Equal(t, OK, grade(o, CheckTick, start.Add(FindingsAge), true))
	assert.Equal(t, Failing, grade(o, CheckTick, start.Add(FindingsAge+time.Second), true))
}

func TestAChainIsBrokenUntilEachViewOfItIsSound(t *testing.T) {
	o := New()
	o.JudgeChain("a", ChainEnd, true)
	assert.Zero(t, o.Board.Custody.Get())
	o.JudgeChain("a", ChainEnd, false)
	o.JudgeChain("a", ChainEnd, false)
	o.JudgeChain("a", ChainRecords, false)
	o.JudgeChain("b", ChainEnd, false)
	assert.Equal(t, 2, o.Board.Custody.Get().Broken)
	o.JudgeChain("a", ChainEnd, true)
	assert.Equal(t, []string{"a", "b"}, o.BrokenChains())
	o.JudgeChain("a", ChainRecords, true)
	o.JudgeChain("b", ChainEnd, true)
	assert.Zero(t, o.Board.Custody.Get().Broken)
}

func TestARoundOfCheckpointsIsAsOldAsItsFirstPage(t *testing.T) {
	o := New()
	o.CheckpointMade(start, "", "")
	assert.Equal(t, start, o.Board.Custody.Get().Checkpoint)

	later := start.Add(time.Hour)
	o.CheckpointMade(later, "", "m")
	assert.Equal(t, start, o.Board.Custody.Get().Checkpoint, "the round is not over")
	o.CheckpointMade(later.Add(time.Minute), "m", "")
	assert.Equal(t, later, o.Board.Custody.Get().Checkpoint)

	o.CheckpointMade(later.Add(time.Hour), "", "m")
	o.CheckpointMade(later.Add(time.Hour), "p", "")
	assert.Equal(t, later, o.Board.Custody.Get().Checkpoint, "the chains from m to p were left out")
	o.JudgeChain("a", ChainEnd, false)
	assert.Equal(t, later, o.Board.Custody.Get().Checkpoint)
}

func TestFailuresAreBounded(t *testing.T) {
	var all []Failure
	for i := range MaxFailures + 3 {
		all = append(all, Failure{Key: strconv.Itoa(i), Since: start.Add(-time.Duration(i) * time.Second)})
	}
	s := Scrub{}.WithFailures(all)
	require.Len(t, s.Failures, MaxFailures)
	assert.Equal(t, 3, s.Hidden)
	assert.Equal(t, strconv.Itoa(MaxFailures+2), s.Failures[0].Key, "the oldest first")
}
