// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"maps"

	"github.com/hashicorp/vault/sdk/framework"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
)

// field is one field of the API: its name, its schema and the Go type its values have. Declaring fields once and
// reading them only through these methods leaves no name to mistype and no type to assert elsewhere.
type field[T any] struct {
	name   string
	schema framework.FieldSchema
}

func newField[T any](name string, t framework.FieldType, description string) field[T] {
	return field[T]{name, framework.FieldSchema{Type: t, Description: description}}
}

// or returns the field with a default value.
func (f field[T]) or(value T) field[T] {
	f.schema.Default = value
	return f
}

// query marks a field that requests without a body take in the query string. With a body it is in the body.
func (f field[T]) query() field[T] {
	f.schema.Query = true
	return f
}

// secret marks a field of which no error quotes a value: errors get into Vault's logs.
func (f field[T]) secret() field[T] {
	f.schema.DisplayAttrs = &framework.DisplayAttributes{Sensitive: true}
	return f
}

// get returns the field's value, its default or the zero value. A field that the path does not declare is absent.
func (f field[T]) get(c *request) T {
	if value := f.lookup(c); value != nil {
		return *value
	}
	value, _ := f.schema.DefaultOrZero().(T)
	return value
}

// lookup returns the field's value, or nil where the request does not have it.
func (f field[T]) lookup(c *request) *T {
	raw, ok, err := c.GetOkErr(f.name)
	if !ok || err != nil {
		return nil
	}
	value, ok := raw.(T)
	if !ok {
		return nil
	}
	return &value
}

// lookupNonNull returns the field's value, or nil where the request does not have it or has null. For the fields that Transit does
// not have: null must not pass for an empty name, which would free a key of its policy.
func (f field[T]) lookupNonNull(c *request) *T {
	if c.Raw[f.name] == nil {
		return nil
	}
	return f.lookup(c)
}

func (f field[T]) declare(schemas map[string]*framework.FieldSchema) {
	schema := f.schema
	schemas[f.name] = &schema
}

// declared is a field of any type.
type declared interface {
	declare(schemas map[string]*framework.FieldSchema)
}

// fields makes the schema of a path or of a response.
func fields(list ...declared) map[string]*framework.FieldSchema {
	schemas := make(map[string]*framework.FieldSchema, len(list))
	for _, f := range list {
		f.declare(schemas)
	}
	return schemas
}

// with adds fields to a schema.
func with(base map[string]*framework.FieldSchema, list ...declared) map[string]*framework.FieldSchema {
	all := maps.Clone(base)
	for _, f := range list {
		f.declare(all)
	}
	return all
}

// Fields that several paths share.
var (
	fName   = newField[string]("name", framework.TypeString, "Name of the key.")
	fCAS    = newField[int]("cas", framework.TypeInt, "Check-and-set: the revision this change is made for. If the revision in force is another, nothing is changed and the answer is 409. 0: it must not exist yet. Absent: no check.").query()
	fReason = newField[string]("reason", framework.TypeString, "Why the change is made, for the log and the record. At most 512 bytes.").query()
	fAfter  = newField[string]("after", framework.TypeString, "List the names behind this one, in alphabetical order; it need not exist.").query()
	fLimit  = newField[int]("limit", framework.TypeInt, "At most so many. 0: all, or as many as a page usually has.").query()
	fKeys   = newField[[]string]("keys", framework.TypeStringSlice, "Names in alphabetical order.")

	fAfterNumber = newField[int]("after", framework.TypeInt, "Start behind this number; it need not exist. 0 or empty: at the beginning.").query()
)

// precondition reads what every change may carry.
func precondition(c *request) (engine.Precondition, error) {
	pre := engine.Precondition{CAS: fCAS.lookupNonNull(c), Reason: fReason.get(c)}
	return pre, cmp.Or(c.checkScalar(fCAS.name), checkPrecondition(pre))
}
