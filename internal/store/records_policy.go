// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// policyRecord is policies/<name> and revisions/<name>/<n>: spans and jitter as their author wrote them.
type policyRecord struct {
	Schema          int       `json:"schema"`
	Revision        int       `json:"revision"`
	Hash            string    `json:"hash"`
	Created         time.Time `json:"created"`
	Description     string    `json:"description"`
	Owner           string    `json:"owner"`
	AllowedTypes    []string  `json:"allowed_types"`
	MinStrengthBits int       `json:"min_strength_bits"`
	RotationPeriod  string    `json:"rotation_period"`
	RotationJitter  string    `json:"rotation_jitter"`
	RotationMode    string    `json:"rotation_mode"`

	AllowPinnedEncrypt    bool     `json:"allow_pinned_encrypt"`
	StagingTime           string   `json:"staging_time"`
	RollbackWindow        string   `json:"rollback_window"`
	OriginatorPeriod      string   `json:"originator_period"`
	ArchiveAfter          string   `json:"archive_after"`
	RetireAfter           string   `json:"retire_after"`
	QuietPeriod           string   `json:"quiet_period"`
	DestroyDelay          string   `json:"destroy_delay"`
	MinVersionsKept       int      `json:"min_versions_kept"`
	CompromisedProcessing string   `json:"compromised_processing"`
	SuspendedProcessing   string   `json:"suspended_processing"`
	RequireReason         []string `json:"require_reason"`
}

func recordOfPolicy(p lifecycle.Policy) policyRecord {
	types := make([]string, len(p.AllowedTypes))
	for i, t := range p.AllowedTypes {
		types[i] = string(t)
	}
	return policyRecord{
		Schema: schema, Revision: p.Revision, Hash: p.Hash, Created: p.Created,
		Description: p.Description, Owner: p.Owner, AllowedTypes: types, MinStrengthBits: p.MinStrengthBits,
		RotationPeriod: p.RotationPeriod.Text, RotationJitter: p.RotationJitter.Text, RotationMode: string(p.RotationMode),
		AllowPinnedEncrypt: p.AllowPinnedEncrypt, StagingTime: p.StagingTime.Text, RollbackWindow: p.RollbackWindow.Text,
		OriginatorPeriod: p.OriginatorPeriod.Text, ArchiveAfter: p.ArchiveAfter.Text, RetireAfter: p.RetireAfter.Text,
		QuietPeriod: p.QuietPeriod.Text, DestroyDelay: p.DestroyDelay.Text, MinVersionsKept: p.MinVersionsKept,
		CompromisedProcessing: string(p.CompromisedProcessing), SuspendedProcessing: string(p.SuspendedProcessing),
		RequireReason: p.RequireReason,
	}
}

// policy reads the record back. The stored hash is kept: it names the revision also where a later release digests
// more fields.
func (r policyRecord) policy(name string) (lifecycle.Policy, error) {
	jitter, err := lifecycle.ParseJitter("rotation_jitter", r.RotationJitter)
	if err != nil {
		return lifecycle.Policy{}, ErrCorrupt
	}
	doc := lifecycle.Document{
		Description: r.Description, Owner: r.Owner, AllowedTypes: typesOf(r.AllowedTypes), MinStrengthBits: r.MinStrengthBits,
		RotationJitter: jitter, RotationMode: lifecycle.Mode(r.RotationMode),
		AllowPinnedEncrypt: r.AllowPinnedEncrypt, MinVersionsKept: r.MinVersionsKept,
		CompromisedProcessing: lifecycle.Rule(r.CompromisedProcessing), SuspendedProcessing: lifecycle.Rule(r.SuspendedProcessing),
		RequireReason: r.RequireReason,
	}
	for _, span := range []struct {
		target *lifecycle.Span
		text   string
	}{
		{&doc.RotationPeriod, r.RotationPeriod},
		{&doc.StagingTime, r.StagingTime},
		{&doc.RollbackWindow, r.RollbackWindow},
		{&doc.OriginatorPeriod, r.OriginatorPeriod},
		{&doc.ArchiveAfter, r.ArchiveAfter},
		{&doc.RetireAfter, r.RetireAfter},
		{&doc.QuietPeriod, r.QuietPeriod},
		{&doc.DestroyDelay, r.DestroyDelay},
	} {
		if span.text == "" {
			continue
		}
		if *span.target, err = lifecycle.ParseSpan("span", span.text); err != nil {
			return lifecycle.Policy{}, ErrCorrupt
		}
	}
	return lifecycle.Policy{Name: name, Revision: r.Revision, Hash: r.Hash, Created: r.Created, Document: doc}, nil
}

func typesOf(names []string) []lifecycle.Type {
	types := make([]lifecycle.Type, len(names))
	for i, name := range names {
		types[i] = lifecycle.Type(name)
	}
	return types
}
