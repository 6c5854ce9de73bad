// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// This file holds the rules for lengths of time and between them, and the ones in force where its author named none.

const day = 24 * time.Hour

// rollbackWindow is the window in force: where the author named none, a day, or a quarter of the
// rotation or originator period if that is less.
func (p *Policy) rollbackWindow() time.Duration {
	if p.RollbackWindow.Text != "" {
		return p.RollbackWindow.Duration
	}
	window := 24 * time.Hour
	if shortest, _ := p.periods(); shortest > 0 {
		window = min(window, shortest/4)
	}
	if p.OriginatorPeriod.Duration > 0 {
		window = min(window, p.OriginatorPeriod.Duration/4)
	}
	return window
}

// OriginatorUsage is the originator-usage period in force, after which a version protects no longer: where the author named none, a
// year or the longest that the rotation leaves a version active.
func (p *Policy) OriginatorUsage() time.Duration {
	if p.OriginatorPeriod.Text != "" {
		return p.OriginatorPeriod.Duration
	}
	const year = 365 * 24 * time.Hour
	return max(year, p.longestActive())
}

// periods returns the shortest and the longest time between two slots of the schedule; 0: there is none.
func (p *Policy) periods() (shortest, longest time.Duration) {
	if p.schedule.IsZero() {
		return p.RotationPeriod.Duration, p.RotationPeriod.Duration
	}
	return p.shortest, p.longest
}

// TickLate is how long before a window closes nothing is planned any more: a tick comes once a minute, and may be busy.
const TickLate = 5 * time.Minute

// longestActive returns how long the schedule leaves a version active at most: until the next slot, put off by jitter,
// while the window is closed or a blackout is on, and by a jitter inside it; and until its successor, staged then, is promoted in a window.
func (p *Policy) longestActive() time.Duration {
	_, longest := p.periods()
	if longest == 0 {
		return 0
	}
	jitter := p.RotationJitter.Of(longest)
	active := longest + jitter + p.StagingTime.Duration
	if p.closed > 0 {
		spread := jitter
		if p.RotationWindow != "" {
			spread = min(jitter, p.window.Length/2)
		}
		active += p.closed + TickLate + spread
		if p.StagingTime.Duration > 0 {
			active += p.closed
		}
	}
	return active
}

// checkTimes holds the rules between lengths of time.
func (p *Policy) checkTimes() error {
	shortest, longest := p.periods()
	rollback, staging, originator := p.rollbackWindow(), p.StagingTime.Duration, p.OriginatorUsage()
	switch {
	case p.RotationJitter.Of(shortest) > shortest/(100/schedule.MaxJitterPercent):
		return refusal.InvalidField("rotation_jitter", p.RotationJitter.Text, "must be at most 25% of the rotation period, which is "+schedule.DurationText(shortest))
	case shortest > 0 && staging+rollback >= shortest:
		return refusal.InvalidField("staging_time", p.StagingTime.Text, "staging_time and rollback_window ("+schedule.DurationText(rollback)+") must together be shorter than the rotation period, which is "+schedule.DurationText(shortest))
	case originator == 0:
	case originator <= staging+rollback:
		return refusal.InvalidField("originator_period", p.OriginatorPeriod.Text, "must be 0 or longer than staging_time and rollback_window, together "+schedule.DurationText(staging+rollback))
	case longest > 0 && originator < p.longestActive():
		return refusal.InvalidField("originator_period", p.OriginatorPeriod.Text, "must be 0 or at least the rotation period with its jitter, staging_time and the time that "+p.closedBy()+", together "+schedule.DurationText(p.longestActive()))
	}
	return p.checkEnds(rollback)
}

// closedBy names what keeps the clock from rotating.
func (d *Document) closedBy() string {
	if len(d.RotationBlackout) > 0 {
		return "rotation_window or rotation_blackout keeps the clock from it"
	}
	return "rotation_window is closed"
}

// checkEnds holds the rules between what is rolled back, archived and the end of the recipient period.
func (d *Document) checkEnds(rollback time.Duration) error {
	archive, recipient := d.ArchiveAfter.Duration, d.RecipientPeriod.Duration
	switch {
	case archive > 0 && archive < rollback:
		return refusal.InvalidField("archive_after", d.ArchiveAfter.Text, "must be 0 or at least rollback_window, which is "+schedule.DurationText(rollback))
	case archive > 0 && recipient > 0 && archive > recipient:
		return refusal.InvalidField("archive_after", d.ArchiveAfter.Text, "must be at most recipient_period, which is "+d.RecipientPeriod.Text)
	case recipient > 0 && recipient < rollback:
		return refusal.InvalidField("recipient_period", d.RecipientPeriod.Text, "must be 0 or at least rollback_window, which is "+schedule.DurationText(rollback))
	}
	return nil
}

func rotationPeriodRule(field string, period schedule.Span, d *Document) error {
	switch {
	case period.Duration != 0 && period.Duration < time.Minute:
		return refusal.InvalidField(field, period.Text, "must be 0 (no rotation) or at least 1m")
	case period.Duration != 0 && d.RotationSchedule != "":
		return refusal.InvalidField("rotation_schedule", d.RotationSchedule, "excludes rotation_period, which is "+period.Text+"; set that to 0")
	}
	return nil
}

func windowLengthRule(field string, length schedule.Span, d *Document) error {
	if d.RotationWindow != "" && length.Duration < time.Hour {
		return refusal.InvalidField(field, length.Text, "must be at least 1h")
	}
	return nil
}

func retryBaseRule(field string, base schedule.Span, _ *Document) error {
	if base.Duration < time.Second {
		return refusal.InvalidField(field, base.Text, "must be at least 1s")
	}
	return nil
}

func retryMaxRule(field string, longest schedule.Span, d *Document) error {
	if longest.Duration < d.RotationRetryBase.Duration || longest.Duration > 30*day {
		return refusal.InvalidField(field, longest.Text, "must be between rotation_retry_base and 30d")
	}
	return nil
}

func destroyDelayRule(field string, delay schedule.Span, _ *Document) error {
	if delay.Duration < day || delay.Duration > 3650*day {
		return refusal.InvalidField(field, delay.Text, "must be between 24h and 3650d")
	}
	return nil
}

func notZero(field string, delay schedule.Span, _ *Document) error {
	if delay.Duration == 0 {
		return refusal.InvalidField(field, delay.Text, "must not be 0")
	}
	return nil
}

func drillEveryRule(field string, every schedule.Span, _ *Document) error {
	if every.Duration != 0 && every.Duration < day {
		return refusal.InvalidField(field, every.Text, "must be 0 (no drill is due) or at least 1d")
	}
	return nil
}

func notifyBeforeRule(field string, before schedule.Span, _ *Document) error {
	if before.Duration != 0 && before.Duration < time.Hour {
		return refusal.InvalidField(field, before.Text, "must be 0 (not at all) or at least 1h")
	}
	return nil
}

// ttlRule bounds how long a request is open, and how long what was approved may be executed.
func ttlRule(field string, ttl schedule.Span, _ *Document) error {
	if ttl.Duration < 5*time.Minute || ttl.Duration > 14*day {
		return refusal.InvalidField(field, ttl.Text, "must be between 5m and 14d")
	}
	return nil
}
