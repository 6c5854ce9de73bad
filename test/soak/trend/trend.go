// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package trend tells whether a figure that was sampled over time stays where it is. What is sampled goes up and down: a heap
// between two collections, a machine that has something else to do. So the samples are divided into windows of equal
// length, of which each is its median; a line is laid through these by Theil and Sen's estimator, the median of the slopes
// between all pairs, which up to 29 % of the windows do not move however far they lie; and what is judged is how far that line rises or
// falls from its begin to its end.
package trend

import (
	"errors"
	"math"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

// Point is a sample.
type Point struct {
	At    float64 // seconds from any begin
	Value float64
}

// Line is what a figure does over time.
type Line struct {
	Begin, End float64 // of the line, at the first and at the last sample
	Low, High  float64 // End for the lower and the upper quartile of the slopes
	Seconds    float64 // between them
}

// windows is how many there are; a trend takes so many samples in each.
const (
	windows = 12
	atLeast = 3
)

// ErrFew says that there are not enough samples to tell.
var ErrFew = errors.New("too few samples: a trend takes 3 in each of 12 windows")

// Of lays a line through samples, which come in the order of time. The error is [ErrFew].
func Of(samples []Point) (Line, error) {
	medians, err := divide(samples)
	if err != nil {
		return Line{}, err
	}
	slopes := slopes(medians)
	slope := result.Median(slopes)
	var levels []float64
	for _, m := range medians {
		levels = append(levels, m.Value-slope*m.At)
	}
	level := result.Median(levels)
	first, last := samples[0].At, samples[len(samples)-1].At
	begin := level + slope*first
	return Line{
		Begin: begin, End: level + slope*last, Seconds: last - first,
		Low: begin + result.Quantile(slopes, 0.25)*(last-first), High: begin + result.Quantile(slopes, 0.75)*(last-first),
	}, nil
}

// divide returns the median of each window, in time and in value.
func divide(samples []Point) ([]Point, error) {
	if len(samples) < windows*atLeast {
		return nil, ErrFew
	}
	first := samples[0].At
	length := (samples[len(samples)-1].At - first) / windows
	if length <= 0 {
		return nil, ErrFew
	}
	at, values := make([][]float64, windows), make([][]float64, windows)
	for _, s := range samples {
		w := min(int((s.At-first)/length), windows-1)
		at[w], values[w] = append(at[w], s.At), append(values[w], s.Value)
	}
	medians := make([]Point, windows)
	for w := range medians {
		if len(values[w]) < atLeast {
			return nil, ErrFew
		}
		medians[w] = Point{result.Median(at[w]), result.Median(values[w])}
	}
	return medians, nil
}

// slopes are those between all pairs.
func slopes(points []Point) (all []float64) {
	for i, a := range points {
		for _, b := range points[i+1:] {
			all = append(all, (b.Value-a.Value)/(b.At-a.At))
		}
	}
	return all
}

// Change is how far the line rises; negative: it falls.
func (l Line) Change() float64 { return l.End - l.Begin }

// Bound is how far a line may rise, or fall, and count as flat: what is more of a share of its begin and of an amount.
type Bound struct{ Share, Amount float64 }

func (b Bound) of(begin float64) float64 { return max(b.Share*math.Abs(begin), b.Amount) }

// Rises tells whether the line rises further than it may.
func (l Line) Rises(b Bound) bool { return l.Change() > b.of(l.Begin) }

// Falls tells whether the line falls further than it may.
func (l Line) Falls(b Bound) bool { return -l.Change() > b.of(l.Begin) }
