// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"maps"
	"strconv"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

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
