// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// spans are lengths of time.
var spans = []Field{
	define(row[schedule.Jitter]{
		name: "rotation_jitter", kind: jitter, at: func(d *Document) *schedule.Jitter { return &d.RotationJitter }, def: jitterOf("5%"),
		looser: wider,
		help:   `How far rotations are spread: a percentage of the period such as "5%", or a duration; at most 25% of the period.`,
		docs:   Docs{Unit: "% or seconds", Rule: "at most 25% of the period, or of the shortest time between two times of the schedule. The same for a key and version whenever it is asked"},
	}),
	define(row[schedule.Span]{
		name: "rotation_period", kind: span, at: func(d *Document) *schedule.Span { return &d.RotationPeriod }, def: spanOf("90d"),
		rule:   rotationPeriodRule,
		looser: by(orEver, more[time.Duration](rotatesLater)),
		help:   "Time between rotations, at least 1m. 0: none. Clears rotation_schedule.",
		docs:   Docs{Unit: "seconds", Rule: "0 (none) or at least 1m. Counted from the schedule, so lateness does not add up", Source: "57 5.3; PCI 3.7.4"},
	}),
	define(row[schedule.Span]{
		name: "rotation_window_length", kind: span, at: func(d *Document) *schedule.Span { return &d.RotationWindowLength }, def: spanOf("4h"),
		rule:   windowLengthRule,
		looser: by(length, anyChange[time.Duration]),
		help:   "How long the window is open, at least 1h.",
		docs:   Docs{Unit: "seconds", Rule: "at least 1h, if there is a window"},
	}),
	define(row[schedule.Span]{
		name: "rotation_retry_base", kind: span, at: func(d *Document) *schedule.Span { return &d.RotationRetryBase }, def: spanOf("1m"),
		rule:   retryBaseRule,
		looser: by(length, more[time.Duration](rotatesLater)),
		help:   "Wait after the first failed attempt, doubled after each that follows; at least 1s.",
		docs:   Docs{Unit: "seconds", Rule: "at least 1s; wait after the first failed attempt, doubled after each that follows"},
	}),
	define(row[schedule.Span]{
		name: "rotation_retry_max", kind: span, at: func(d *Document) *schedule.Span { return &d.RotationRetryMax }, def: spanOf("1h"),
		rule:   retryMaxRule,
		looser: by(length, more[time.Duration](rotatesLater)),
		help:   "Longest wait between attempts, at most 30d.",
		docs:   Docs{Unit: "seconds", Rule: "from `rotation_retry_base` to 30d; the longest wait"},
	}),
	define(row[schedule.Span]{
		name: "staging_time", kind: span, at: func(d *Document) *schedule.Span { return &d.StagingTime }, def: spanOf("0"),
		looser: by(length, eitherWay[time.Duration]("a new version protects with less time to look at it", rotatesLater)),
		help:   "How long a new version is pre-active before it encrypts. 0: not at all.",
		docs:   Docs{Unit: "seconds", Rule: "a new version is pre-active so long; with `rollback_window` shorter than the rotation period", Source: "57 7.1"},
	}),
	define(row[schedule.Span]{
		name: "rollback_window", kind: spanOrEmpty, at: func(d *Document) *schedule.Span { return &d.RollbackWindow },
		looser: longerRollback,
		help:   "How long after a promotion it can be rolled back. 0: not at all. Empty: a day, at most a quarter of the rotation or originator period.",
		docs:   Docs{Unit: "seconds", Rule: "how long after a promotion an operator may roll it back. 0: not at all. Empty: 24h, at most a quarter of the rotation or originator period. A key without a policy has no limit; `post_checks` that fail roll back whatever it is"},
	}),
	define(row[schedule.Span]{
		name: "originator_period", kind: spanOrEmpty, at: func(d *Document) *schedule.Span { return &d.OriginatorPeriod },
		looser: longerOriginator,
		help:   "How long a version encrypts at most. 0: no limit. Empty: a year, or the rotation period if that is longer.",
		docs:   Docs{Unit: "seconds", Rule: "after it a version no longer protects: it is rotated in mode `auto`, and blocked in `manual` and `notify`. In mode `auto` a key that cannot be rotated, as its type is no longer allowed, goes on, is `overdue`, and is named by drift. 0: no limit. Else longer than `staging_time` and `rollback_window` together, and at least the rotation period with its jitter, `staging_time` and the time that the window is closed. Empty: 365 days, or that sum if it is longer", Source: "57 5.3.4, 5.3.6; PCI 3.7.4"},
	}),
	define(row[schedule.Span]{
		name: "recipient_period", kind: span, at: func(d *Document) *schedule.Span { return &d.RecipientPeriod }, def: spanOf("1095d"),
		looser: by(orEver, eitherWay[time.Duration](archivedEarly, usedForLonger)),
		help:   "How long a version decrypts after it was superseded, before it is archived. 0: for ever.",
		docs:   Docs{Unit: "seconds", Rule: "0 (for ever) or at least `rollback_window`. Counted from the day on which a version stopped to protect; then it is archived", Source: "57 5.3.4, 5.3.6"},
	}),
	define(row[schedule.Span]{
		name: "archive_after", kind: span, at: func(d *Document) *schedule.Span { return &d.ArchiveAfter }, def: spanOf("0"),
		looser: by(orEver, eitherWay[time.Duration](archivedEarly, usedForLonger)),
		help:   "How long after deactivation a version is archived, at most recipient_period. 0: at the end of recipient_period.",
		docs:   Docs{Unit: "seconds", Rule: "0: at the end of `recipient_period`. Else from `rollback_window` to `recipient_period`", Source: "57 8.3.1; PCI 3.7.5"},
	}),
	define(row[schedule.Span]{
		name: "retire_after", kind: span, at: func(d *Document) *schedule.Span { return &d.RetireAfter }, def: spanOf("0"),
		looser: by(orEver, eitherWay[time.Duration]("versions are retired earlier", "archived versions are kept for longer")),
		help:   "How long after archiving a version is retired. 0: never by the clock.",
		docs:   Docs{Unit: "seconds", Rule: "after archiving; 0: never by the clock", Source: "57 8.3.4; PCI 3.7.5"},
	}),
	define(row[schedule.Span]{
		name: "quiet_period", kind: span, at: func(d *Document) *schedule.Span { return &d.QuietPeriod }, def: spanOf("14d"),
		looser: by(length, less[time.Duration]("versions are retired sooner after a denied use")),
		help:   "How long an archived version must have had no denied use before it is retired.",
		docs:   Docs{Unit: "seconds", Rule: "without denied uses, before a version is retired; one that runs is not shortened by a change, another policy or none"},
	}),
	define(row[schedule.Span]{
		name: "destroy_delay", kind: span, at: func(d *Document) *schedule.Span { return &d.DestroyDelay }, def: spanOf("30d"),
		rule: destroyDelayRule, valid: notZero,
		looser: by(length, less[time.Duration]("retired versions are destroyed earlier")),
		help:   "Time between retiring and destroying, 24h to 3650d. A change is for retirements that follow.",
		docs:   Docs{Unit: "seconds", Rule: "24h to 3650d, between retiring and destroying; a change is for retirements that follow", Source: "57 8.3.4"},
	}),
	define(row[schedule.Span]{
		name: "drill_every", kind: span, at: func(d *Document) *schedule.Span { return &d.DrillEvery }, def: spanOf("0"), sparse: true,
		rule:   drillEveryRule,
		looser: by(orEver, more[time.Duration]("drills are due less often")),
		help:   "How often the answer to a compromise is exercised, at least 1d. 0: no drill is due.",
		docs:   Docs{Unit: "seconds", Rule: "0 (no drill is due) or at least 1d, between two drills of a key", Source: "PCI 12.10.2"},
	}),
	define(row[schedule.Span]{
		name: "notify_before", kind: span, at: func(d *Document) *schedule.Span { return &d.NotifyBefore }, def: spanOf("30d"), sparse: true,
		rule:   notifyBeforeRule,
		looser: by(length, less[time.Duration]("an end that comes near is told later")),
		help:   "How long before an end that nobody automates a key is listed as ending, at least 1h. 0: not at all.",
		docs:   Docs{Unit: "seconds", Rule: "0 (not at all) or at least 1h: how long before the end of the originator period, or before a rotation, that nobody automates the key is [`ending`](rotation.md#how-a-key-stands). At most half of the time that ends", Source: "57 5.3.4"},
	}),
}
