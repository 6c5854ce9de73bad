// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import "github.com/hashicorp/vault/sdk/framework"

// Field is one field of the API: its name, its type for Vault and the Go type of its values. A field is declared once.
// Paths, answers and documents are made of declared fields, and handlers read values through them alone, so that there
// is no name to mistype and no type to assert.
type Field[T any] struct {
	Name string
	zero T // what Get returns where a source does not have the field
	d    *declaration
}

// declaration is what a field is, whatever its Go type.
type declaration struct {
	name        string
	schema      framework.FieldSchema
	emptyIsZero bool
	orSeconds   bool
	rule        func(raw any) string
}

func newField[T any](name string, t framework.FieldType, description string) Field[T] {
	zero, _ := t.Zero().(T)
	return Field[T]{name, zero, &declaration{name: name, schema: framework.FieldSchema{Type: t, Description: description}}}
}

// Text declares a text.
func Text(name, description string) Field[string] {
	return newField[string](name, framework.TypeString, description)
}

// Bool declares a truth value.
func Bool(name, description string) Field[bool] {
	return newField[bool](name, framework.TypeBool, description)
}

// Int declares an integer of 32 bits.
func Int(name, description string) Field[int] {
	return newField[int](name, framework.TypeInt, description)
}

// Int64 declares an integer below 2^53.
func Int64(name, description string) Field[int64] {
	return newField[int64](name, framework.TypeInt64, description)
}

// Seconds declares a duration. Its value is a number of seconds.
func Seconds(name, description string) Field[int] {
	return newField[int](name, framework.TypeDurationSecond, description)
}

// Texts declares a list of texts, which a request may write as one text with commas.
func Texts(name, description string) Field[[]string] {
	return newField[[]string](name, framework.TypeCommaStringSlice, description)
}

// Strings declares a list of texts of an answer.
func Strings(name, description string) Field[[]string] {
	return newField[[]string](name, framework.TypeStringSlice, description)
}

// Pairs declares an object of texts.
func Pairs(name, description string) Field[map[string]string] {
	return newField[map[string]string](name, framework.TypeKVPairs, description)
}

// List declares a list with elements of any type.
func List(name, description string) Field[[]any] {
	return newField[[]any](name, framework.TypeSlice, description)
}

// Object declares an object with values of any type.
func Object(name, description string) Field[map[string]any] {
	return newField[map[string]any](name, framework.TypeMap, description)
}

// changed returns the field with a changed declaration.
func (f Field[T]) changed(change func(*declaration)) Field[T] {
	d := *f.d
	change(&d)
	f.d = &d
	return f
}

// Or returns the field with a default value.
func (f Field[T]) Or(value T) Field[T] {
	f.zero = value
	return f.changed(func(d *declaration) { d.schema.Default = value })
}

// Query returns the field as one that a request without a body has in its query string.
func (f Field[T]) Query() Field[T] {
	return f.changed(func(d *declaration) { d.schema.Query = true })
}

// Secret returns the field as one of which no error quotes a value: errors get into Vault's logs.
func (f Field[T]) Secret() Field[T] {
	return f.changed(func(d *declaration) { d.schema.DisplayAttrs = &framework.DisplayAttributes{Sensitive: true} })
}

// EmptyIsZero returns an integer that [Strict] takes from an empty text, too.
func (f Field[T]) EmptyIsZero() Field[T] {
	return f.changed(func(d *declaration) { d.emptyIsZero = true })
}

// OrSeconds returns a text that [Source.CheckTexts] lets be written as a number of seconds.
func (f Field[T]) OrSeconds() Field[T] {
	return f.changed(func(d *declaration) { d.orSeconds = true })
}

// Rule returns the field with a rule for [Source.CheckTexts]: it returns what is asked of a value that breaks it, or
// an empty text.
func (f Field[T]) Rule(rule func(raw any) string) Field[T] {
	return f.changed(func(d *declaration) { d.rule = rule })
}

// Get returns the field's value, its default or the zero value.
func (f Field[T]) Get(from From) T {
	if value, ok := f.find(from.source()); ok {
		return value
	}
	return f.zero
}

// Lookup returns the field's value, or nil where the source does not have it.
func (f Field[T]) Lookup(from From) *T {
	if value, ok := f.find(from.source()); ok {
		return &value
	}
	return nil
}

// LookupNonNull returns the field's value, or nil where the source does not have it or has null. It is for the fields
// that Transit does not have: null must not pass for an empty name, which would free a key of its policy.
func (f Field[T]) LookupNonNull(from From) *T {
	if from.source().IsNull(f.Name) {
		return nil
	}
	return f.Lookup(from)
}

// find is the one reader of values. A field that the source's path does not declare is absent.
func (f Field[T]) find(s *Source) (value T, ok bool) {
	if s.raw == nil {
		m, given := find(s.members, f.Name)
		if !given && !s.isBatch(f.Name) {
			return value, false
		}
		if value, ok = plainValue[T](m); ok {
			return value, true
		}
	}
	raw, given := s.get(f.Name)
	switch {
	case !given:
		return value, false
	case s.mode.isItem():
		return itemValue[T](s, f.Name, raw), true
	}
	declared := s.fields.byName[f.Name]
	if declared == nil {
		return value, false
	}
	if declared.isScalar() {
		if value, ok = raw.(T); ok { // what the SDK would return as it is
			return value, true
		}
	}
	converted, ok, err := s.convert(f.Name)
	if !ok || err != nil {
		return value, false
	}
	value, ok = converted.(T)
	return value, ok
}

// plainValue returns the value of a member that has the type of the field. A request's path declares all of its members.
func plainValue[T any](m member) (value T, ok bool) {
	switch target := any(&value).(type) {
	case *string:
		*target, ok = m.text, !m.isNumber
	case *int:
		*target, ok = m.number, m.isNumber
	}
	return value, ok
}

func (d *declaration) isScalar() bool {
	switch d.schema.Type {
	case framework.TypeString, framework.TypeBool, framework.TypeInt, framework.TypeInt64:
		return true
	default:
		return false
	}
}

// isSecret reports a field of which no error quotes a value.
func (d *declaration) isSecret() bool {
	return d.schema.DisplayAttrs != nil && d.schema.DisplayAttrs.Sensitive
}

// declared is for [Declared].
func (f Field[T]) declared() *declaration { return f.d }
