// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"github.com/hashicorp/vault/sdk/framework"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// aSpan ends the description of every length of time.
const aSpan = ` A duration such as "90d" or "12h30m", or a number of seconds.`

// The content of a policy. Defaults are those of lifecycle.DefaultDocument; a test compares them.
var (
	fPolicyName    = newField[string]("name", framework.TypeString, "Name of the policy.")
	fDescription   = newField[string]("description", framework.TypeString, "What the policy is for. Free text, at most 4096 bytes.")
	fPolicyOwner   = newField[string]("owner", framework.TypeString, "Who answers for the policy. Required, at most 256 bytes.")
	fAllowedTypes  = newField[[]string]("allowed_types", framework.TypeCommaStringSlice, "Key types that a bound key may have. Empty: any.")
	fMinStrength   = newField[int]("min_strength_bits", framework.TypeInt, "Least security strength of a bound key's type, in bits (SP 800-57 Part 1, 5.6.1).").or(112)
	fDenyAfter     = newField[map[string]string]("deny_after", framework.TypeKVPairs, "Key type to the last day on which a key of the type gets a version: a date, or a time in RFC 3339.")
	fMayExport     = newField[bool]("exportable", framework.TypeBool, "A bound key may be exportable.")
	fMayBackup     = newField[bool]("allow_plaintext_backup", framework.TypeBool, "A bound key may allow a backup in the clear.")
	fHSM           = newField[string]("hsm", framework.TypeString, "optional or required: whether new versions have to be wrapped by an HSM. Those that are there are not checked.").or(string(lifecycle.Optional))
	fCompliance    = newField[[]string]("compliance", framework.TypeCommaStringSlice, `Requirements that the policy is meant to meet, such as "pci-dss-4.0.1/3.7.4". At most 64 of at most 128 bytes. Shown in reports, not checked.`)
	fRequireReason = newField[[]string]("require_reason", framework.TypeCommaStringSlice, "Operations that need a reason of at least 10 bytes.").or(lifecycle.DefaultDocument().RequireReason)
	fReasonPattern = newField[string]("reason_pattern", framework.TypeString, "Regular expression (RE2) that such a reason has to match. Empty: any.")

	fRotationMode     = newField[string]("rotation_mode", framework.TypeString, "auto: the engine rotates. manual, notify: the key is raised as overdue and an operator rotates.").or(string(lifecycle.Auto))
	fRotationPeriod   = newField[string]("rotation_period", framework.TypeString, "Time between rotations, at least 1m. 0: none. Clears rotation_schedule."+aSpan).or("90d")
	fRotationSchedule = newField[string]("rotation_schedule", framework.TypeString, "Cron expression of five fields: when keys rotate. Sets rotation_period to 0. Empty: none.")
	fRotationZone     = newField[string]("rotation_zone", framework.TypeString, "Time zone of rotation_schedule and rotation_window, by its name in the IANA database. Empty: UTC.")
	fRotationJitter   = newField[string]("rotation_jitter", framework.TypeString, `How far rotations are spread: a percentage of the period such as "5%", or a duration; at most 25% of the period.`).or("5%")
	fRotationWindow   = newField[string]("rotation_window", framework.TypeString, "Cron expression of five fields: when the window opens in which the clock rotates. Empty: it is always open.")
	fWindowLength     = newField[string]("rotation_window_length", framework.TypeString, "How long the window is open, at least 1h."+aSpan).or("4h")
	fRetryBase        = newField[string]("rotation_retry_base", framework.TypeString, "Wait after the first failed attempt, doubled after each that follows; at least 1s."+aSpan).or("1m")
	fRetryMax         = newField[string]("rotation_retry_max", framework.TypeString, "Longest wait between attempts, at most 30d."+aSpan).or("1h")
	fRetryCycles      = newField[int]("rotation_retry_cycles", framework.TypeInt, "Failed attempts in a row after which the key counts as stalled, 1 to 1000.").or(5)
	fMaxEncryptions   = newField[int64]("max_encryptions", framework.TypeInt64, "Encryptions by one version, which force a rotation. 0: no limit. -1: what the key's type needs (SP 800-38D, 8.3).").or(lifecycle.LimitByType)
	fMaxBytes         = newField[int64]("max_bytes", framework.TypeInt64, "Bytes of plaintext encrypted by one version, which force a rotation. 0: no limit.")
	fOnLimit          = newField[string]("on_limit", framework.TypeString, "rotate or block: what follows when a limit is reached.").or(string(lifecycle.OnLimitRotate))
	fPreChecks        = newField[[]string]("pre_checks", framework.TypeCommaStringSlice, "Checks before a version is promoted; a failure leaves the old one in force.").or(lifecycle.PreChecks())
	fPostChecks       = newField[[]string]("post_checks", framework.TypeCommaStringSlice, "Checks after a version was promoted; a failure rolls back.").or(lifecycle.PostChecks())

	fPinned         = newField[bool]("allow_pinned_encrypt", framework.TypeBool, "A version that is not the active one may encrypt for callers who name it.")
	fStaging        = newField[string]("staging_time", framework.TypeString, "How long a new version is pre-active before it encrypts. 0: not at all."+aSpan).or("0")
	fRollbackWindow = newField[string]("rollback_window", framework.TypeString, "How long after a promotion it can be rolled back. 0: not at all. Empty: a day, at most a quarter of the rotation or originator period."+aSpan)
	fOriginator     = newField[string]("originator_period", framework.TypeString, "How long a version encrypts at most. 0: no limit. Empty: a year, or the rotation period if that is longer."+aSpan)
	fRecipient      = newField[string]("recipient_period", framework.TypeString, "How long a version decrypts after it was superseded, before it is archived. 0: for ever."+aSpan).or("1095d")
	fArchiveAfter   = newField[string]("archive_after", framework.TypeString, "How long after deactivation a version is archived, at most recipient_period. 0: at the end of recipient_period."+aSpan).or("0")
	fRetireAfter    = newField[string]("retire_after", framework.TypeString, "How long after archiving a version is retired. 0: never by the clock."+aSpan).or("0")
	fQuietPeriod    = newField[string]("quiet_period", framework.TypeString, "How long an archived version must have had no denied use before it is retired."+aSpan).or("14d")
	fDestroyDelay   = newField[string]("destroy_delay", framework.TypeString, "Time between retiring and destroying, 24h to 3650d. A change is for retirements that follow."+aSpan).or("30d")
	fMinKept        = newField[int]("min_versions_kept", framework.TypeInt, "Readable versions that archiving leaves.").or(2)
	fCompromisedUse = newField[string]("compromised_processing", framework.TypeString, "allow or deny: whether compromised versions decrypt.").or(string(lifecycle.Allow))
	fSuspendedUse   = newField[string]("suspended_processing", framework.TypeString, "allow or deny: whether suspended versions decrypt.").or(string(lifecycle.Deny))

	fDocument = newField[string]("document", framework.TypeString, "The whole policy as HCL, with the fields of this path as attributes; what it does not say gets its default. Excludes all other fields of a policy.")
)

// policyContent is what a policy says: the attributes of a document, and the fields of a write.
var policyContent = []declared{
	fDescription, fPolicyOwner, fAllowedTypes, fMinStrength, fDenyAfter, fMayExport, fMayBackup, fHSM, fCompliance, fRequireReason,
	fReasonPattern, fLabels,
	fRotationMode, fRotationPeriod, fRotationSchedule, fRotationZone, fRotationJitter, fRotationWindow, fWindowLength, fRetryBase,
	fRetryMax, fRetryCycles, fMaxEncryptions, fMaxBytes, fOnLimit, fPreChecks, fPostChecks,
	fPinned, fStaging, fRollbackWindow, fOriginator, fRecipient, fArchiveAfter, fRetireAfter, fQuietPeriod, fDestroyDelay, fMinKept,
	fCompromisedUse, fSuspendedUse,
}

var (
	contentFields = fields(policyContent...)
	policyFields  = with(contentFields, fPolicyName, fDocument, fPolicyRevision,
		newField[string]("hash", framework.TypeString, "SHA-256 of the revision's content as canonical JSON, in hex."),
		newField[string]("created_time", framework.TypeString, "When the revision was written, RFC 3339."))
)
