// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import "time"

// EffectiveRules are the rules of a policy that bear on states; for a key without a policy, those of Transit.
type EffectiveRules struct {
	PinnedEncrypt         bool // Deactivated versions protect for callers who name them
	ErasePrivateKey       bool // what only signs keeps its public half alone once it signs never again
	SuspendedProcessing   bool
	CompromisedProcessing bool
	StagingTime           time.Duration
	RollbackWindow        time.Duration // after a promotion; 0: no rollback; [Unlimited]: whenever
	ArchiveAfter          time.Duration // after deactivation, by archive_after or recipient_period; 0: not by the clock
	RetireAfter           time.Duration // after archiving; 0: not by the clock
	QuietPeriod           time.Duration // without denied uses, before a version may be retired
	DestroyDelay          time.Duration
	MinVersionsKept       int
	OriginatorPeriod      time.Duration // 0: none; see Lapse in package lifecycle
	Lapses                bool          // at its end the active version stops to protect: no automation rotates the key
	Limits                Limits        // of what one version protects
	OnLimit               OnLimit
	longerQuiet           LongerQuietPeriod
}

// Unlimited is the rollback window that never ends.
const Unlimited time.Duration = -1

// QuietUntil returns when the quiet period is over of a version that is out of use since then, and of which a use was
// last denied; zero: never. One that ran when a revision shortened it runs on, also where a later denial hides the one
// that it ran for.
func (t EffectiveRules) QuietUntil(since, denied time.Time) time.Time {
	began := laterOf(since, denied)
	quiet := began.Add(t.QuietPeriod)
	if before := t.longerQuiet.Before; since.Before(before) {
		if began.Before(before) {
			before = began
		}
		return laterOf(quiet, before.Add(t.longerQuiet.Quiet))
	}
	return quiet
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// ungoverned are the rules of a key without a policy: Transit's where Transit has an answer.
var ungoverned = EffectiveRules{PinnedEncrypt: true, CompromisedProcessing: true, RollbackWindow: Unlimited, DestroyDelay: 30 * day}

// strict are the rules of a key whose policy is missing, or cannot be read.
var strict = EffectiveRules{QuietPeriod: 14 * day, DestroyDelay: 30 * day, MinVersionsKept: 2}

// RulesFor returns the rules for a key that names a policy, if governed, and for one that does not. The policy is nil where
// none governs the key. A key whose policy is missing, or cannot be read, gets strict ones.
func RulesFor(p *Policy, governed bool, k Attributes) EffectiveRules {
	switch {
	case p != nil:
		return p.effectiveRules(k)
	case governed:
		return strict
	default:
		return ungoverned
	}
}

func (p *Policy) effectiveRules(k Attributes) EffectiveRules {
	return EffectiveRules{
		PinnedEncrypt:         p.AllowPinnedEncrypt,
		ErasePrivateKey:       p.ErasePrivateKey,
		SuspendedProcessing:   p.SuspendedProcessing == Allow,
		CompromisedProcessing: p.CompromisedProcessing == Allow,
		StagingTime:           p.StagingTime.Duration,
		RollbackWindow:        p.rollbackWindow(),
		ArchiveAfter:          p.archiveAfter(),
		RetireAfter:           p.RetireAfter.Duration,
		QuietPeriod:           p.QuietPeriod.Duration,
		DestroyDelay:          p.DestroyDelay.Duration,
		MinVersionsKept:       p.MinVersionsKept,
		OriginatorPeriod:      p.OriginatorUsage(),
		Lapses:                p.RotationMode != Auto,
		Limits:                p.limits(k),
		OnLimit:               p.OnLimit,
		longerQuiet:           p.LongerQuiet,
	}
}

// archiveAfter is when a version is archived after its deactivation: at the latest when its recipient period ends.
func (d *Document) archiveAfter() time.Duration {
	if d.ArchiveAfter.Duration > 0 {
		return d.ArchiveAfter.Duration
	}
	return d.RecipientPeriod.Duration
}
