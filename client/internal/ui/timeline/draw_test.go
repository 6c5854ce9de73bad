// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package timeline_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/timeline"
)

// day is the n-th day of the test's world.
func day(n int) time.Time {
	return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n)
}

func act(at int, name, to string, versions ...int) timeline.Act {
	return timeline.Act{At: day(at), Name: name, Title: name, To: to, Versions: versions}
}

func superseding(at, version, before int) timeline.Act {
	a := act(at, "rotate", "active", version)
	a.Superseded = before
	return a
}

// spans writes the spans of a lane by days.
func spans(l timeline.Lane) (out []string) {
	for _, s := range l.Spans {
		text := fmt.Sprintf("%s %.0f-%.0f", s.State, s.From.Sub(day(0)).Hours()/24, s.To.Sub(day(0)).Hours()/24)
		if s.Planned {
			text += " planned"
		}
		out = append(out, text)
	}
	return out
}

func TestStatesOfVersionsFollowFromActs(t *testing.T) {
	live := []timeline.Version{{1, "active", day(0)}}
	two := []timeline.Version{{1, "deactivated", day(0)}, {2, "active", day(10)}}
	compromised := timeline.Act{At: day(10), Name: "compromise", To: "compromised", Versions: []int{1}, Successor: 2}
	for name, c := range map[string]struct {
		acts     []timeline.Act
		versions []timeline.Version
		planned  []timeline.Act
		want     [][]string
	}{
		"a new key": {
			acts: []timeline.Act{act(0, "create", "active", 1)}, versions: live,
			want: [][]string{{"active 0-100", "active 100-106 planned"}},
		},
		"a rotation": {
			acts: []timeline.Act{act(0, "create", "active", 1), superseding(10, 2, 1)}, versions: two,
			want: [][]string{{"active 0-10", "deactivated 10-100", "deactivated 100-106 planned"}, {"active 10-100", "active 100-106 planned"}},
		},
		"a rotation that is planned": {
			acts: []timeline.Act{act(0, "create", "active", 1)}, versions: live, planned: []timeline.Act{act(160, "rotate", "", 2)},
			want: [][]string{{"active 0-100", "active 100-160 planned", "deactivated 160-170 planned"}, {"active 160-170 planned"}},
		},
		"a suspension of the whole key": {
			acts: []timeline.Act{act(0, "create", "active", 1), act(20, "suspend", "suspended"), act(30, "resume", "enabled")}, versions: live,
			want: [][]string{{"active 0-20", "suspended 20-30", "active 30-100", "active 100-106 planned"}},
		},
		"an archived key whose destruction is planned": {
			acts:     []timeline.Act{act(0, "create", "active", 1), act(20, "archive", "archived"), act(40, "retire", "retired")},
			versions: []timeline.Version{{1, "retired", day(0)}}, planned: []timeline.Act{act(160, "destroy", "")},
			want: [][]string{{"active 0-20", "archived 20-40", "retired 40-100", "retired 100-160 planned", "destroyed 160-170 planned"}},
		},
		"a report that another version takes over from": {
			acts: []timeline.Act{act(0, "create", "active", 1), compromised}, versions: []timeline.Version{{1, "compromised", day(0)}, {2, "active", day(10)}},
			want: [][]string{{"active 0-10", "compromised 10-100", "compromised 100-106 planned"}, {"active 10-100", "active 100-106 planned"}},
		},
		"no history": {
			versions: two,
			want:     [][]string{{"deactivated 0-100", "deactivated 100-106 planned"}, {"active 10-100", "active 100-106 planned"}},
		},
		"a history that does not lead to what is": {
			acts: []timeline.Act{act(0, "create", "active", 1), act(50, "configure", "")}, versions: []timeline.Version{{1, "archived", day(0)}},
			want: [][]string{{"active 0-50", "archived 50-100", "archived 100-106 planned"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := timeline.Draw(timeline.Input{Now: day(100), Acts: c.acts, Versions: c.versions, Planned: c.planned})
			var got [][]string
			for _, lane := range p.Lanes {
				got = append(got, spans(lane))
			}
			require.Equal(t, c.want, got)
		})
	}
}

func TestLengthsAreInsideThePictureAndInOrder(t *testing.T) {
	var in timeline.Input
	in.Now = day(1000)
	for v := 1; v <= 40; v++ {
		in.Acts = append(in.Acts, superseding(v*20, v, v-1))
		in.Versions = append(in.Versions, timeline.Version{Number: v, State: "deactivated", Created: day(v * 20)})
	}
	in.Versions[39].State = "active"
	in.Planned = []timeline.Act{act(1010, "rotate", "", 41), act(1020, "destroy", "", 1), act(9000, "rotate", "", 42)}
	p := timeline.Draw(in)
	require.Len(t, p.Lanes, 14)
	require.Equal(t, 27, p.Older)
	require.Equal(t, 1, p.Beyond)
	require.Equal(t, 41, p.Lanes[13].Number)
	require.Equal(t, []string{"active", "deactivated"}, p.States)
	for i, lane := range p.Lanes {
		if i > 0 {
			require.Greater(t, lane.Y, p.Lanes[i-1].Y+p.Bar)
		}
		at := p.Left
		for _, s := range lane.Spans {
			require.GreaterOrEqual(t, s.X, at-0.15, "spans do not overlap")
			require.Positive(t, s.Length)
			at = s.X + s.Length
		}
		require.LessOrEqual(t, at, p.Right+0.15)
	}
	require.Less(t, p.Lanes[13].Middle(), p.Bottom)
	require.Less(t, p.Bottom, p.Height)
	require.Greater(t, p.Now, p.Lanes[12].Spans[0].X)
}

func TestDatesOfTheAxisHaveRoomBetweenThem(t *testing.T) {
	for _, past := range []int{0, 1, 3, 20, 90, 400, 2000, 20000} {
		p := timeline.Draw(timeline.Input{Now: day(20000), Versions: []timeline.Version{{1, "active", day(20000 - past)}}})
		require.NotEmpty(t, p.Ticks, past)
		for i, tick := range p.Ticks {
			require.GreaterOrEqual(t, tick.X, p.Left)
			require.LessOrEqual(t, tick.X, p.Right)
			if i > 0 {
				require.GreaterOrEqual(t, tick.X-p.Ticks[i-1].X, 70.0, "%d days", past) // months differ in length
			}
		}
	}
}

func TestMarksAreOnTheLanesOfTheirVersions(t *testing.T) {
	p := timeline.Draw(timeline.Input{
		Now: day(100), Acts: []timeline.Act{act(0, "create", "active", 1), act(10, "hold", ""), superseding(20, 2, 1)},
		Versions: []timeline.Version{{1, "deactivated", day(0)}, {2, "active", day(20)}},
		Planned:  []timeline.Act{act(120, "archive", "", 1), act(130, "overdue", "", 2)},
	})
	names := func(l timeline.Lane) (out []string) {
		for _, m := range l.Marks {
			out = append(out, fmt.Sprint(m.Title, " ", m.Planned))
		}
		return out
	}
	require.Equal(t, []string{"hold false"}, names(p.Key))
	require.Equal(t, []string{"create false", "archive true"}, names(p.Lanes[0]))
	require.Equal(t, []string{"rotate false", "overdue true"}, names(p.Lanes[1]))
	require.Less(t, p.Key.Middle(), p.Lanes[0].Y)
	require.InDelta(t, p.Now, p.Lanes[0].Spans[len(p.Lanes[0].Spans)-2].X, 0.11, "what is planned begins now")
}

func TestAKeyWithoutVersionsIsAnEmptyPicture(t *testing.T) {
	p := timeline.Draw(timeline.Input{Now: day(0)})
	require.Empty(t, p.Lanes)
	require.Empty(t, p.Key.Marks)
	require.Positive(t, p.Height)
}
