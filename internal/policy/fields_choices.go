// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import "github.com/keylife/vault-plugin-keylife/internal/acts"

// choices are one word of a few.
var choices = []Field{
	define(row[RotationMode]{
		name: "rotation_mode", kind: text[RotationMode](), at: func(d *Document) *RotationMode { return &d.RotationMode }, def: Auto,
		valid:  oneOf(Auto, Manual, Notify),
		looser: by(isAuto, anyChange[bool]),
		help:   "auto: the engine rotates. manual, notify: the key is raised as overdue and an operator rotates.",
		docs:   Docs{Type: "choice", Rule: "`auto`: the engine rotates. `manual`, `notify`: the key is raised as overdue, and an operator or another system rotates", Source: "PCI 3.7.4"},
	}),
	define(row[Requirement]{
		name: "hsm", kind: text[Requirement](), at: func(d *Document) *Requirement { return &d.HSM }, def: Optional,
		valid:  oneOf(Optional, Required),
		looser: becomes(Optional, "versions need no HSM"),
		help:   "optional or required: whether new versions have to be wrapped by an HSM. Those that are there go on, and drift names them.",
		docs:   Docs{Type: "choice", Rule: "`optional`, `required`: a key gets no new version that no HSM wraps. Versions that are there go on, and [drift](#after-it-drift) names them", Source: "57 6.2.2; PCI 3.6.1.2"},
	}),
	define(row[OnLimit]{
		name: "on_limit", kind: text[OnLimit](), at: func(d *Document) *OnLimit { return &d.OnLimit }, def: OnLimitRotate,
		valid:  oneOf(OnLimitRotate, OnLimitBlock),
		looser: becomes(OnLimitRotate, "a version at its limit gets a successor by itself"),
		help:   "rotate or block: what follows when a limit is reached.",
		docs:   Docs{Type: "choice", Rule: "`rotate`, `block`: what follows when a limit is reached", Source: "38D 8.3"},
	}),
	define(row[Permission]{
		name: "compromised_processing", kind: text[Permission](), at: func(d *Document) *Permission { return &d.CompromisedProcessing }, def: Allow,
		valid:  oneOf(Allow, Deny),
		looser: becomes(Allow, "compromised versions decrypt"),
		help:   "allow or deny: whether compromised versions decrypt.",
		docs:   Docs{Type: "choice", Rule: "`allow`, `deny`: whether compromised versions decrypt", Source: "57 7.5"},
	}),
	define(row[Permission]{
		name: "suspended_processing", kind: text[Permission](), at: func(d *Document) *Permission { return &d.SuspendedProcessing }, def: Deny,
		valid:  oneOf(Allow, Deny),
		looser: becomes(Allow, "suspended versions decrypt"),
		help:   "allow or deny: whether suspended versions decrypt.",
		docs:   Docs{Type: "choice", Rule: "`allow`, `deny`: whether suspended versions decrypt", Source: "57 7.3"},
	}),
}

// flags are true or false.
var flags = []Field{
	define(row[bool]{
		name: "exportable", kind: flag, at: func(d *Document) *bool { return &d.Exportable },
		looser: becomes(true, "keys may be exportable"),
		help:   "A bound key may be exportable.",
		docs:   Docs{Rule: "true: a bound key may be exportable", Source: "PCI 3.7.2"},
	}),
	define(row[bool]{
		name: "allow_plaintext_backup", kind: flag, at: func(d *Document) *bool { return &d.AllowPlaintextBackup },
		looser: becomes(true, "keys may be backed up in the clear"),
		help:   "A bound key may allow a backup in the clear.",
		docs:   Docs{Rule: "true: a bound key may allow a backup in the clear", Source: "PCI 3.7.3"},
	}),
	define(row[bool]{
		name: "allow_pinned_encrypt", kind: flag, at: func(d *Document) *bool { return &d.AllowPinnedEncrypt },
		looser: becomes(true, "deactivated versions protect for callers who name them"),
		help:   "A version that is not the active one may encrypt for callers who name it.",
		docs:   Docs{Rule: "true: a deactivated version protects for callers who name it", Source: "PCI 3.7.5"},
	}),
	define(row[bool]{
		name: "erase_private_key", kind: flag, at: func(d *Document) *bool { return &d.ErasePrivateKey }, sparse: true,
		looser: both(becomes(false, "private halves stay"), becomes(true, "private halves are erased for good")),
		help:   "The private half of a version of a key that only signs is erased when no rollback can make it active again. It verifies as before.",
		docs:   Docs{Rule: "true: for keys of a type that signs and does not encrypt, the private half of a superseded version is erased when `rollback_window` is over, or its `originator_period`. It verifies as before, and never signs again, also not for callers who name it. It cannot be undone", Source: "57 5.3.6"},
	}),
}

// lists hold texts, each of them checked.
var lists = []Field{
	define(row[[]string]{
		name: "require_reason", kind: list[string](), at: func(d *Document) *[]string { return &d.RequireReason }, def: []string{"rotate-manual", "suspend", "compromise", "retire", "recover", "restore", "rollback"},
		rule:   eachOf(acts.Reasons()),
		looser: fewer[string]("without a reason"),
		help:   "Operations that need a reason of at least 10 bytes.",
		docs:   Docs{Type: "list of operations", Rule: "of these, `create`, `configure`, `hold`, `export`, `backup`, `restore-backup`, `promote`, `resume`, `archive`; `recover` also when `min_decryption_version` is lowered; they need a reason of at least 10 bytes"},
	}),
	define(row[[]string]{
		name: "pre_checks", kind: list[string](), at: func(d *Document) *[]string { return &d.PreChecks }, def: preChecks,
		rule:   eachOf(preChecks),
		looser: fewer[string]("not checked"),
		help:   "Checks before a version is promoted; a failure leaves the old one in force.",
		docs:   Docs{Type: "list of checks", Rule: "of these; before a version is promoted. A failure leaves the old one in force"},
	}),
	define(row[[]string]{
		name: "post_checks", kind: list[string](), at: func(d *Document) *[]string { return &d.PostChecks }, def: postChecks,
		rule:   eachOf(postChecks),
		looser: fewer[string]("not checked"),
		help:   "Checks after a version was promoted; a failure rolls back.",
		docs:   Docs{Type: "list of checks", Rule: "of these; after a promotion. A failure rolls back"},
	}),
	define(row[[]string]{
		name: "rotation_blackout", kind: list[string](), at: func(d *Document) *[]string { return &d.RotationBlackout }, sparse: true,
		rule:   blackoutRule,
		looser: anyChange[[]string],
		help:   `Days on which the clock neither rotates nor promotes, in rotation_zone: of every year, such as "12-15/01-05" or "12-24", or of one, such as "2027-03-01/2027-03-14". Empty: none.`,
		docs:   Docs{Type: "list of days", Rule: "at most 64 days or ranges of days in `rotation_zone`, both ends among them: of every year (`12-24`, `12-15/01-05`) or of one (`2027-03-01/2027-03-14`). The clock neither rotates nor promotes on them, and does when they are over and the window is open. Yields to `originator_period`, usage limits, incidents and operators. At least one day of the year, and one opening of the window, has to be left"},
	}),
	define(row[[]string]{
		name: "compliance", kind: list[string](), at: func(d *Document) *[]string { return &d.Compliance },
		rule:   complianceRule,
		looser: neutral[[]string],
		help:   `Requirements that the policy is meant to meet, such as "pci-dss-4.0.1/3.7.4". At most 64 of at most 128 bytes. Shown in reports, not checked.`,
		docs:   Docs{Rule: "requirements that the policy is meant to meet, such as `pci-dss-4.0.1/3.7.4`; at most 64, each of 1 to 128 bytes. Shown, not checked"},
	}),
}
