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

// usage is how much of its limits a version has used up.
type usage struct {
	of    ratioOf
	ratio float64 // leased to allowed; zero: it had no lease
	past  bool    // it is not the active version any more
}

// ratioOf is what the highest ratio is worked out for.
type ratioOf struct {
	policy  string
	onLimit policy.OnLimit
}

// leased notes what of the version of the key is leased in all.
func (m *meter) leased(k Governed, in policy.Usage) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.usage.of, m.usage.ratio = ratioOf{k.Policy, k.Rules.OnLimit}, k.Rules.Limits.Ratio(in)
}

func (m *meter) setPast(past bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.usage.past = past
}

func (m *meter) used() usage {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.usage
}

// ActiveChanged notes that a key has another active version; nil: there was, or is, none. Only active versions use up their limits. The
// meter of the one before stays for requests that began with it; older ones go, and with a key all of them.
func (p *Plane) ActiveChanged(was, is *lifecycle.Key) {
	if was != nil && is != nil && was.ID == is.ID && was.Primary == is.Primary {
		return
	}
	switch {
	case was == nil:
	case is == nil || is.ID != was.ID:
		p.meters.DropGroup(was.ID)
	default:
		p.meters.DropGroup(was.ID, versionID{was.ID, was.Primary}, versionID{is.ID, is.Primary})
	}
	for _, k := range []*lifecycle.Key{was, is} {
		if k == nil {
			continue
		}
		if m, ok := p.meters.Peek(versionID{k.ID, k.Primary}); ok {
			m.setPast(k == was)
		}
	}
}

// UsageRatios returns for each policy the highest share of a limit that is leased of an active version, the highest first; what is
// beyond [observe.MaxPolicies] is one for each on_limit, of [observe.Other]. It reads nothing: it knows the versions that were
// charged since the process began. One that nobody charges comes no nearer to its limit.
func (p *Plane) UsageRatios() []observe.UsageRatio {
	highest := map[ratioOf]float64{}
	for _, m := range p.meters.Values() {
		if u := m.used(); u.ratio > 0 && !u.past {
			highest[u.of] = max(highest[u.of], u.ratio)
		}
	}
	return mostUsed(highest)
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
