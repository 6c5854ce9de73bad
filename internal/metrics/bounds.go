// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package metrics

import (
	"cmp"
	"maps"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// Names may have 1,024 bytes. Those of the keys with an alert have together what keyBytes is at most, and those of the
// policies of one metric what policyBytes is, so that a scrape stays below [MostBytes].
const (
	keyBytes    = 8 << 10
	policyBytes = 4 << 10
	mostKinds   = 32 // of keys, by type and state
	mostRules   = 8  // of consent
)

// fitting returns how many of the names fit.
func fitting[T any](all []T, most, bytes int, name func(T) string) int {
	for i, one := range all {
		if bytes -= len(name(one)); i == most || bytes < 0 {
			return i
		}
	}
	return len(all)
}

// shownAlerts are the alerts that have a series, the oldest first.
func shownAlerts(m Mount) []observe.Alert {
	all := m.Board.Rotation.Get().Alerts
	return all[:fitting(all, observe.MaxAlerts, keyBytes, func(a observe.Alert) string { return a.Key })]
}

// shownKeys is how many keys there are of a type in a state, and of the types that have no series.
func shownKeys(m Mount) map[observe.TypeState]int {
	keys := m.Board.Census.Get().Keys
	kinds := slices.SortedFunc(maps.Keys(keys), func(a, b observe.TypeState) int {
		return cmp.Or(cmp.Compare(keys[b], keys[a]), cmp.Compare(a.Type, b.Type), cmp.Compare(a.State, b.State))
	})
	shown := map[observe.TypeState]int{}
	for i, kind := range kinds {
		if i < mostKinds {
			shown[kind] += keys[kind]
		} else {
			shown[observe.TypeState{Type: observe.Other, State: kind.State}] += keys[kind]
		}
	}
	return shown
}

// shownApprovers are the rules that lack people first.
func shownApprovers(m Mount) []observe.Approvers {
	all := slices.Clone(m.Board.Governance.Get().Approvers)
	slices.SortStableFunc(all, func(a, b observe.Approvers) int { return cmp.Compare(a.Able-a.Needed, b.Able-b.Needed) })
	return all[:fitting(all, mostRules, policyBytes, func(a observe.Approvers) string { return a.Rule })]
}

// shownDrift is how many keys drift by policy, those with few together as [observe.Other].
func shownDrift(m Mount) map[string]int {
	drifting := m.Board.Census.Get().Drifting
	all := make([]observe.Named[int], 0, len(drifting))
	shown := map[string]int{}
	for policy, n := range drifting {
		if policy == observe.Other {
			shown[observe.Other] = n
		} else {
			all = append(all, observe.Named[int]{Name: policy, Of: n})
		}
	}
	slices.SortFunc(all, func(a, b observe.Named[int]) int {
		return cmp.Or(cmp.Compare(b.Of, a.Of), cmp.Compare(a.Name, b.Name))
	})
	fit := fitting(all, observe.MaxPolicies, policyBytes, func(n observe.Named[int]) string { return n.Name })
	for i, one := range all {
		if i < fit {
			shown[one.Name] = one.Of
		} else {
			shown[observe.Other] += one.Of
		}
	}
	return shown
}

// shownUsage are the ratios of the policies with the highest ones; what the others come to is that of [observe.Other].
func shownUsage(m Mount) []observe.UsageRatio {
	all := slices.Clone(m.Board.Usage.Get())
	slices.SortFunc(all, func(a, b observe.UsageRatio) int {
		return cmp.Or(cmp.Compare(b.Ratio, a.Ratio), cmp.Compare(a.Policy, b.Policy), cmp.Compare(a.OnLimit, b.OnLimit))
	})
	fit := fitting(all, observe.MaxPolicies, policyBytes, func(u observe.UsageRatio) string { return u.Policy })
	shown := all[:fit:fit]
	others := map[string]bool{} // the first of each on_limit is the highest
	for _, u := range shown {
		if u.Policy == observe.Other {
			others[u.OnLimit] = true
		}
	}
	for _, u := range all[fit:] {
		if !others[u.OnLimit] {
			others[u.OnLimit] = true
			shown = append(shown, observe.UsageRatio{Policy: observe.Other, OnLimit: u.OnLimit, Ratio: u.Ratio})
		}
	}
	return shown
}
