// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"cmp"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// Edit returns the document with the fields given, by their names, as plain values of their kinds. What is not given stays.
// The error is [refusal.ErrInvalid] and names the first field that cannot be read, kind by kind, in the order of names.
func (d Document) Edit(given map[string]any) (Document, error) {
	next := d
	for _, f := range byKindAndName {
		if value, ok := given[f.Name]; ok {
			if err := f.Set(&next, value); err != nil {
				return d, err
			}
		}
	}
	return next.withOneRecurrence(given), nil
}

var byKindAndName = slices.SortedFunc(slices.Values(fields), func(a, b Field) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
})

// withOneRecurrence drops the schedule or the period where only the other one is given: a key has one of them.
func (d Document) withOneRecurrence(given map[string]any) Document {
	period, schedules := given["rotation_period"], given["rotation_schedule"]
	switch {
	case schedules != nil && d.RotationSchedule != "" && period == nil:
		d.RotationPeriod = schedule.Span{Text: "0"}
	case period != nil && d.RotationPeriod.Duration != 0 && schedules == nil:
		d.RotationSchedule = ""
	}
	return d
}
