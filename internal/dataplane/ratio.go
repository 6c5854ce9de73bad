// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"cmp"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// ratioOf is what the highest ratio is worked out for.
type ratioOf struct {
	policy  string
	onLimit policy.OnLimit
}

// UsageRatios returns for each policy the highest share of a limit that is leased of an active version, the highest first; what is
// beyond [observe.MaxPolicies] is one for each on_limit, of [observe.Other]. It reads nothing: it knows the versions that were
// charged since the process began, of keys and policies in memory. One that nobody charges does not come nearer to its limit.
func (p *Plane) UsageRatios() []observe.UsageRatio {
	highest := map[ratioOf]float64{}
	for id, m := range p.meters.Values() {
		name, leased := m.used()
		k, known := p.keys.Peek(name)
		if !known || k.ID != id.keyID || k.Primary != id.number {
			continue
		}
		if rules, ok := p.limited(k); ok {
			of := ratioOf{k.Policy, rules.OnLimit}
			highest[of] = max(highest[of], rules.Limits.Ratio(leased))
		}
	}
	return mostUsed(highest)
}

// limited returns the rules in force for a key whose versions have usage limits.
func (p *Plane) limited(k *lifecycle.Key) (policy.EffectiveRules, bool) {
	governing, ok := p.policies.Peek(k.Policy)
	if !ok {
		return policy.EffectiveRules{}, false
	}
	rules := k.RulesFor(governing)
	return rules, !rules.Limits.None()
}

// mostUsed names the policies with the highest ratios.
func mostUsed(highest map[ratioOf]float64) []observe.UsageRatio {
	all := make([]observe.UsageRatio, 0, len(highest))
	for of, ratio := range highest {
		all = append(all, observe.UsageRatio{Policy: of.policy, OnLimit: string(of.onLimit), Ratio: ratio})
	}
	slices.SortFunc(all, func(a, b observe.UsageRatio) int {
		return cmp.Or(cmp.Compare(b.Ratio, a.Ratio), cmp.Compare(a.Policy, b.Policy))
	})
	named := slices.Clip(all[:min(len(all), observe.MaxPolicies)])
	other := map[string]bool{}
	for _, r := range all[len(named):] { // the first of each is the highest
		if !other[r.OnLimit] {
			other[r.OnLimit] = true
			named = append(named, observe.UsageRatio{Policy: observe.Other, OnLimit: r.OnLimit, Ratio: r.Ratio})
		}
	}
	return named
}
