// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// policyRecord is policies/<name> and revisions/<name>/<n>: spans and jitter as their author wrote them. No field may be
// omitempty (see fieldsOf).
type policyRecord struct {
	Schema       int           `json:"schema"`
	Revision     int           `json:"revision"`
	Hash         string        `json:"hash"`
	Created      time.Time     `json:"created"`
	LooserBefore time.Time     `json:"looser_before"` // an earlier revision's longer quiet period goes on for denials before
	LooserQuiet  time.Duration `json:"looser_quiet"`

	Description          string            `json:"description"`
	Owner                string            `json:"owner"`
	AllowedTypes         []string          `json:"allowed_types"`
	MinStrengthBits      int               `json:"min_strength_bits"`
	DenyAfter            map[string]string `json:"deny_after"`
	Exportable           bool              `json:"exportable"`
	AllowPlaintextBackup bool              `json:"allow_plaintext_backup"`
	HSM                  string            `json:"hsm"`

	RotationMode        string   `json:"rotation_mode"`
	RotationSchedule    string   `json:"rotation_schedule"`
	RotationZone        string   `json:"rotation_zone"`
	RotationJitter      string   `json:"rotation_jitter"`
	RotationWindow      string   `json:"rotation_window"`
	RotationRetryCycles int      `json:"rotation_retry_cycles"`
	MaxEncryptions      int64    `json:"max_encryptions"`
	MaxBytes            int64    `json:"max_bytes"`
	OnLimit             string   `json:"on_limit"`
	PreChecks           []string `json:"pre_checks"`
	PostChecks          []string `json:"post_checks"`

	AllowPinnedEncrypt    bool              `json:"allow_pinned_encrypt"`
	MinVersionsKept       int               `json:"min_versions_kept"`
	CompromisedProcessing string            `json:"compromised_processing"`
	SuspendedProcessing   string            `json:"suspended_processing"`
	RequireReason         []string          `json:"require_reason"`
	ReasonPattern         string            `json:"reason_pattern"`
	Labels                map[string]string `json:"labels"`
	Compliance            []string          `json:"compliance"`
	Source                string            `json:"source"` // HCL
	spansRecord
}

// spansRecord is a part of policyRecord; its fields stand in the record itself.
type spansRecord struct {
	RotationPeriod       string `json:"rotation_period"`
	RotationWindowLength string `json:"rotation_window_length"`
	RotationRetryBase    string `json:"rotation_retry_base"`
	RotationRetryMax     string `json:"rotation_retry_max"`
	StagingTime          string `json:"staging_time"`
	RollbackWindow       string `json:"rollback_window"`
	OriginatorPeriod     string `json:"originator_period"`
	RecipientPeriod      string `json:"recipient_period"`
	ArchiveAfter         string `json:"archive_after"`
	RetireAfter          string `json:"retire_after"`
	QuietPeriod          string `json:"quiet_period"`
	DestroyDelay         string `json:"destroy_delay"`
}

func recordOfPolicy(p lifecycle.Policy) policyRecord {
	return policyRecord{
		Schema: schema, Revision: p.Revision, Hash: p.Hash, Created: p.Created,
		LooserBefore: p.LongerQuiet.Before, LooserQuiet: p.LongerQuiet.Quiet,
		Description: p.Description, Owner: p.Owner, AllowedTypes: namesOf(p.AllowedTypes), MinStrengthBits: p.MinStrengthBits,
		DenyAfter: keyed[string](p.DenyAfter), Exportable: p.Exportable, AllowPlaintextBackup: p.AllowPlaintextBackup, HSM: string(p.HSM),
		RotationMode: string(p.RotationMode), RotationSchedule: p.RotationSchedule, RotationZone: p.RotationZone,
		RotationJitter: p.RotationJitter.Text, RotationWindow: p.RotationWindow, RotationRetryCycles: p.RotationRetryCycles,
		MaxEncryptions: p.MaxEncryptions, MaxBytes: p.MaxBytes, OnLimit: string(p.OnLimit),
		PreChecks: p.PreChecks, PostChecks: p.PostChecks,
		AllowPinnedEncrypt: p.AllowPinnedEncrypt, MinVersionsKept: p.MinVersionsKept,
		CompromisedProcessing: string(p.CompromisedProcessing), SuspendedProcessing: string(p.SuspendedProcessing),
		RequireReason: p.RequireReason, ReasonPattern: p.ReasonPattern, Labels: p.Labels, Compliance: p.Compliance, Source: p.Source,
		spansRecord: spansRecord{
			RotationPeriod: p.RotationPeriod.Text, RotationWindowLength: p.RotationWindowLength.Text,
			RotationRetryBase: p.RotationRetryBase.Text, RotationRetryMax: p.RotationRetryMax.Text,
			StagingTime: p.StagingTime.Text, RollbackWindow: p.RollbackWindow.Text, OriginatorPeriod: p.OriginatorPeriod.Text,
			RecipientPeriod: p.RecipientPeriod.Text, ArchiveAfter: p.ArchiveAfter.Text, RetireAfter: p.RetireAfter.Text,
			QuietPeriod: p.QuietPeriod.Text, DestroyDelay: p.DestroyDelay.Text,
		},
	}
}

// policy reads the record back. The stored hash is kept: it names the revision also where a later release digests
// more fields.
func (r policyRecord) policy(name string) (lifecycle.Policy, error) {
	doc := lifecycle.Document{
		Description: r.Description, Owner: r.Owner, AllowedTypes: typesOf(r.AllowedTypes), MinStrengthBits: r.MinStrengthBits,
		DenyAfter: keyed[lifecycle.Type](r.DenyAfter), Exportable: r.Exportable, AllowPlaintextBackup: r.AllowPlaintextBackup,
		HSM: lifecycle.Requirement(r.HSM), RotationMode: lifecycle.RotationMode(r.RotationMode), RotationSchedule: r.RotationSchedule,
		RotationZone: r.RotationZone, RotationWindow: r.RotationWindow, RotationRetryCycles: r.RotationRetryCycles,
		MaxEncryptions: r.MaxEncryptions, MaxBytes: r.MaxBytes, OnLimit: lifecycle.OnLimit(r.OnLimit),
		PreChecks: r.PreChecks, PostChecks: r.PostChecks,
		AllowPinnedEncrypt: r.AllowPinnedEncrypt, MinVersionsKept: r.MinVersionsKept,
		CompromisedProcessing: lifecycle.Permission(r.CompromisedProcessing), SuspendedProcessing: lifecycle.Permission(r.SuspendedProcessing),
		RequireReason: r.RequireReason, ReasonPattern: r.ReasonPattern, Labels: r.Labels, Compliance: r.Compliance, Source: r.Source,
	}
	if err := r.spans(&doc); err != nil {
		return lifecycle.Policy{}, inField(err)
	}
	p, err := lifecycle.StoredPolicy(lifecycle.Policy{
		Name: name, Revision: r.Revision, Hash: r.Hash, Created: r.Created, Document: doc,
		LongerQuiet: lifecycle.LongerQuietPeriod{Before: r.LooserBefore, Quiet: r.LooserQuiet},
	})
	return p, inField(err)
}

// inField says which field of a record is to blame, and not what it holds.
func inField(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", lifecycle.FieldOf(err), ErrCorrupt)
}

// spans reads the lengths of time into the document.
func (r policyRecord) spans(doc *lifecycle.Document) (err error) {
	if doc.RotationJitter, err = lifecycle.ParseJitter("rotation_jitter", r.RotationJitter); err != nil {
		return err
	}
	for _, span := range []struct {
		field  string
		target *lifecycle.Span
		text   string
	}{
		{"rotation_period", &doc.RotationPeriod, r.RotationPeriod},
		{"rotation_window_length", &doc.RotationWindowLength, r.RotationWindowLength},
		{"rotation_retry_base", &doc.RotationRetryBase, r.RotationRetryBase},
		{"rotation_retry_max", &doc.RotationRetryMax, r.RotationRetryMax},
		{"staging_time", &doc.StagingTime, r.StagingTime},
		{"rollback_window", &doc.RollbackWindow, r.RollbackWindow},
		{"originator_period", &doc.OriginatorPeriod, r.OriginatorPeriod},
		{"recipient_period", &doc.RecipientPeriod, r.RecipientPeriod},
		{"archive_after", &doc.ArchiveAfter, r.ArchiveAfter},
		{"retire_after", &doc.RetireAfter, r.RetireAfter},
		{"quiet_period", &doc.QuietPeriod, r.QuietPeriod},
		{"destroy_delay", &doc.DestroyDelay, r.DestroyDelay},
	} {
		if span.text == "" {
			continue
		}
		if *span.target, err = lifecycle.ParseSpan(span.field, span.text); err != nil {
			return err
		}
	}
	return nil
}

func namesOf(types []lifecycle.Type) []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return names
}

// keyed returns the map with keys of another kind of text.
func keyed[To, From ~string](from map[From]string) map[To]string {
	to := make(map[To]string, len(from))
	for key, value := range from {
		to[To(key)] = value
	}
	return to
}

func typesOf(names []string) []lifecycle.Type {
	types := make([]lifecycle.Type, len(names))
	for i, name := range names {
		types[i] = lifecycle.Type(name)
	}
	return types
}
