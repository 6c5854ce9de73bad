// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"strings"
	"time"
)

// reasoned are the operations for which a policy may demand a reason.
var reasoned = []string{
	"create", "rotate-manual", "configure", "hold",
	string(Promote), string(Suspend), string(Resume), string(Archive), string(Recover), string(Retire),
	string(Restore), string(ReportCompromise), "rollback",
}

// rollbackWindow is the window in force: where the author named none, a day or a quarter of the period.
func (d Document) rollbackWindow() time.Duration {
	if d.RollbackWindow.Text != "" {
		return d.RollbackWindow.Duration
	}
	const day = 24 * time.Hour
	if quarter := d.RotationPeriod.Duration / 4; quarter > 0 {
		return min(day, quarter)
	}
	return day
}

// originatorPeriod is the period in force, after which a version protects no longer: where the author named none, a
// year or the longest that the rotation leaves a version active.
func (d Document) originatorPeriod() time.Duration {
	if d.OriginatorPeriod.Text != "" {
		return d.OriginatorPeriod.Duration
	}
	const year = 365 * 24 * time.Hour
	return max(year, d.RotationPeriod.Duration+d.RotationJitter.Of(d.RotationPeriod.Duration))
}

// checkStates holds the rules of the fields that bear on states, and those between them.
func (d Document) checkStates() error {
	if err := d.checkSpans(); err != nil {
		return err
	}
	for _, rule := range []struct {
		field string
		value Rule
	}{{"compromised_processing", d.CompromisedProcessing}, {"suspended_processing", d.SuspendedProcessing}} {
		if rule.value != Allow && rule.value != Deny {
			return InvalidField(rule.field, string(rule.value), "must be allow or deny")
		}
	}
	if d.MinVersionsKept < 0 || d.MinVersionsKept > most {
		return InvalidField("min_versions_kept", d.MinVersionsKept, "must be between 0 and 2048")
	}
	for _, op := range d.RequireReason {
		if !slices.Contains(reasoned, op) {
			return InvalidField("require_reason", op, "unknown operation; known are "+strings.Join(reasoned, ", "))
		}
	}
	return nil
}

// checkSpans holds the rules between lengths of time.
func (d Document) checkSpans() error {
	const day = 24 * time.Hour
	period, jitter := d.RotationPeriod.Duration, d.RotationJitter.Of(d.RotationPeriod.Duration)
	archive, originator := d.ArchiveAfter.Duration, d.originatorPeriod()
	switch {
	case d.DestroyDelay.Duration < day || d.DestroyDelay.Duration > 3650*day:
		return InvalidField("destroy_delay", d.DestroyDelay.Text, "must be between 24h and 3650d")
	case period > 0 && d.StagingTime.Duration+d.rollbackWindow() >= period:
		return InvalidField("staging_time", d.StagingTime.Text, "staging_time and rollback_window must together be shorter than rotation_period, which is "+d.RotationPeriod.Text)
	case archive > 0 && archive < d.rollbackWindow():
		return InvalidField("archive_after", d.ArchiveAfter.Text, "must be 0 or at least rollback_window")
	case originator > 0 && originator < period+jitter:
		return InvalidField("originator_period", d.OriginatorPeriod.Text, "must be 0 or at least rotation_period with its jitter")
	}
	return nil
}

// shortestReason is the least that counts as a reason, in bytes.
const shortestReason = 10

// CheckReason reports whether the policy lets an operator do this with the reason given. The error is [ErrInvalid].
func (p *Policy) CheckReason(op, reason string) error {
	if p == nil || !slices.Contains(p.RequireReason, op) || len(strings.TrimSpace(reason)) >= shortestReason {
		return nil
	}
	return InvalidField("reason", reason, "policy \""+p.Name+"\" demands a reason of at least 10 bytes for "+op)
}
