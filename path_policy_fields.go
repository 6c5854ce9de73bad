// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"

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
