// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

// mostRatio is how much slower the slowest hundredth of encryptions may be while keys rotate.
const mostRatio = 3

const (
	pause = 3 * time.Second // without a rotation: the tick has ended
	few   = 200             // encryptions of which no 99th percentile is taken
)

// spell is a time in which a tick rotates, or one after it in which none does.
type spell struct{ begin, end time.Time }

func (s spell) has(t time.Time) bool { return !t.Before(s.begin) && t.Before(s.end) }

// spells finds when ticks rotated. A look that saw more rotations than the one before ends a time in which there were some.
func spells(looks []look) (during []spell) {
	for i := 1; i < len(looks); i++ {
		if looks[i].rotations == looks[i-1].rotations {
			continue
		}
		if n := len(during); n > 0 && looks[i-1].at.Sub(during[n-1].end) < pause {
			during[n-1].end = looks[i].at
		} else {
			during = append(during, spell{looks[i-1].at, looks[i].at})
		}
	}
	return during
}

// pair is the latencies of a time of rotations and of the peace after it, in milliseconds.
type pair struct{ during, after []float64 }

// pairs are those of each minute, of keys that rotate or of those that do not.
func (m measured) pairs(busy bool) (all []pair) {
	during := spells(m.looks)
	for i, d := range during {
		after := spell{d.end.Add(pause / 3), m.looks[len(m.looks)-1].at}
		if i+1 < len(during) {
			after.end = during[i+1].begin
		}
		var p pair
		for _, r := range m.requests {
			switch ms := float64(r.latency) / float64(time.Millisecond); {
			case r.busy != busy:
			case d.has(r.due):
				p.during = append(p.during, ms)
			case after.has(r.due):
				p.after = append(p.after, ms)
			}
		}
		if len(p.during) >= few && len(p.after) >= few {
			all = append(all, p)
		}
	}
	return all
}

var errShort = errors.New("no minute has enough encryptions with rotations and without: more keys, or a higher rate, are needed")

func (m measured) section(keys int, rate float64) (result.Section, error) {
	s := result.Section{
		Title: "A mass rotation",
		Intro: fmt.Sprintf("%s keys fall due in the same minute. Meanwhile %s encryptions come each second, half of them by %d other keys, and half by %d of those that rotate. "+
			"While a tick rotates is compared with the rest of the same minute. Latency is counted from when a request was to be sent.",
			result.Digits(float64(keys)), result.Digits(rate), quiet, busy),
		Column: "while a tick rotates",
	}
	for _, of := range []struct {
		name string
		busy bool
	}{{"other keys", false}, {"keys that rotate", true}} {
		pairs := m.pairs(of.busy)
		if len(pairs) == 0 {
			return s, errShort
		}
		s.Rows = append(s.Rows, row("p50 of encrypt, "+of.name, pairs, 0.5), row("p99 of encrypt, "+of.name, pairs, 0.99))
	}
	m.addCost(&s)
	return s, nil
}

func row(what string, pairs []pair, q float64) result.Row {
	var during, after []float64
	for _, p := range pairs {
		during = append(during, result.Quantile(p.during, q))
		after = append(after, result.Quantile(p.after, q))
	}
	b := result.Compare("the time between ticks", during, after)
	if q == 0.99 {
		b = b.AtMost(mostRatio)
	}
	return result.Row{What: what, Value: result.Median(during), Unit: "ms", Beside: []result.Beside{b}}
}

// addCost adds how long it all took.
func (m measured) addCost(s *result.Section) {
	during := spells(m.looks)
	var spent time.Duration
	for _, d := range during {
		spent += d.end.Sub(d.begin)
	}
	n := m.looks[len(m.looks)-1].rotations - m.looks[0].rotations
	s.Rows = append(s.Rows,
		result.Row{What: "rotations, while a tick rotates", Value: n / spent.Seconds(), Unit: "/s"},
		result.Row{What: "ticks that rotated", Value: float64(len(during))},
		result.Row{What: "from when the keys were due to the last rotation", Value: during[len(during)-1].end.Sub(m.due).Seconds(), Unit: "s"})
}
