// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import "github.com/keylife/vault-plugin-keylife/internal/keytype"

// texts are the fields that hold texts, or types of keys.
var texts = []Field{
	define(row[string]{
		name: "owner", kind: text[string](), at: func(d *Document) *string { return &d.Owner },
		rule:   ownerRule,
		looser: neutral[string],
		help:   "Who answers for the policy. Required, at most 256 bytes.",
		docs:   Docs{Rule: "required; at most 256 bytes", Source: "PCI 3.7.8"},
	}),
	define(row[string]{
		name: "description", kind: text[string](), at: func(d *Document) *string { return &d.Description },
		rule:   atMost(4096),
		looser: neutral[string],
		help:   "What the policy is for. Free text, at most 4096 bytes.",
		docs:   Docs{Rule: "at most 4096 bytes"},
	}),
	define(row[string]{
		name: "reason_pattern", kind: text[string](), at: func(d *Document) *string { return &d.ReasonPattern },
		rule: atMost(256), valid: isPattern,
		looser: otherPattern,
		help:   "Regular expression (RE2) that such a reason has to match. Empty: any.",
		docs:   Docs{Rule: "regular expression (RE2) that such a reason has to match; at most 256 bytes. Empty: any"},
	}),
	define(row[map[string]string]{
		name: "labels", kind: table[string, string](), at: func(d *Document) *map[string]string { return &d.Labels },
		rule:   labelsRule,
		looser: neutral[map[string]string],
		help:   "Labels: at most 64 names of 1 to 64 bytes with values of at most 256 bytes.",
		docs:   Docs{Rule: "at most 64; names of 1 to 64 bytes, values of at most 256"},
	}),
	define(row[[]keytype.Type]{
		name: "allowed_types", kind: list[keytype.Type](), at: func(d *Document) *[]keytype.Type { return &d.AllowedTypes },
		rule:   allowedTypesRule,
		looser: moreTypes,
		help:   "Key types that a bound key may have. Empty: any.",
		docs:   Docs{Type: "list of key types", Rule: "empty: any; else known types, none weaker than `min_strength_bits`", Source: "57 5.6; PCI 3.7.1"},
	}),
	define(row[map[keytype.Type]string]{
		name: "deny_after", kind: table[keytype.Type, string](), at: func(d *Document) *map[keytype.Type]string { return &d.DenyAfter },
		rule:   denyAfterRule,
		looser: laterDates,
		help:   "Key type to the last day on which a key of the type gets a version: a date, or a time in RFC 3339.",
		docs:   Docs{Type: "map of key type to date", Rule: "last day (UTC) on which a key of the type gets a version; a date such as `2030-12-31`, or a time in RFC 3339", Source: "57 5.6.4; 131A"},
	}),
	define(row[map[keytype.Type]keytype.Type]{
		name: "next_type", kind: table[keytype.Type, keytype.Type](), at: func(d *Document) *map[keytype.Type]keytype.Type { return &d.NextType },
		rule: nextTypeRule, sparse: true,
		looser: anyChange[map[keytype.Type]keytype.Type],
		help:   "Key type to the type of the next version of keys of the type. Other types stay as they are.",
		docs:   Docs{Type: "map of key type to key type", Rule: "a version that is made of a key whose active version is of the type; both have a purpose in common, and `allowed_types` and `min_strength_bits` admit the new one", Source: "131A"},
	}),
	define(row[string]{
		name: "rotation_schedule", kind: text[string](), at: func(d *Document) *string { return &d.RotationSchedule },
		looser: anyChange[string],
		help:   "Cron expression of five fields: when keys rotate. Sets rotation_period to 0. Empty: none.",
		docs:   Docs{Type: "cron", Rule: "excludes `rotation_period`, see below; at least 1m between two times", Source: "57 5.3"},
	}),
	define(row[string]{
		name: "rotation_zone", kind: text[string](), at: func(d *Document) *string { return &d.RotationZone },
		looser: anyChange[string],
		help:   "Time zone of rotation_schedule and rotation_window, by its name in the IANA database. Empty: UTC.",
		docs:   Docs{Rule: "name in the IANA time zone database, of which the plugin has its own copy; for schedule and window; empty: UTC"},
	}),
	define(row[string]{
		name: "rotation_window", kind: text[string](), at: func(d *Document) *string { return &d.RotationWindow },
		looser: anyChange[string],
		help:   "Cron expression of five fields: when the window opens in which the clock rotates. Empty: it is always open.",
		docs:   Docs{Type: "cron", Rule: "when the window opens in which the clock rotates and promotes; empty: it is always open. Yields to `originator_period` and usage limits"},
	}),
}
