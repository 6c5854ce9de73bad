// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"maps"
	"slices"

	"github.com/hashicorp/vault/sdk/framework"
)

// Declared is a [Field] of any type, or a [Column].
type Declared interface {
	declared() *declaration
}

// Fields are the fields of a path, an answer or a document.
type Fields struct {
	names  []string // in alphabetical order: the order in which fields are checked
	byName map[string]*declaration
	schema map[string]*framework.FieldSchema
}

// FieldsOf makes a set of fields. Two fields of one name are an internal error.
func FieldsOf(list ...Declared) Fields { return Fields{}.With(list...) }

// With returns the set with more fields.
func (f Fields) With(list ...Declared) Fields {
	all := Fields{
		byName: make(map[string]*declaration, len(f.names)+len(list)),
		schema: make(map[string]*framework.FieldSchema, len(f.names)+len(list)),
	}
	add := func(d *declaration) {
		if all.byName[d.name] != nil {
			panic("internal error: two fields are named " + d.name)
		}
		schema := d.schema
		all.byName[d.name], all.schema[d.name] = d, &schema
	}
	for _, d := range f.byName {
		add(d)
	}
	for _, field := range list {
		add(field.declared())
	}
	all.names = slices.Sorted(maps.Keys(all.byName))
	return all
}

// Names returns the names of the fields in alphabetical order.
func (f Fields) Names() []string { return slices.Clone(f.names) }

// Has reports whether a field has the name.
func (f Fields) Has(name string) bool { return f.byName[name] != nil }

// Schema returns the fields in Vault's terms.
func (f Fields) Schema() map[string]*framework.FieldSchema { return maps.Clone(f.schema) }
