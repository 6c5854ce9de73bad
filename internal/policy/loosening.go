// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"cmp"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// loosening says why the second value of a field is looser than the first one; empty: it is not. "Not looser" is a preorder: true
// of a value and itself, and of the first and the last of three where it is true of each two.
type loosening[T any] func(from, to T) (why string)

// What several fields say.
const (
	incomparable   = "which of the two is stricter cannot be told"
	rotatesLater   = "keys rotate later"
	protectsMore   = "a version protects more"
	archivedEarly  = "versions are archived earlier"
	usedForLonger  = "old versions are in use for longer"
	protectsLonger = "a version protects for longer"
)

// neutral is for fields that allow and forbid nothing.
func neutral[T any](_, _ T) string { return "" }

// anyChange is for values of which neither is stricter.
func anyChange[T any](from, to T) string {
	if (isEmpty(from) && isEmpty(to)) || reflect.DeepEqual(from, to) {
		return ""
	}
	return incomparable
}

func more[T cmp.Ordered](why string) loosening[T] {
	return func(from, to T) string { return when(to > from, why) }
}

func less[T cmp.Ordered](why string) loosening[T] {
	return func(from, to T) string { return when(to < from, why) }
}

// eitherWay is for values that take away when they are smaller, and give when they are larger.
func eitherWay[T cmp.Ordered](smaller, larger string) loosening[T] {
	return both(less[T](smaller), more[T](larger))
}

func becomes[T comparable](value T, why string) loosening[T] {
	return func(from, to T) string { return when(from != value && to == value, why) }
}

// fewer is for lists of what has to be.
func fewer[T ~string](why string) loosening[[]T] {
	return func(from, to []T) string {
		gone := slices.DeleteFunc(slices.Clone(from), func(value T) bool { return slices.Contains(to, value) })
		return when(len(gone) > 0, why+": "+strings.Join(as[string](gone), ", "))
	}
}

func both[T any](one, other loosening[T]) loosening[T] {
	return func(from, to T) string { return cmp.Or(one(from, to), other(from, to)) }
}

// by compares what a value measures.
func by[T, U any](measure func(T) U, l loosening[U]) loosening[T] {
	return func(from, to T) string { return l(measure(from), measure(to)) }
}

func when(is bool, why string) string {
	if is {
		return why
	}
	return ""
}

// The measures.

func length(s schedule.Span) time.Duration { return s.Duration }

// orEver is the length of a span of which 0 stands for ever.
func orEver(s schedule.Span) time.Duration { return orUnlimited(s.Duration) }

func orUnlimited[T ~int64](limit T) T {
	if limit == 0 {
		return math.MaxInt64
	}
	return limit
}

func isAuto(mode RotationMode) bool { return mode == Auto }

// The fields of which a value stands for something else.

func otherPattern(from, to string) string {
	return when(from != "" && from != to, incomparable)
}

func moreTypes(from, to []keytype.Type) string {
	switch {
	case len(from) == 0:
		return ""
	case len(to) == 0:
		return "any type is admitted"
	default:
		return fewer[keytype.Type]("more types")(to, from)
	}
}

func laterDates(from, to map[keytype.Type]string) string {
	for _, t := range slices.Sorted(maps.Keys(from)) {
		before, _ := denyTime(from[t])
		after, ok := denyTime(to[t])
		if !ok || after.After(before) {
			return string(t) + " gets versions for longer"
		}
	}
	return ""
}

// moreEncryptions knows that the limit by type is one of keys with random nonces, and none for others.
func moreEncryptions(from, to int64) string {
	random, other := limitsByKind(from)
	newRandom, newOther := limitsByKind(to)
	return when(newRandom > random || newOther > other, protectsMore)
}

func limitsByKind(limit int64) (random, other int64) {
	if limit == LimitByType {
		return randomNonces, math.MaxInt64
	}
	return orUnlimited(limit), orUnlimited(limit)
}

// wider compares the part of the period and the length of time of which a jitter is one.
func wider(from, to schedule.Jitter) string {
	grows := func(part func(schedule.Jitter) time.Duration) bool { return part(to) > part(from) }
	return when(grows(fixed) || grows(relative), rotatesLater)
}

func fixed(j schedule.Jitter) time.Duration    { return j.Of(0) }
func relative(j schedule.Jitter) time.Duration { return j.Of(schedule.MaxSpan) - j.Of(0) }

// longerRollback knows of a window that its author left open that it is at most a day, and above 0.
func longerRollback(from, to schedule.Span) string {
	const most = day
	why := "a version can be rolled back for longer"
	switch {
	case from.Text == "" && to.Text == "":
		return ""
	case from.Text == "":
		return when(to.Duration > 0, why)
	case to.Text == "":
		return when(from.Duration < most, why)
	default:
		return when(to.Duration > from.Duration, why)
	}
}

// longerOriginator knows of a period that its author left open that it is at least a year, and has an end.
func longerOriginator(from, to schedule.Span) string {
	const least = 365 * day
	switch {
	case from.Text == "" && to.Text == "":
		return ""
	case from.Text == "":
		return when(orEver(to) > least, protectsLonger)
	case to.Text == "":
		return when(from.Duration > 0, protectsLonger)
	default:
		return when(orEver(to) > orEver(from), protectsLonger)
	}
}

// looserApprovals names the operations that need less consent.
func looserApprovals(from, to map[acts.Gate]string) string {
	return consent.LooserRules(parsed(from), parsed(to))
}

// parsed leaves out what is no rule, and is refused as such.
func parsed(texts map[acts.Gate]string) map[acts.Gate]consent.Rule {
	rules := make(map[acts.Gate]consent.Rule, len(texts))
	for gate, text := range texts {
		if rule, err := consent.ParseRule(text); err == nil {
			rules[gate] = rule
		}
	}
	return rules
}

// fewerExclusions knows that the requester is never counted.
func fewerExclusions(from, to []consent.Exclusion) string {
	return fewer[consent.Exclusion]("counted as an approver")(from, append(slices.Clone(to), consent.ExcludeRequester))
}
