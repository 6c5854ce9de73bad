// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"strconv"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// spans are the fields of a document that hold a length of time.
func spans(doc *lifecycle.Document) map[string]*lifecycle.Span {
	return map[string]*lifecycle.Span{
		fRotationPeriod.name: &doc.RotationPeriod, fStaging.name: &doc.StagingTime, fRollbackWindow.name: &doc.RollbackWindow,
		fOriginator.name: &doc.OriginatorPeriod, fArchiveAfter.name: &doc.ArchiveAfter, fRetireAfter.name: &doc.RetireAfter,
		fQuietPeriod.name: &doc.QuietPeriod, fDestroyDelay.name: &doc.DestroyDelay,
	}
}

// editPolicy lays the fields of a request over a document.
func editPolicy(c *call, doc lifecycle.Document) (lifecycle.Document, error) {
	var err error
	for name, target := range spans(&doc) {
		text := field[string]{name: name}.set(c)
		if text == nil {
			continue
		}
		if *text == "" && (name == fRollbackWindow.name || name == fOriginator.name) {
			*target = lifecycle.Span{}
			continue
		}
		if *target, err = lifecycle.ParseSpan(name, *text); err != nil {
			return doc, err
		}
	}
	if text := fRotationJitter.set(c); text != nil {
		if doc.RotationJitter, err = lifecycle.ParseJitter("rotation_jitter", *text); err != nil {
			return doc, err
		}
	}
	set(&doc.Owner, fPolicyOwner.set(c))
	set(&doc.Description, fDescription.set(c))
	set(&doc.MinStrengthBits, fMinStrength.set(c))
	set(&doc.MinVersionsKept, fMinKept.set(c))
	set(&doc.AllowPinnedEncrypt, fPinned.set(c))
	set(&doc.RequireReason, fRequireReason.set(c))
	set((*string)(&doc.RotationMode), fRotationMode.set(c))
	set((*string)(&doc.CompromisedProcessing), fCompromisedUse.set(c))
	set((*string)(&doc.SuspendedProcessing), fSuspendedUse.set(c))
	if names := fAllowedTypes.set(c); names != nil {
		doc.AllowedTypes = make([]lifecycle.Type, len(*names))
		for i, name := range *names {
			doc.AllowedTypes[i] = lifecycle.Type(name)
		}
	}
	return doc, nil
}

func set[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

func policyResponse(p lifecycle.Policy) *logical.Response {
	types := make([]string, len(p.AllowedTypes))
	for i, t := range p.AllowedTypes {
		types[i] = string(t)
	}
	data := map[string]any{
		"name":                   p.Name,
		"description":            p.Description,
		"owner":                  p.Owner,
		"allowed_types":          types,
		"min_strength_bits":      p.MinStrengthBits,
		"rotation_jitter":        asWritten(p.RotationJitter.Text),
		"rotation_mode":          string(p.RotationMode),
		"allow_pinned_encrypt":   p.AllowPinnedEncrypt,
		"min_versions_kept":      p.MinVersionsKept,
		"compromised_processing": string(p.CompromisedProcessing),
		"suspended_processing":   string(p.SuspendedProcessing),
		"require_reason":         append([]string{}, p.RequireReason...),
		"revision":               p.Revision,
		"hash":                   p.Hash,
		"created_time":           timeText(p.Created),
	}
	for name, span := range spans(&p.Document) {
		data[name] = asWritten(span.Text)
	}
	return &logical.Response{Data: data}
}

// asWritten shows a number of seconds as the number it was, so that configuration tools see no difference.
func asWritten(text string) any {
	if seconds, err := strconv.Atoi(text); err == nil {
		return seconds
	}
	return text
}
