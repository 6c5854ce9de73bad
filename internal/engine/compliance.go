// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/report"
)

// This file gathers what stands, for a compliance report. It writes nothing, and reads past the caches as a plan does.

// UnderTag is what a tag names: policies, and a page of the keys that are bound to them.
type UnderTag struct {
	Policies []report.Policy
	Keys     []report.Key
	Next     string
}

// UnderTag returns the policies whose compliance is for the tag, with a page of their keys. The error is refusal.ErrInvalid where
// there is none, and that of a policy that cannot be read: nobody can tell what it is for.
func (s Policies) UnderTag(ctx context.Context, tag string, page Page) (under UnderTag, err error) {
	ruling, err := s.tagged(ctx, tag)
	if err != nil {
		return UnderTag{}, err
	}
	var bound []string
	for _, name := range slices.Sorted(maps.Keys(ruling)) {
		under.Policies = append(under.Policies, policyFacts(ruling[name]))
		names, err := s.store.Policies.BoundKeys(ctx, name)
		if err != nil {
			return UnderTag{}, err
		}
		bound = append(bound, names...)
	}
	slices.Sort(bound)
	names, next := page.of(slices.Compact(bound)) // a key that moves is in the index of two policies
	under.Next = next
	wrapped := s.protection()
	for _, name := range names {
		k, err := s.store.Keys.Key(ctx, name)
		rules := ruling[k.Policy]
		if errors.Is(err, refusal.ErrNotFound) || (err == nil && rules == nil) {
			continue
		}
		if err != nil {
			return UnderTag{}, err
		}
		facts, err := s.keyFacts(ctx, k, rules, wrapped)
		if err != nil {
			return UnderTag{}, err
		}
		under.Keys = append(under.Keys, facts)
	}
	return under, nil
}

// tagged returns the policies in force whose compliance is for the tag, by name.
func (s Policies) tagged(ctx context.Context, tag string) (map[string]*policy.Policy, error) {
	names, err := s.store.Policies.PolicyNames(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]*policy.Policy{}
	for _, name := range names {
		p, err := s.store.Policies.Policy(ctx, name)
		switch {
		case errors.Is(err, refusal.ErrNotFound): // it was deleted meanwhile
		case err != nil:
			return nil, err
		case report.Covers(p.Compliance, tag):
			found[name] = &p
		}
	}
	if len(found) == 0 {
		return nil, refusal.InvalidField("tag", tag, "no policy has it in its compliance, or a tag below or above it")
	}
	return found, nil
}

func policyFacts(p *policy.Policy) report.Policy {
	types := make([]string, len(p.AllowedTypes))
	for i, t := range p.AllowedTypes {
		types[i] = string(t)
	}
	return report.Policy{
		Name: p.Name, Hash: p.Hash, Revision: p.Revision, Created: p.Created, Compliance: slices.Clone(p.Compliance), Owner: p.Owner,
		Description: p.Description, AllowedTypes: types, MinStrength: p.MinStrengthBits, Cryptoperiod: p.OriginatorUsage(),
		RotationMode: string(p.RotationMode), RequireReason: slices.Clone(p.RequireReason),
	}
}

func (s Policies) keyFacts(ctx context.Context, k lifecycle.Key, p *policy.Policy, wrapped *protection) (report.Key, error) {
	leased, err := s.data.LeasedUnder(ctx, k, p)
	if err != nil {
		return report.Key{}, err
	}
	status, err := s.policyStatus(ctx, k, p, leased, wrapped)
	if err != nil {
		return report.Key{}, err
	}
	unsafe, err := wrapped.unsafe(ctx, k)
	if err != nil {
		return report.Key{}, err
	}
	rules := k.RulesFor(p)
	f := report.Key{
		Name: k.Name, ID: k.ID, Policy: k.Policy, Owner: k.Owner, Labels: maps.Clone(k.Labels), State: k.Status.State.String(),
		Type: string(lifecycle.TypesOf(&k).Active()), MinStrength: p.MinStrengthBits, Encrypts: lifecycle.TypesOf(&k).Active().SupportsEncryption(),
		Resident: k.Protection == lifecycle.Resident, HSMRequired: p.HSM == policy.Required, Unprotected: unsafe,
		Exportable: k.Exportable, Backup: k.AllowPlaintextBackup, Imported: k.Imported, Deletable: k.DeletionAllowed, LegalHold: k.Hold,
		Versions: k.Latest, Cryptoperiod: rules.OriginatorPeriod, RotationStatus: string(status.Plan.Status), NextRotation: status.Plan.Next,
		Encryptions: leased.Encryptions, Bytes: leased.Bytes, MaxEncryptions: rules.Limits.Encryptions, MaxBytes: rules.Limits.Bytes,
	}
	for _, finding := range status.Findings {
		f.Findings = append(f.Findings, report.Finding(finding))
	}
	addStrengths(&f, &k)
	return f, s.addTimes(ctx, &f, k)
}

// addStrengths adds what the types of the versions are worth that are not destroyed.
func addStrengths(f *report.Key, k *lifecycle.Key) {
	for n := 1; n <= k.Latest; n++ {
		if k.IsDestroyed(n) {
			f.Destroyed++
			continue
		}
		bits := lifecycle.TypesOf(k).Of(n).StrengthBits()
		f.MaxBits = max(f.MaxBits, bits)
		if f.Bits == 0 || bits < f.Bits {
			f.Bits = bits
		}
	}
}

// mostDated is how many of the newest versions of a key a report looks at one by one.
const mostDated = 512

// addTimes adds when versions protected, what was reported of them, and what was denied.
func (s Policies) addTimes(ctx context.Context, f *report.Key, k lifecycle.Key) error {
	from := max(1, k.Latest-mostDated+1)
	dates, err := s.store.Versions.Dates(ctx, k, from)
	if err != nil {
		return err
	}
	f.Uses = uses(k, dates, from)
	reports, replacement := lifecycle.Reports(k)
	for _, r := range reports {
		c := report.Compromise{Version: r.Version, Code: r.Code, Reported: r.Reported, ReplacedBy: replacement}
		if replacement > r.Version {
			c.Replaced = dates[replacement]
		}
		f.Compromises = append(f.Compromises, c)
	}
	denied, err := s.data.DeniedUsesOf(ctx, k, lifecycle.Range{From: from, To: k.Latest})
	for _, d := range denied {
		f.Denied += int64(d.Count)
	}
	return err
}

// uses returns when versions protected: from when they were made, or promoted, to when the next one was. What was rolled back from
// protected for less, and one that lapsed or was stopped until a time that is not known; they are left out.
func uses(k lifecycle.Key, dates map[int]time.Time, from int) (all []report.Use) {
	for n := from; n <= k.Latest; n++ {
		u := report.Use{Version: n, From: dates[n]}
		next := dates[n+1]
		switch {
		case n == k.Staged, k.Primary != 0 && n > k.Primary:
			continue
		case lifecycle.IsActive(&k, n):
		case n+1 > k.Latest, n+1 == k.Staged, next.IsZero():
			continue
		default:
			u.Until = next
		}
		all = append(all, u)
	}
	return all
}
