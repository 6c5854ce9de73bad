// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

// numbers are integers.
var numbers = []Field{
	define(row[int]{
		name: "min_strength_bits", kind: number, at: func(d *Document) *int { return &d.MinStrengthBits }, def: 112,
		valid:  between(0, 256),
		looser: less[int]("weaker types are admitted"),
		help:   "Least security strength of a bound key's type, in bits (SP 800-57 Part 1, 5.6.1).",
		docs:   Docs{Unit: "bits", Rule: "0 to 256; the strength of the key's type is at least that", Source: "57 5.6.1; 131A"},
	}),
	define(row[int]{
		name: "min_versions_kept", kind: number, at: func(d *Document) *int { return &d.MinVersionsKept }, def: 2,
		valid:  between(0, MostVersionsKept),
		looser: eitherWay[int](archivedEarly, "more old versions stay in use"),
		help:   "Readable versions that archiving leaves.",
		docs:   Docs{Unit: "versions", Rule: "0 to 2048; readable versions that archiving leaves, not counting any recovered with a `time_limit`"},
	}),
	define(row[int]{
		name: "rotation_retry_cycles", kind: number, at: func(d *Document) *int { return &d.RotationRetryCycles }, def: 5,
		valid:  between(1, 1000),
		looser: more[int]("a key counts as stalled later"),
		help:   "Failed attempts in a row after which the key counts as stalled, 1 to 1000.",
		docs:   Docs{Unit: "attempts", Rule: "1 to 1000; so many failures in a row, and the key counts as stalled. Attempts go on"},
	}),
	define(row[int64]{
		name: "max_encryptions", kind: largeNumber, at: func(d *Document) *int64 { return &d.MaxEncryptions }, def: LimitByType,
		valid:  between[int64](LimitByType, mostEncryptions),
		looser: moreEncryptions,
		help:   "Encryptions by one version, which force a rotation. 0: no limit. -1: what the key's type needs (SP 800-38D, 8.3).",
		docs:   Docs{Unit: "encryptions by one version", Rule: "-1: 3,865,470,566 (nine tenths of 2^32) for all keys that encrypt but convergent ones, which have none: they encrypt the same text again and again ([ADR 0029](adr/0029-convergent-keys-have-no-limit-by-type.md)). 0: none. At most 2^48", Source: "38D 8.3; PCI 3.7.4"},
	}),
	define(row[int64]{
		name: "max_bytes", kind: largeNumber, at: func(d *Document) *int64 { return &d.MaxBytes },
		valid:  between[int64](0, mostBytes),
		looser: by(orUnlimited[int64], more[int64](protectsMore)),
		help:   "Bytes of plaintext encrypted by one version, which force a rotation. 0: no limit.",
		docs:   Docs{Unit: "bytes of plaintext by one version", Rule: "0: none. Below 2^53. No single plaintext may have more", Source: "57 5.3.1"},
	}),
}
