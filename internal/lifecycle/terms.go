// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "time"

// Terms are the rules of a policy that bear on states; for a key without a policy, those of Transit.
type Terms struct {
	PinnedEncrypt         bool // Deactivated versions protect for callers who name them
	SuspendedProcessing   bool
	CompromisedProcessing bool
	StagingTime           time.Duration
	RollbackWindow        time.Duration // after a promotion; 0: no rollback; [Unlimited]: whenever
	ArchiveAfter          time.Duration // after deactivation, by archive_after or recipient_period; 0: not by the clock
	RetireAfter           time.Duration // after archiving; 0: not by the clock
	QuietPeriod           time.Duration // without denied uses, before a version may be retired
	DestroyDelay          time.Duration
	MinVersionsKept       int
	OriginatorPeriod      time.Duration // 0: none; see [Op] Lapse
	Lapses                bool          // at its end the active version stops to protect: no automation rotates the key
	Limits                Limits        // of what one version protects
	OnLimit               OnLimit
	looser                Looser
}

// Unlimited is the rollback window that never ends.
const Unlimited time.Duration = -1

// QuietUntil returns when the quiet period is over of a version that is out of use since then, and of which a use was
// last denied; zero: never. One that ran when a revision shortened it runs on, also where a later denial hides the one
// that it ran for.
func (t Terms) QuietUntil(since, denied time.Time) time.Time {
	began := laterOf(since, denied)
	quiet := began.Add(t.QuietPeriod)
	if before := t.looser.Before; since.Before(before) {
		if began.Before(before) {
			before = began
		}
		return laterOf(quiet, before.Add(t.looser.Quiet))
	}
	return quiet
}

// ungoverned are the terms of a key without a policy: Transit's where Transit has an answer.
var ungoverned = Terms{PinnedEncrypt: true, CompromisedProcessing: true, RollbackWindow: Unlimited, DestroyDelay: 30 * 24 * time.Hour}

// TermsOf returns the terms for a key. The policy is nil where none governs the key. A key whose policy is missing, or
// cannot be read, gets strict ones.
func (k Key) TermsOf(p *Policy) Terms {
	switch {
	case p != nil:
		return p.terms(k)
	case k.Policy != "":
		return Terms{QuietPeriod: 14 * 24 * time.Hour, DestroyDelay: 30 * 24 * time.Hour, MinVersionsKept: 2}
	default:
		return ungoverned
	}
}

func (p *Policy) terms(k Key) Terms {
	return Terms{
		PinnedEncrypt:         p.AllowPinnedEncrypt,
		SuspendedProcessing:   p.SuspendedProcessing == Allow,
		CompromisedProcessing: p.CompromisedProcessing == Allow,
		StagingTime:           p.StagingTime.Duration,
		RollbackWindow:        p.rollbackWindow(),
		ArchiveAfter:          p.archiveAfter(),
		RetireAfter:           p.RetireAfter.Duration,
		QuietPeriod:           p.QuietPeriod.Duration,
		DestroyDelay:          p.DestroyDelay.Duration,
		MinVersionsKept:       p.MinVersionsKept,
		OriginatorPeriod:      p.originatorPeriod(),
		Lapses:                p.RotationMode != Auto,
		Limits:                p.limits(k),
		OnLimit:               p.OnLimit,
		looser:                p.Looser,
	}
}

// archiveAfter is when a version is archived after its deactivation: at the latest when its recipient period ends.
func (p *Policy) archiveAfter() time.Duration {
	if p.ArchiveAfter.Duration > 0 {
		return p.ArchiveAfter.Duration
	}
	return p.RecipientPeriod.Duration
}
