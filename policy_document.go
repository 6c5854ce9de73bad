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
)

// The fields of a document by their kinds. Writing and reading both go by these tables, so that a field cannot be
// written and not read.

// spans are those that hold a length of time.
func spans(doc *lifecycle.Document) map[string]*lifecycle.Span {
	return map[string]*lifecycle.Span{
		fRotationPeriod.name: &doc.RotationPeriod, fWindowLength.name: &doc.RotationWindowLength,
		fRetryBase.name: &doc.RotationRetryBase, fRetryMax.name: &doc.RotationRetryMax, fStaging.name: &doc.StagingTime,
		fRollbackWindow.name: &doc.RollbackWindow, fOriginator.name: &doc.OriginatorPeriod, fRecipient.name: &doc.RecipientPeriod,
		fArchiveAfter.name: &doc.ArchiveAfter, fRetireAfter.name: &doc.RetireAfter, fQuietPeriod.name: &doc.QuietPeriod,
		fDestroyDelay.name: &doc.DestroyDelay,
	}
}

func texts(doc *lifecycle.Document) map[string]*string {
	return map[string]*string{
		fDescription.name: &doc.Description, fPolicyOwner.name: &doc.Owner, fHSM.name: (*string)(&doc.HSM),
		fReasonPattern.name: &doc.ReasonPattern, fRotationMode.name: (*string)(&doc.RotationMode),
		fRotationSchedule.name: &doc.RotationSchedule, fRotationZone.name: &doc.RotationZone,
		fRotationWindow.name: &doc.RotationWindow, fOnLimit.name: (*string)(&doc.OnLimit),
		fCompromisedUse.name: (*string)(&doc.CompromisedProcessing), fSuspendedUse.name: (*string)(&doc.SuspendedProcessing),
	}
}

func numbers(doc *lifecycle.Document) map[string]*int {
	return map[string]*int{
		fMinStrength.name: &doc.MinStrengthBits, fRetryCycles.name: &doc.RotationRetryCycles, fMinKept.name: &doc.MinVersionsKept,
	}
}

func largeNumbers(doc *lifecycle.Document) map[string]*int64 {
	return map[string]*int64{fMaxEncryptions.name: &doc.MaxEncryptions, fMaxBytes.name: &doc.MaxBytes}
}

func flags(doc *lifecycle.Document) map[string]*bool {
	return map[string]*bool{
		fMayExport.name: &doc.Exportable, fMayBackup.name: &doc.AllowPlaintextBackup, fPinned.name: &doc.AllowPinnedEncrypt,
	}
}

func lists(doc *lifecycle.Document) map[string]*[]string {
	return map[string]*[]string{
		fRequireReason.name: &doc.RequireReason, fPreChecks.name: &doc.PreChecks, fPostChecks.name: &doc.PostChecks,
		fCompliance.name: &doc.Compliance,
	}
}

// editPolicy lays the fields of a request over a document. A document in HCL replaces it as a whole.
func editPolicy(c *request, doc lifecycle.Document) (lifecycle.Document, error) {
	content := c.content()
	text := fDocument.lookupNonNull(c)
	if text == nil || *text == "" {
		edited, err := editFields(c, doc)
		if text != nil || len(content) > 0 {
			edited.Source = ""
		}
		return edited, err
	}
	if len(content) > 0 {
		return doc, lifecycle.InvalidField(fDocument.name, *text, "is the whole policy and excludes "+content[0])
	}
	attributes, err := parseHCL(*text)
	if err != nil {
		return doc, err
	}
	written, err := editFields(attributes, lifecycle.DefaultDocument())
	written.Source = *text
	return written, err
}

// content names the fields of a policy's content that the request gives.
func (c *request) content() []string {
	return slices.DeleteFunc(sorted(contentFields), func(name string) bool { return c.Raw[name] == nil })
}

// editFields is where what is written becomes a document, whether it was written as fields or as HCL.
func editFields(c *request, doc lifecycle.Document) (lifecycle.Document, error) {
	if err := c.checkContent(); err != nil {
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
	if names := fAllowedTypes.lookupNonNull(c); names != nil {
		doc.AllowedTypes = as[lifecycle.Type](*names)
	}
	if dates := fDenyAfter.lookupNonNull(c); dates != nil {
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
func dropOtherSchedule(c *request, doc lifecycle.Document) lifecycle.Document {
	schedule, period := fRotationSchedule.lookupNonNull(c), fRotationPeriod.lookupNonNull(c)
	switch {
	case schedule != nil && *schedule != "" && period == nil:
		doc.RotationPeriod = lifecycle.Span{Text: "0"}
	case period != nil && doc.RotationPeriod.Duration != 0 && schedule == nil:
		doc.RotationSchedule = ""
	}
	return doc
}

// editSpans reads the lengths of time.
func editSpans(c *request, doc *lifecycle.Document) (err error) {
	targets := spans(doc)
	for _, name := range sorted(targets) {
		text := field[string]{name: name}.lookupNonNull(c)
		if text == nil {
			continue
		}
		if *text == "" && (name == fRollbackWindow.name || name == fOriginator.name) {
			*targets[name] = lifecycle.Span{}
			continue
		}
		if *targets[name], err = lifecycle.ParseSpan(name, *text); err != nil {
			return err
		}
	}
	if text := fRotationJitter.lookupNonNull(c); text != nil {
		doc.RotationJitter, err = lifecycle.ParseJitter(fRotationJitter.name, *text)
	}
	return err
}

// assign sets the targets that the request gives.
func assign[T any](c *request, targets map[string]*T) {
	for name, target := range targets {
		if value := (field[T]{name: name}).lookupNonNull(c); value != nil {
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
		fAllowedTypes.name:   as[string](doc.AllowedTypes),
		fRotationJitter.name: asWritten(doc.RotationJitter.Text),
		fLabels.name:         labelsOf(doc.Labels),
	}
	dates := make(map[string]string, len(doc.DenyAfter))
	for t, date := range doc.DenyAfter {
		dates[string(t)] = date
	}
	data[fDenyAfter.name] = dates
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
		fPolicyName.name: p.Name, fDocument.name: p.Source, fPolicyRevision.name: p.Revision, "hash": p.Hash,
		"created_time": timeText(p.Created),
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
