// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package timeline

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Lengths, in units of the drawing.
const (
	Width   = 1000.0
	gutter  = 52.0 // for the names of lanes
	right   = 988.0
	top     = 26.0 // for the dates
	lane    = 30.0 // so far apart are the tops of bars: the pattern of what is destroyed counts on it
	Bar     = 18.0
	label   = 76.0 // a span below it is too short for its name
	most    = 14   // lanes; the newest are drawn
	closest = 84.0 // between two dates
)

// Input is what is known of a key. Acts and planned ones are in the order of their time.
type Input struct {
	Now      time.Time
	Acts     []Act
	Versions []Version
	Planned  []Act
}

// Picture is what to draw. Older is how many versions have no lane.
type Picture struct {
	Width, Height, Bar  float64
	Left, Right, Bottom float64
	Now                 float64
	Lanes               []Lane
	Key                 Lane // acts on the whole key
	Ticks               []Tick
	States              []string // those that are drawn, for the legend
	Older               int
	Beyond              int // planned acts that are later than the picture
}

// Lane is a version. Y is the top of its bar.
type Lane struct {
	Number int
	Y      float64
	Spans  []Span
	Marks  []Mark
}

// Middle is where marks are.
func (l Lane) Middle() float64 { return l.Y + Bar/2 }

// Text is where the baseline of a name is.
func (l Lane) Text() float64 { return l.Y + Bar/2 + 4 }

// Span is a time in a state.
type Span struct {
	X, Length float64
	State     string
	Planned   bool
	From, To  time.Time
}

// Named reports whether there is room for the name of the state.
func (s Span) Named() bool { return s.Length >= label }

// TextX is where the name begins.
func (s Span) TextX() float64 { return s.X + 7 }

// Mark is an act.
type Mark struct {
	X            float64
	Title        string
	Planned      bool
	Irreversible bool
}

// Tick is a date on the axis.
type Tick struct {
	X    float64
	Text string
}

// Draw works out the picture. It depends on nothing but its input.
func Draw(in Input) Picture {
	l := newLife()
	last := in.Now
	for _, a := range in.Acts {
		l.apply(a)
		last = a.At
	}
	l.agree(in.Versions, last)
	s := scaleOf(in)
	picture := Picture{Width: Width, Bar: Bar, Left: gutter, Right: right, Now: s.x(in.Now)}
	for _, a := range in.Planned {
		if a.At.After(s.end) {
			picture.Beyond++
			continue
		}
		l.apply(l.will(a))
	}
	picture.lay(l, s, in)
	picture.Ticks = s.ticks()
	return picture
}

func (p *Picture) lay(l *life, s scale, in Input) {
	numbers := slices.Sorted(maps.Keys(l.lanes))
	if p.Older = max(0, len(numbers)-most); p.Older > 0 {
		numbers = numbers[p.Older:]
	}
	p.Key = Lane{Y: top, Marks: s.marks(in, func(a Act) bool { return len(a.Versions) == 0 })}
	y := top
	if len(p.Key.Marks) > 0 {
		y += lane
	}
	seen := map[string]bool{}
	for _, number := range numbers {
		one := Lane{Number: number, Y: y, Spans: s.spans(l.lanes[number], in.Now)}
		one.Marks = s.marks(in, func(a Act) bool { return slices.Contains(a.Versions, number) })
		for _, span := range one.Spans {
			seen[span.State] = true
		}
		p.Lanes = append(p.Lanes, one)
		y += lane
	}
	for _, state := range States {
		if seen[state] {
			p.States = append(p.States, state)
		}
	}
	p.Bottom = y
	p.Height = y + 8
}

// States are those of versions, in the order of a life.
var States = []string{"pre_active", "active", "deactivated", "suspended", "archived", "compromised", "retired", "destroyed"}

// scale puts times on the axis.
type scale struct{ begin, end time.Time }

// scaleOf shows all of the past of the lanes, and of the future as much again, or a month, or what is planned where that is less.
func scaleOf(in Input) scale {
	s := scale{begin: in.Now, end: in.Now}
	for _, v := range newest(in.Versions) {
		if v.Created.Before(s.begin) {
			s.begin = v.Created
		}
	}
	const month = 30 * 24 * time.Hour
	past := s.end.Sub(s.begin)
	horizon := in.Now.Add(max(past, month))
	for _, a := range in.Planned {
		if !a.At.After(horizon) && a.At.After(s.end) {
			s.end = a.At
		}
	}
	s.end = s.end.Add(max(s.end.Sub(s.begin)/16, 12*time.Hour))
	return s
}

// newest are the versions that have lanes.
func newest(versions []Version) []Version {
	sorted := slices.SortedFunc(slices.Values(versions), func(a, b Version) int { return a.Number - b.Number })
	return sorted[max(0, len(sorted)-most):]
}

func (s scale) x(t time.Time) float64 {
	part := float64(t.Sub(s.begin)) / float64(s.end.Sub(s.begin))
	return round(gutter + min(max(part, 0), 1)*(right-gutter))
}

func round(x float64) float64 { return math.Round(x*10) / 10 }

// spans are the times between changes. One that reaches over now is two: what was, and what is planned to go on.
func (s scale) spans(changes []change, now time.Time) (spans []Span) {
	for i, c := range changes {
		until := s.end
		if i+1 < len(changes) {
			until = changes[i+1].at
		}
		spans = s.add(spans, Span{State: c.state, From: c.at, To: earlier(until, now)})
		spans = s.add(spans, Span{State: c.state, From: later(c.at, now), To: until, Planned: true})
	}
	return spans
}

// add leaves out what has no length: a span that is over, or has yet to begin.
func (s scale) add(spans []Span, span Span) []Span {
	span.X = s.x(span.From)
	if span.Length = round(s.x(span.To) - span.X); span.Length <= 0 {
		return spans
	}
	return append(spans, span)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// marks are the acts of a lane that the picture shows.
func (s scale) marks(in Input, of func(Act) bool) (marks []Mark) {
	for _, a := range in.Acts {
		if of(a) && !a.At.Before(s.begin) {
			marks = append(marks, Mark{X: s.x(a.At), Title: a.Title, Irreversible: a.Irreversible})
		}
	}
	for _, a := range in.Planned {
		if of(a) && !a.At.After(s.end) {
			marks = append(marks, Mark{X: s.x(a.At), Title: a.Title, Irreversible: a.Irreversible, Planned: true})
		}
	}
	return marks
}
