// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fPolicyName = vaultapi.Text("name", "Name of the policy.")
	fDocument   = vaultapi.Text("document", "The whole policy as HCL, with the fields of this path as attributes; what it does not say gets its default. Excludes all other fields of a policy.")
)

// contentField is a field of what a policy says: an attribute of a document, and a field of a write.
type contentField struct {
	policy.Field
	vaultapi.Declared
	given func(from *vaultapi.Source) (value any, ok bool)
}

// policyContent is what a policy says.
var policyContent = declareAll(policy.Fields())

func declareAll(rows []policy.Field) []contentField {
	declared := make([]contentField, len(rows))
	for i, f := range rows {
		declared[i] = declare(f)
	}
	return declared
}

// declare says how the API takes the values of a kind.
func declare(f policy.Field) contentField {
	switch f.Kind {
	case policy.Span, policy.Jitter:
		return declared(f, vaultapi.Text(f.Name, f.Help).OrSeconds())
	case policy.Flag:
		return declared(f, vaultapi.Bool(f.Name, f.Help))
	case policy.Number:
		return declared(f, vaultapi.Int(f.Name, f.Help))
	case policy.LargeNumber:
		return declared(f, vaultapi.Int64(f.Name, f.Help))
	case policy.List:
		return declared(f, vaultapi.Texts(f.Name, f.Help))
	case policy.Map:
		return declared(f, vaultapi.Pairs(f.Name, f.Help))
	default:
		return declared(f, vaultapi.Text(f.Name, f.Help))
	}
}

func declared[T any](f policy.Field, as vaultapi.Field[T]) contentField {
	if value, ok := f.Default.(T); ok {
		as = as.Or(value)
	}
	if f.Name == "rotation_window" {
		as = as.Rule(noLength)
	}
	given := func(from *vaultapi.Source) (any, bool) {
		value := as.LookupNonNull(from)
		if value == nil {
			return nil, false
		}
		return *value, true
	}
	return contentField{f, as, given}
}

// noLength refuses a length of time, which is what a field named window holds in other engines of Vault.
func noLength(raw any) string {
	if _, err := schedule.ParseSpan(fmt.Sprint(raw)); err != nil {
		return ""
	}
	return "must be a cron expression of five fields: when the window opens; how long it is open is rotation_window_length"
}

var (
	contentFields = contentSchema(policyContent)
	policyFields  = contentFields.With(fPolicyName, fDocument, fPolicyRevision,
		vaultapi.Text("hash", "SHA-256 of the revision's content as canonical JSON, in hex."),
		fPolicyMade)
)

func contentSchema(content []contentField) (fields vaultapi.Fields) {
	for _, f := range content {
		fields = fields.With(f.Declared)
	}
	return fields
}

// policyHCL is how a policy is written as a whole.
var policyHCL = vaultapi.HCL{Field: fDocument.Name, Owner: "a policy", Fields: contentFields}

// editPolicy lays the fields of a request over a document. A document in HCL replaces it as a whole.
func editPolicy(c *request, doc policy.Document) (policy.Document, error) {
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
	written, err := editFields(attributes, policy.DefaultDocument())
	written.Source = *text
	return written, err
}

// editFields is where what is written becomes a document, whether it was written as fields or as HCL.
func editFields(from *vaultapi.Source, doc policy.Document) (policy.Document, error) {
	if err := from.CheckTexts(contentFields); err != nil {
		return doc, err
	}
	given := map[string]any{}
	for _, f := range policyContent {
		if value, ok := f.given(from); ok {
			given[f.Name] = value
		}
	}
	return doc.Edit(given)
}

// contentOf is what a policy says, as it was written.
func contentOf(doc policy.Document) map[string]any {
	data := make(map[string]any, len(policyContent))
	for _, f := range policyContent {
		data[f.Name] = f.Value(doc)
		if text, ok := data[f.Name].(string); ok && (f.Kind == policy.Span || f.Kind == policy.Jitter) {
			data[f.Name] = asWritten(text)
		}
	}
	return data
}

func policyResponse(p policy.Policy) *logical.Response {
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
