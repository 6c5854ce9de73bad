// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// policyRecord is policies/<name> and revisions/<name>/<n>: the head, and beside it each field of the policy under its own
// name, as its author wrote it. No field may be omitempty (see fieldsOf), but for those that are sparse.
type policyRecord struct {
	policyHead
	source  string         // HCL
	content map[string]any // plain values by the names of fields
}

type policyHead struct {
	Schema       int           `json:"schema"`
	Revision     int           `json:"revision"`
	Hash         string        `json:"hash"`
	Created      time.Time     `json:"created"`
	LooserBefore time.Time     `json:"looser_before"` // an earlier revision's longer quiet period goes on for denials before
	LooserQuiet  time.Duration `json:"looser_quiet"`
	Author       string        `json:"author,omitempty"`
	journaled
}

// source is the name under which a record has the text of a policy in HCL.
const source = "source"

// firstFields are the fields that the first release stored, in its order, which the bytes of a record keep. Others follow.
var firstFields = []string{
	"description", "owner", "allowed_types", "min_strength_bits", "deny_after", "exportable", "allow_plaintext_backup", "hsm",
	"rotation_mode", "rotation_schedule", "rotation_zone", "rotation_jitter", "rotation_window", "rotation_retry_cycles",
	"max_encryptions", "max_bytes", "on_limit", "pre_checks", "post_checks",
	"allow_pinned_encrypt", "min_versions_kept", "compromised_processing", "suspended_processing", "require_reason",
	"reason_pattern", "labels", "compliance", source,
}

// recordOrder are the names beside the head of a record.
var recordOrder = orderedNames(policy.Fields())

func orderedNames(fields []policy.Field) []string {
	names := slices.Clone(firstFields)
	for _, f := range fields {
		if !slices.Contains(names, f.Name) {
			names = append(names, f.Name)
		}
	}
	return names
}

// MarshalJSON implements [json.Marshaler].
func (r policyRecord) MarshalJSON() ([]byte, error) {
	head, err := json.Marshal(r.policyHead)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBuffer(bytes.TrimSuffix(head, []byte("}")))
	for _, name := range recordOrder {
		value, said := r.content[name]
		switch {
		case name == source:
			value = r.source
		case !said:
			continue
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(out, ",%q:%s", name, text)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// UnmarshalJSON implements [json.Unmarshaler].
func (r *policyRecord) UnmarshalJSON(data []byte) error {
	stored := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	if err := json.Unmarshal(data, &r.policyHead); err != nil {
		return err
	}
	if text, ok := stored[source]; ok {
		if err := json.Unmarshal(text, &r.source); err != nil {
			return err
		}
	}
	r.content = make(map[string]any, len(stored))
	for _, f := range policy.Fields() {
		value, err := f.Parse(stored[f.Name])
		if err != nil {
			return err
		}
		r.content[f.Name] = value
	}
	return nil
}

func recordOfPolicy(p policy.Policy, by journaled) policyRecord {
	content := map[string]any{}
	for _, f := range policy.Fields() {
		if !f.LeftOut(p.Document) {
			content[f.Name] = f.Value(p.Document)
		}
	}
	return policyRecord{
		policyHead: policyHead{
			Schema: schema, Revision: p.Revision, Hash: p.Hash, Created: p.Created,
			LooserBefore: p.LongerQuiet.Before, LooserQuiet: p.LongerQuiet.Quiet, Author: p.Author, journaled: by,
		},
		source: p.Source, content: content,
	}
}

// policy reads the record back. The stored hash is kept: it names the revision also where a later release digests
// more fields.
func (r policyRecord) policy(name string) (policy.Policy, error) {
	doc := policy.Document{Source: r.source}
	for _, f := range policy.Fields() {
		value := r.content[f.Name]
		if f.Kind == policy.Span && value == "" {
			continue // nothing said
		}
		if err := f.Set(&doc, value); err != nil {
			return policy.Policy{}, inField(err)
		}
	}
	p, err := policy.Stored(policy.Policy{
		Name: name, Revision: r.Revision, Hash: r.Hash, Created: r.Created, Author: r.Author, Document: doc,
		LongerQuiet: policy.LongerQuietPeriod{Before: r.LooserBefore, Quiet: r.LooserQuiet},
	})
	return p, inField(err)
}

// inField says which field of a record is to blame, and not what it holds.
func inField(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", refusal.FieldOf(err), ErrCorrupt)
}
