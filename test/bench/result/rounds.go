// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package result

import (
	"math"
	"slices"
)

// Compare sets figures beside others of the same rounds: ratios are taken within each round, because what disturbs a machine
// disturbs all that is measured then. It panics where the rounds differ in number or there is none.
func Compare(name string, own, others []float64) Beside {
	if len(own) != len(others) || len(own) == 0 {
		panic("internal error: figures of different rounds are compared")
	}
	ratios := make([]float64, len(own))
	for i := range own {
		ratios[i] = own[i] / others[i]
	}
	b := Beside{Name: name, Value: Median(others), Ratio: Median(ratios)}
	if len(ratios) > 1 {
		b.Low, b.High = Quantile(ratios, 0.25), Quantile(ratios, 0.75)
	}
	return b
}

// Median is the one in the middle, or the mean of the two that are.
func Median(figures []float64) float64 { return Quantile(figures, 0.5) }

// Quantile is the figure below which a share q of the others lies, 0 to 1, interpolated between neighbours (Hyndman and Fan's
// definition 7). Of no figure it is not a number.
func Quantile(figures []float64, q float64) float64 {
	if len(figures) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(figures))
	at := q * float64(len(sorted)-1)
	below := int(math.Floor(at))
	above := min(below+1, len(sorted)-1)
	return sorted[below] + (at-float64(below))*(sorted[above]-sorted[below])
}
