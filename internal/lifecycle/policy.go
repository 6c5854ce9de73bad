// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// RotationMode says who rotates a key when it is due.
type RotationMode string

// The rotation modes of a policy.
const (
	Auto   RotationMode = "auto"   // the engine rotates
	Manual RotationMode = "manual" // an operator rotates; the engine raises "overdue"
	Notify RotationMode = "notify" // as manual, for keys whose rotation another system drives
)

// Document is the text of a policy as its author wrote it. Field names are those of the API.
type Document struct {
	Description          string
	Owner                string
	AllowedTypes         []Type          // empty: any
	MinStrengthBits      int             // SP 800-57 Part 1 Rev 5, section 5.6.1
	DenyAfter            map[Type]string // the last day on which a key of the type gets a version: a date, or an RFC 3339 time
	Exportable           bool            // a bound key may be exportable
	AllowPlaintextBackup bool            // a bound key may be backed up in the clear
	HSM                  Requirement     // whether material has to be wrapped by an HSM

	RotationMode         RotationMode
	RotationPeriod       Span   // 0: none
	RotationSchedule     string // a cron expression; excludes RotationPeriod
	RotationZone         string // of the schedule and the window, an IANA name; empty: UTC
	RotationJitter       Jitter
	RotationWindow       string // a cron expression: when the window opens in which the clock rotates; empty: always open
	RotationWindowLength Span
	RotationRetryBase    Span  // wait after the first failed attempt, doubled after each one that follows
	RotationRetryMax     Span  // the longest wait
	RotationRetryCycles  int   // failed attempts in a row after which the key counts as stalled
	MaxEncryptions       int64 // by one version; [LimitByType]: as the type needs; 0: no limit
	MaxBytes             int64 // of plaintext, by one version; 0: no limit
	OnLimit              OnLimit
	PreChecks            []string // before a version is promoted
	PostChecks           []string // after it was

	AllowPinnedEncrypt    bool // a version that is not the active one may encrypt for callers who name it
	StagingTime           Span // how long a new version is pre-active; 0: not at all
	RollbackWindow        Span // after a promotion; no text: a day, at most a quarter of the period
	OriginatorPeriod      Span // SP 800-57 Part 1 Rev 5, 5.3.4; no text: a year, or the rotation period if that is longer
	RecipientPeriod       Span // SP 800-57 Part 1 Rev 5, 5.3.4: after deactivation a version processes so long; 0: for ever
	ArchiveAfter          Span // after deactivation; 0: at the end of the recipient period
	RetireAfter           Span // after archiving; 0: never by the clock
	QuietPeriod           Span // without denied uses before a version is retired
	DestroyDelay          Span // between retiring and destroying
	MinVersionsKept       int  // readable versions that archiving leaves
	CompromisedProcessing Permission
	SuspendedProcessing   Permission
	RequireReason         []string // operations that need a reason
	ReasonPattern         string   // a regular expression (RE2) that such a reason has to match; empty: any

	Labels     map[string]string
	Compliance []string // requirements that the policy is meant to meet, such as "pci-dss-4.0.1/3.7.4"
	Source     string   // the HCL text that the policy was written as; empty: it was written field by field
}

// Requirement says whether something is required.
type Requirement string

// The needs.
const (
	Optional Requirement = "optional"
	Required Requirement = "required"
)

// OnLimit says what happens to a version that reached its usage limit.
type OnLimit string

// Rotate makes a new version; Block leaves the key without an active version until the schedule or an operator rotates it.
const (
	OnLimitRotate OnLimit = "rotate"
	OnLimitBlock  OnLimit = "block"
)

// Permission allows or denies.
type Permission string

// The two rules.
const (
	Allow Permission = "allow"
	Deny  Permission = "deny"
)

func mustJitter(text string) Jitter {
	jitter, err := schedule.ParseJitter(text)
	if err != nil {
		panic("internal error: the jitter of the default policy: " + err.Error())
	}
	return jitter
}

// DefaultDocument is what the fields hold that an author leaves out.
func DefaultDocument() Document {
	return Document{
		MinStrengthBits: 112, // the least that SP 800-131A Rev 2 allows
		HSM:             Optional,

		RotationMode:         Auto,
		RotationPeriod:       Span{Text: "90d", Duration: 90 * 24 * time.Hour},
		RotationJitter:       mustJitter("5%"),
		RotationWindowLength: Span{Text: "4h", Duration: 4 * time.Hour},
		RotationRetryBase:    Span{Text: "1m", Duration: time.Minute},
		RotationRetryMax:     Span{Text: "1h", Duration: time.Hour},
		RotationRetryCycles:  5,
		MaxEncryptions:       LimitByType,
		OnLimit:              OnLimitRotate,
		PreChecks:            PreChecks(),
		PostChecks:           PostChecks(),

		StagingTime:           Span{Text: "0"},
		RecipientPeriod:       Span{Text: "1095d", Duration: 1095 * 24 * time.Hour},
		ArchiveAfter:          Span{Text: "0"},
		RetireAfter:           Span{Text: "0"},
		QuietPeriod:           Span{Text: "14d", Duration: 14 * 24 * time.Hour},
		DestroyDelay:          Span{Text: "30d", Duration: 30 * 24 * time.Hour},
		MinVersionsKept:       2,
		CompromisedProcessing: Allow,
		SuspendedProcessing:   Deny,
		RequireReason:         []string{"rotate-manual", "suspend", "compromise", "retire", "recover", "restore", "rollback"},
	}
}

// Policy is one revision of a policy: immutable, numbered from 1, named by the digest of its content.
type Policy struct {
	Name     string
	Revision int
	Hash     string // hex SHA-256 of the canonical JSON of the document, the same for equal documents however written
	Created  time.Time
	Document
	LongerQuiet LongerQuietPeriod

	schedule          schedule.Cron // of RotationSchedule
	window            schedule.Window
	shortest, longest time.Duration // between two times of the cron schedule
	closed            time.Duration // the longest time for which the window is closed
}

// LongerQuietPeriod remembers a longer quiet period of an earlier revision, which goes on for what was denied under it.
type LongerQuietPeriod struct {
	Before time.Time // uses denied before; zero: no revision had a longer one that could still run
	Quiet  time.Duration
}

// NewPolicy checks the document and returns it as a revision. The error is [ErrInvalid].
func NewPolicy(name string, revision int, doc Document, at time.Time) (Policy, error) {
	if err := doc.checkFields(); err != nil {
		return Policy{}, err
	}
	p, err := StoredPolicy(Policy{Name: name, Revision: revision, Created: at, Document: doc.copied()})
	if err != nil {
		return Policy{}, err
	}
	if err := p.checkTimes(); err != nil {
		return Policy{}, err
	}
	p.Hash = doc.hash()
	return p, nil
}

// StoredPolicy completes a revision that was checked when it was written. The error is [ErrInvalid]: it says what this
// release does not understand.
func StoredPolicy(p Policy) (Policy, error) {
	if err := p.checkUnderstood(); err != nil {
		return Policy{}, err
	}
	zone, err := schedule.ParseZone(p.RotationZone)
	if err != nil {
		return Policy{}, brokenBy("rotation_zone", p.RotationZone, err)
	}
	if p.RotationSchedule != "" {
		if p.schedule, err = schedule.ParseCron(p.RotationSchedule, zone); err != nil {
			return Policy{}, brokenBy("rotation_schedule", p.RotationSchedule, err)
		}
		p.shortest, p.longest = p.schedule.Gaps(p.Created)
	}
	if p.RotationWindow != "" {
		p.window.Length = p.RotationWindowLength.Duration
		if p.window.Opens, err = schedule.ParseCron(p.RotationWindow, zone); err != nil {
			return Policy{}, brokenBy("rotation_window", p.RotationWindow, err)
		}
		_, apart := p.window.Opens.Gaps(p.Created)
		p.closed = max(apart-p.window.Length, 0)
	}
	return p, nil
}

// Revised returns the policy as the successor of the one in force; nil: there is none.
func (p Policy) Revised(before *Policy) Policy {
	if before == nil {
		return p
	}
	quiet := before.QuietPeriod.Duration
	if running := before.LongerQuiet; p.Created.Before(running.Before.Add(running.Quiet)) {
		quiet = max(quiet, running.Quiet)
	}
	if quiet > p.QuietPeriod.Duration {
		p.LongerQuiet = LongerQuietPeriod{Before: p.Created, Quiet: quiet}
	}
	return p
}

// Unreadable stands for a policy of which nothing is known but how many revisions it has had. Whoever writes it anew begins
// with the defaults; their quiet period is the one that its keys have meanwhile.
func Unreadable(name string, revisions int) Policy {
	return Policy{Name: name, Revision: revisions, Document: DefaultDocument()}
}

// Same reports whether the revisions say the same, in the same words.
func (p Policy) Same(o Policy) bool { return p.Hash == o.Hash && p.Source == o.Source }

// recurrence returns the grid of rotations.
func (p *Policy) recurrence() schedule.Recurrence {
	return schedule.Recurrence{Every: p.RotationPeriod.Duration, Cron: p.schedule}
}

// copied returns the document with lists and maps of its own, never nil: none given and an empty one are one content.
func (d Document) copied() Document {
	d.AllowedTypes = append([]Type{}, d.AllowedTypes...)
	for _, list := range []*[]string{&d.RequireReason, &d.PreChecks, &d.PostChecks, &d.Compliance} {
		*list = append([]string{}, *list...)
	}
	d.DenyAfter = copyOf(d.DenyAfter)
	d.Labels = copyOf(d.Labels)
	return d
}

func copyOf[K comparable](m map[K]string) map[K]string {
	out := make(map[K]string, len(m))
	maps.Copy(out, m)
	return out
}

// hash digests the document as JSON with sorted field names, each value as its author wrote it.
func (d Document) hash() string {
	canonical, err := json.Marshal(d.copied().canonical())
	if err != nil {
		panic("internal error: a policy document is always JSON: " + err.Error())
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

func (d Document) canonical() map[string]any {
	return map[string]any{
		"description":            d.Description,
		"owner":                  d.Owner,
		"allowed_types":          d.AllowedTypes,
		"min_strength_bits":      d.MinStrengthBits,
		"deny_after":             d.DenyAfter,
		"exportable":             d.Exportable,
		"allow_plaintext_backup": d.AllowPlaintextBackup,
		"hsm":                    d.HSM,
		"rotation_mode":          d.RotationMode,
		"rotation_period":        d.RotationPeriod.Text,
		"rotation_schedule":      d.RotationSchedule,
		"rotation_zone":          d.RotationZone,
		"rotation_jitter":        d.RotationJitter.Text,
		"rotation_window":        d.RotationWindow,
		"rotation_window_length": d.RotationWindowLength.Text,
		"rotation_retry_base":    d.RotationRetryBase.Text,
		"rotation_retry_max":     d.RotationRetryMax.Text,
		"rotation_retry_cycles":  d.RotationRetryCycles,
		"max_encryptions":        d.MaxEncryptions,
		"max_bytes":              d.MaxBytes,
		"on_limit":               d.OnLimit,
		"pre_checks":             d.PreChecks,
		"post_checks":            d.PostChecks,
		"allow_pinned_encrypt":   d.AllowPinnedEncrypt,
		"staging_time":           d.StagingTime.Text,
		"rollback_window":        d.RollbackWindow.Text,
		"originator_period":      d.OriginatorPeriod.Text,
		"recipient_period":       d.RecipientPeriod.Text,
		"archive_after":          d.ArchiveAfter.Text,
		"retire_after":           d.RetireAfter.Text,
		"quiet_period":           d.QuietPeriod.Text,
		"destroy_delay":          d.DestroyDelay.Text,
		"min_versions_kept":      d.MinVersionsKept,
		"compromised_processing": d.CompromisedProcessing,
		"suspended_processing":   d.SuspendedProcessing,
		"require_reason":         d.RequireReason,
		"reason_pattern":         d.ReasonPattern,
		"labels":                 d.Labels,
		"compliance":             d.Compliance,
	}
}
