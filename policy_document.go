// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// The fields of a document by their kinds. Writing and reading both go by these tables, so that a field cannot be
// written and not read.

// spans are those that hold a length of time.
func spans(doc *lifecycle.Document) map[string]*lifecycle.Span {
	return map[string]*lifecycle.Span{
		fRotationPeriod.Name: &doc.RotationPeriod, fWindowLength.Name: &doc.RotationWindowLength,
		fRetryBase.Name: &doc.RotationRetryBase, fRetryMax.Name: &doc.RotationRetryMax, fStaging.Name: &doc.StagingTime,
		fRollbackWindow.Name: &doc.RollbackWindow, fOriginator.Name: &doc.OriginatorPeriod, fRecipient.Name: &doc.RecipientPeriod,
		fArchiveAfter.Name: &doc.ArchiveAfter, fRetireAfter.Name: &doc.RetireAfter, fQuietPeriod.Name: &doc.QuietPeriod,
		fDestroyDelay.Name: &doc.DestroyDelay,
	}
}

func texts(doc *lifecycle.Document) map[string]*string {
	return map[string]*string{
		fDescription.Name: &doc.Description, fPolicyOwner.Name: &doc.Owner, fHSM.Name: (*string)(&doc.HSM),
		fReasonPattern.Name: &doc.ReasonPattern, fRotationMode.Name: (*string)(&doc.RotationMode),
		fRotationSchedule.Name: &doc.RotationSchedule, fRotationZone.Name: &doc.RotationZone,
		fRotationWindow.Name: &doc.RotationWindow, fOnLimit.Name: (*string)(&doc.OnLimit),
		fCompromisedUse.Name: (*string)(&doc.CompromisedProcessing), fSuspendedUse.Name: (*string)(&doc.SuspendedProcessing),
	}
}

func numbers(doc *lifecycle.Document) map[string]*int {
	return map[string]*int{
		fMinStrength.Name: &doc.MinStrengthBits, fRetryCycles.Name: &doc.RotationRetryCycles, fMinKept.Name: &doc.MinVersionsKept,
	}
}

func largeNumbers(doc *lifecycle.Document) map[string]*int64 {
	return map[string]*int64{fMaxEncryptions.Name: &doc.MaxEncryptions, fMaxBytes.Name: &doc.MaxBytes}
}

func flags(doc *lifecycle.Document) map[string]*bool {
	return map[string]*bool{
		fMayExport.Name: &doc.Exportable, fMayBackup.Name: &doc.AllowPlaintextBackup, fPinned.Name: &doc.AllowPinnedEncrypt,
	}
}

func lists(doc *lifecycle.Document) map[string]*[]string {
	return map[string]*[]string{
		fRequireReason.Name: &doc.RequireReason, fPreChecks.Name: &doc.PreChecks, fPostChecks.Name: &doc.PostChecks,
		fCompliance.Name: &doc.Compliance,
	}
}

// policyHCL is how a policy is written as a whole.
var policyHCL = vaultapi.HCL{Field: fDocument.Name, Owner: "a policy", Fields: contentFields}

// editPolicy lays the fields of a request over a document. A document in HCL replaces it as a whole.
func editPolicy(c *request, doc lifecycle.Document) (lifecycle.Document, error) {
	content := c.Given(contentFields)
	text := fDocument.LookupNonNull(c)
	if text == nil || *text == "" {
		edited, err := editFields(&c.Source, doc)
		if text != nil || len(content) > 0 {
			edited.Source = ""
		}
		return edited, err
	}
	if len(content) > 0 {
		return doc, vaultapi.InvalidField(fDocument.Name, *text, "is the whole policy and excludes "+content[0])
	}
	attributes, err := policyHCL.Parse(*text)
	if err != nil {
		return doc, err
	}
	written, err := editFields(attributes, lifecycle.DefaultDocument())
	written.Source = *text
	return written, err
}

// editFields is where what is written becomes a document, whether it was written as fields or as HCL.
func editFields(c *vaultapi.Source, doc lifecycle.Document) (lifecycle.Document, error) {
	if err := c.CheckTexts(contentFields); err != nil {
		return doc, err
	}
	if err := editSpans(c, &doc); err != nil {
		return doc, err
	}
	assign(c, texts(&doc))
	assign(c, numbers(&doc))
	assign(c, largeNumbers(&doc))
	assign(c, flags(&doc))
	assign(c, lists(&doc))
	if names := fAllowedTypes.LookupNonNull(c); names != nil {
		doc.AllowedTypes = as[lifecycle.Type](*names)
	}
	if dates := fDenyAfter.LookupNonNull(c); dates != nil {
		doc.DenyAfter = map[lifecycle.Type]string{}
		for name, date := range *dates {
			doc.DenyAfter[lifecycle.Type(name)] = date
		}
	}
	if labels := labelsGiven(c); labels != nil {
		doc.Labels = labels
	}
	return dropOtherSchedule(c, doc), nil
}

// dropOtherSchedule drops the schedule or the period where only the other one is given: a key has one of them.
func dropOtherSchedule(c *vaultapi.Source, doc lifecycle.Document) lifecycle.Document {
	schedule, period := fRotationSchedule.LookupNonNull(c), fRotationPeriod.LookupNonNull(c)
	switch {
	case schedule != nil && *schedule != "" && period == nil:
		doc.RotationPeriod = lifecycle.Span{Text: "0"}
	case period != nil && doc.RotationPeriod.Duration != 0 && schedule == nil:
		doc.RotationSchedule = ""
	}
	return doc
}

// editSpans reads the lengths of time.
func editSpans(c *vaultapi.Source, doc *lifecycle.Document) (err error) {
	targets := spans(doc)
	for _, name := range sorted(targets) {
		text := vaultapi.Field[string]{Name: name}.LookupNonNull(c)
		if text == nil {
			continue
		}
		if *text == "" && (name == fRollbackWindow.Name || name == fOriginator.Name) {
			*targets[name] = lifecycle.Span{}
			continue
		}
		if *targets[name], err = lifecycle.ParseSpan(name, *text); err != nil {
			return err
		}
	}
	if text := fRotationJitter.LookupNonNull(c); text != nil {
		doc.RotationJitter, err = lifecycle.ParseJitter(fRotationJitter.Name, *text)
	}
	return err
}

// assign sets the targets that the request gives.
func assign[T any](c *vaultapi.Source, targets map[string]*T) {
	for name, target := range targets {
		if value := (vaultapi.Field[T]{Name: name}).LookupNonNull(c); value != nil {
			*target = *value
		}
	}
}

// encode adds the values of the targets to an answer.
func encode[T any](data map[string]any, targets map[string]*T) {
	for name, target := range targets {
		data[name] = *target
	}
}

// contentOf is what a policy says, as it was written.
func contentOf(doc lifecycle.Document) map[string]any {
	data := map[string]any{
		fAllowedTypes.Name:   as[string](doc.AllowedTypes),
		fRotationJitter.Name: asWritten(doc.RotationJitter.Text),
		fLabels.Name:         labelsOf(doc.Labels),
	}
	dates := make(map[string]string, len(doc.DenyAfter))
	for t, date := range doc.DenyAfter {
		dates[string(t)] = date
	}
	data[fDenyAfter.Name] = dates
	encode(data, texts(&doc))
	encode(data, numbers(&doc))
	encode(data, largeNumbers(&doc))
	encode(data, flags(&doc))
	for name, list := range lists(&doc) {
		data[name] = append([]string{}, *list...)
	}
	for name, span := range spans(&doc) {
		data[name] = asWritten(span.Text)
	}
	return data
}

func policyResponse(p lifecycle.Policy) *logical.Response {
	data := contentOf(p.Document)
	maps.Copy(data, map[string]any{
		fPolicyName.Name: p.Name, fDocument.Name: p.Source, fPolicyRevision.Name: p.Revision, "hash": p.Hash,
		"created_time": vaultapi.Time(p.Created),
	})
	return &logical.Response{Data: data}
}

// asWritten shows a number of seconds as the number it was, so that configuration tools see no difference.
func asWritten(text string) any {
	if seconds, err := strconv.Atoi(text); err == nil {
		return seconds
	}
	return text
}

// as returns a list with elements of another kind of text, never nil.
func as[To, From ~string](list []From) []To {
	out := make([]To, len(list))
	for i, value := range list {
		out[i] = To(value)
	}
	return out
}

// sorted returns the keys of a map in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
