// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// span declares a length of time.
func span(name, description string) vaultapi.Field[string] {
	return vaultapi.Text(name, description+` A duration such as "90d" or "12h30m", or a number of seconds.`).OrSeconds()
}

// noLength refuses a length of time, which is what a field named window holds in other engines of Vault.
func noLength(raw any) string {
	if _, err := lifecycle.ParseSpan("", fmt.Sprint(raw)); err != nil {
		return ""
	}
	return "must be a cron expression of five fields: when the window opens; how long it is open is " + fWindowLength.Name
}

// The content of a policy. Defaults are those of lifecycle.DefaultDocument; a test compares them.
var (
	fPolicyName    = vaultapi.Text("name", "Name of the policy.")
	fDescription   = vaultapi.Text("description", "What the policy is for. Free text, at most 4096 bytes.")
	fPolicyOwner   = vaultapi.Text("owner", "Who answers for the policy. Required, at most 256 bytes.")
	fAllowedTypes  = vaultapi.Texts("allowed_types", "Key types that a bound key may have. Empty: any.")
	fMinStrength   = vaultapi.Int("min_strength_bits", "Least security strength of a bound key's type, in bits (SP 800-57 Part 1, 5.6.1).").Or(112)
	fDenyAfter     = vaultapi.Pairs("deny_after", "Key type to the last day on which a key of the type gets a version: a date, or a time in RFC 3339.")
	fMayExport     = vaultapi.Bool("exportable", "A bound key may be exportable.")
	fMayBackup     = vaultapi.Bool("allow_plaintext_backup", "A bound key may allow a backup in the clear.")
	fHSM           = vaultapi.Text("hsm", "optional or required: whether new versions have to be wrapped by an HSM. Those that are there are not checked.").Or(string(lifecycle.Optional))
	fCompliance    = vaultapi.Texts("compliance", `Requirements that the policy is meant to meet, such as "pci-dss-4.0.1/3.7.4". At most 64 of at most 128 bytes. Shown in reports, not checked.`)
	fRequireReason = vaultapi.Texts("require_reason", "Operations that need a reason of at least 10 bytes.").Or(lifecycle.DefaultDocument().RequireReason)
	fReasonPattern = vaultapi.Text("reason_pattern", "Regular expression (RE2) that such a reason has to match. Empty: any.")

	fRotationMode     = vaultapi.Text("rotation_mode", "auto: the engine rotates. manual, notify: the key is raised as overdue and an operator rotates.").Or(string(lifecycle.Auto))
	fRotationPeriod   = span("rotation_period", "Time between rotations, at least 1m. 0: none. Clears rotation_schedule.").Or("90d")
	fRotationSchedule = vaultapi.Text("rotation_schedule", "Cron expression of five fields: when keys rotate. Sets rotation_period to 0. Empty: none.")
	fRotationZone     = vaultapi.Text("rotation_zone", "Time zone of rotation_schedule and rotation_window, by its name in the IANA database. Empty: UTC.")
	fRotationJitter   = vaultapi.Text("rotation_jitter", `How far rotations are spread: a percentage of the period such as "5%", or a duration; at most 25% of the period.`).OrSeconds().Or("5%")
	fRotationWindow   = vaultapi.Text("rotation_window", "Cron expression of five fields: when the window opens in which the clock rotates. Empty: it is always open.").Rule(noLength)
	fWindowLength     = span("rotation_window_length", "How long the window is open, at least 1h.").Or("4h")
	fRetryBase        = span("rotation_retry_base", "Wait after the first failed attempt, doubled after each that follows; at least 1s.").Or("1m")
	fRetryMax         = span("rotation_retry_max", "Longest wait between attempts, at most 30d.").Or("1h")
	fRetryCycles      = vaultapi.Int("rotation_retry_cycles", "Failed attempts in a row after which the key counts as stalled, 1 to 1000.").Or(5)
	fMaxEncryptions   = vaultapi.Int64("max_encryptions", "Encryptions by one version, which force a rotation. 0: no limit. -1: what the key's type needs (SP 800-38D, 8.3).").Or(lifecycle.LimitByType)
	fMaxBytes         = vaultapi.Int64("max_bytes", "Bytes of plaintext encrypted by one version, which force a rotation. 0: no limit.")
	fOnLimit          = vaultapi.Text("on_limit", "rotate or block: what follows when a limit is reached.").Or(string(lifecycle.OnLimitRotate))
	fPreChecks        = vaultapi.Texts("pre_checks", "Checks before a version is promoted; a failure leaves the old one in force.").Or(lifecycle.PreChecks())
	fPostChecks       = vaultapi.Texts("post_checks", "Checks after a version was promoted; a failure rolls back.").Or(lifecycle.PostChecks())

	fPinned         = vaultapi.Bool("allow_pinned_encrypt", "A version that is not the active one may encrypt for callers who name it.")
	fStaging        = span("staging_time", "How long a new version is pre-active before it encrypts. 0: not at all.").Or("0")
	fRollbackWindow = span("rollback_window", "How long after a promotion it can be rolled back. 0: not at all. Empty: a day, at most a quarter of the rotation or originator period.")
	fOriginator     = span("originator_period", "How long a version encrypts at most. 0: no limit. Empty: a year, or the rotation period if that is longer.")
	fRecipient      = span("recipient_period", "How long a version decrypts after it was superseded, before it is archived. 0: for ever.").Or("1095d")
	fArchiveAfter   = span("archive_after", "How long after deactivation a version is archived, at most recipient_period. 0: at the end of recipient_period.").Or("0")
	fRetireAfter    = span("retire_after", "How long after archiving a version is retired. 0: never by the clock.").Or("0")
	fQuietPeriod    = span("quiet_period", "How long an archived version must have had no denied use before it is retired.").Or("14d")
	fDestroyDelay   = span("destroy_delay", "Time between retiring and destroying, 24h to 3650d. A change is for retirements that follow.").Or("30d")
	fMinKept        = vaultapi.Int("min_versions_kept", "Readable versions that archiving leaves.").Or(2)
	fCompromisedUse = vaultapi.Text("compromised_processing", "allow or deny: whether compromised versions decrypt.").Or(string(lifecycle.Allow))
	fSuspendedUse   = vaultapi.Text("suspended_processing", "allow or deny: whether suspended versions decrypt.").Or(string(lifecycle.Deny))

	fDocument = vaultapi.Text("document", "The whole policy as HCL, with the fields of this path as attributes; what it does not say gets its default. Excludes all other fields of a policy.")
)

// policyContent is what a policy says: the attributes of a document, and the fields of a write.
var policyContent = []vaultapi.Declared{
	fDescription, fPolicyOwner, fAllowedTypes, fMinStrength, fDenyAfter, fMayExport, fMayBackup, fHSM, fCompliance, fRequireReason,
	fReasonPattern, fLabels,
	fRotationMode, fRotationPeriod, fRotationSchedule, fRotationZone, fRotationJitter, fRotationWindow, fWindowLength, fRetryBase,
	fRetryMax, fRetryCycles, fMaxEncryptions, fMaxBytes, fOnLimit, fPreChecks, fPostChecks,
	fPinned, fStaging, fRollbackWindow, fOriginator, fRecipient, fArchiveAfter, fRetireAfter, fQuietPeriod, fDestroyDelay, fMinKept,
	fCompromisedUse, fSuspendedUse,
}

var (
	contentFields = vaultapi.FieldsOf(policyContent...)
	policyFields  = contentFields.With(fPolicyName, fDocument, fPolicyRevision,
		vaultapi.Text("hash", "SHA-256 of the revision's content as canonical JSON, in hex."),
		vaultapi.Text("created_time", "When the revision was written, RFC 3339."))
)
