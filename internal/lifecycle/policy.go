// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mode says who rotates a key when it is due.
type Mode string

// The rotation modes of a policy.
const (
	Auto   Mode = "auto"   // the engine rotates
	Manual Mode = "manual" // an operator rotates; the engine raises "overdue"
	Notify Mode = "notify" // as manual, for keys whose rotation another system drives
)

// Document is the text of a policy as its author wrote it. Field names are those of the API.
type Document struct {
	Description     string
	Owner           string
	AllowedTypes    []Type // empty: any
	MinStrengthBits int    // SP 800-57 Part 1 Rev 5, section 5.6.1
	RotationPeriod  Span   // 0: no rotation
	RotationJitter  Jitter
	RotationMode    Mode

	AllowPinnedEncrypt    bool // a version that is not the active one may encrypt for callers who name it
	StagingTime           Span // how long a new version is pre-active; 0: not at all
	RollbackWindow        Span // after a promotion; no text: a day, at most a quarter of the period
	OriginatorPeriod      Span // SP 800-57 Part 1 Rev 5, 5.3.4; no text: a year, or the rotation period if that is longer
	ArchiveAfter          Span // after deactivation; 0: never by the clock
	RetireAfter           Span // after archiving; 0: never by the clock
	QuietPeriod           Span // without denied uses before a version is retired
	DestroyDelay          Span // between retiring and destroying
	MinVersionsKept       int  // readable versions that archiving leaves
	CompromisedProcessing Rule
	SuspendedProcessing   Rule
	RequireReason         []string // operations that need a reason
}

// Rule allows or denies.
type Rule string

// The two rules.
const (
	Allow Rule = "allow"
	Deny  Rule = "deny"
)

// DefaultDocument is what the fields hold that an author leaves out.
func DefaultDocument() Document {
	return Document{
		MinStrengthBits: 112, // the least that SP 800-131A Rev 2 allows
		RotationPeriod:  Span{"90d", 90 * 24 * time.Hour},
		RotationJitter:  Jitter{Text: "5%", percent: 5},
		RotationMode:    Auto,

		StagingTime:           Span{Text: "0"},
		ArchiveAfter:          Span{Text: "0"},
		RetireAfter:           Span{Text: "0"},
		QuietPeriod:           Span{"14d", 14 * 24 * time.Hour},
		DestroyDelay:          Span{"30d", 30 * 24 * time.Hour},
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
	Hash     string // hex SHA-256 of the canonical JSON of the document
	Created  time.Time
	Document
}

// NewPolicy checks the document and returns it as a revision. The error is [ErrInvalid].
func NewPolicy(name string, revision int, doc Document, at time.Time) (Policy, error) {
	if err := doc.check(); err != nil {
		return Policy{}, err
	}
	// Never nil: none given and an empty list are one content.
	doc.AllowedTypes = append([]Type{}, doc.AllowedTypes...)
	doc.RequireReason = append([]string{}, doc.RequireReason...)
	return Policy{Name: name, Revision: revision, Hash: doc.hash(), Created: at, Document: doc}, nil
}

func (d Document) check() error {
	for _, check := range []func(Document) error{Document.checkText, Document.checkRotation, Document.checkTypes, Document.checkStates} {
		if err := check(d); err != nil {
			return err
		}
	}
	return nil
}

func (d Document) checkText() error {
	const longestOwner, longestDescription = 256, 4096
	switch {
	case d.Owner == "":
		return InvalidField("owner", "", "a policy needs an owner")
	case len(d.Owner) > longestOwner:
		return InvalidField("owner", d.Owner, "at most 256 bytes")
	case len(d.Description) > longestDescription:
		return InvalidField("description", d.Description, "at most 4096 bytes")
	}
	return nil
}

func (d Document) checkRotation() error {
	const shortestPeriod = time.Minute
	period, jitter := d.RotationPeriod.Duration, d.RotationJitter.Of(d.RotationPeriod.Duration)
	switch {
	case period != 0 && period < shortestPeriod:
		return InvalidField("rotation_period", d.RotationPeriod.Text, "must be 0 (no rotation) or at least 1m")
	case jitter > period/(100/maxJitterPercent):
		return InvalidField("rotation_jitter", d.RotationJitter.Text, "must be at most 25% of rotation_period, which is "+d.RotationPeriod.Text)
	case !slices.Contains([]Mode{Auto, Manual, Notify}, d.RotationMode):
		return InvalidField("rotation_mode", string(d.RotationMode), "must be auto, manual or notify")
	}
	return nil
}

func (d Document) checkTypes() error {
	if d.MinStrengthBits < 0 || d.MinStrengthBits > 256 {
		return InvalidField("min_strength_bits", d.MinStrengthBits, "must be between 0 and 256")
	}
	for _, t := range d.AllowedTypes {
		if _, err := ParseType(string(t)); err != nil {
			return InvalidField("allowed_types", string(t), "unknown key type; known are "+strings.Join(TypeNames(), ", "))
		}
		if t.StrengthBits() < d.MinStrengthBits {
			return InvalidField("allowed_types", string(t), "has "+strconv.Itoa(t.StrengthBits())+" bits of strength, less than min_strength_bits")
		}
	}
	return nil
}

// hash digests the document as JSON with sorted field names, each value as its author wrote it.
func (d Document) hash() string {
	canonical, err := json.Marshal(map[string]any{
		"allowed_types":     d.AllowedTypes,
		"description":       d.Description,
		"min_strength_bits": d.MinStrengthBits,
		"owner":             d.Owner,
		"rotation_jitter":   d.RotationJitter.Text,
		"rotation_mode":     d.RotationMode,
		"rotation_period":   d.RotationPeriod.Text,

		"allow_pinned_encrypt":   d.AllowPinnedEncrypt,
		"staging_time":           d.StagingTime.Text,
		"rollback_window":        d.RollbackWindow.Text,
		"originator_period":      d.OriginatorPeriod.Text,
		"archive_after":          d.ArchiveAfter.Text,
		"retire_after":           d.RetireAfter.Text,
		"quiet_period":           d.QuietPeriod.Text,
		"destroy_delay":          d.DestroyDelay.Text,
		"min_versions_kept":      d.MinVersionsKept,
		"compromised_processing": d.CompromisedProcessing,
		"suspended_processing":   d.SuspendedProcessing,
		"require_reason":         d.RequireReason,
	})
	if err != nil {
		panic("internal error: a policy document is always JSON: " + err.Error())
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// Admits reports whether a key of that type may be bound to the policy and get new versions under it. The error is
// [ErrRefused] and names field, value and rule.
func (p Policy) Admits(t Type) error {
	if len(p.AllowedTypes) > 0 && !slices.Contains(p.AllowedTypes, t) {
		return Refusedf("type: %q: policy %q (revision %d) does not allow this type in allowed_types", string(t), p.Name, p.Revision)
	}
	if t.StrengthBits() < p.MinStrengthBits {
		return Refusedf("type: %q: has %d bits of strength; policy %q (revision %d) demands min_strength_bits %d", string(t), t.StrengthBits(), p.Name, p.Revision, p.MinStrengthBits)
	}
	return nil
}
