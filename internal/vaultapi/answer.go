// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// Column is a field of an answer: what it is, and how it is taken from the V that the answer shows.
type Column[V any] struct {
	field *declaration
	of    func(V) any
}

func (c Column[V]) declared() *declaration { return c.field }

// Show declares a field of an answer that shows a V.
func Show[V, T any](f Field[T], of func(V) T) Column[V] {
	return Column[V]{f.d, func(v V) any { return of(v) }}
}

// ShowAs is Show for a value that has another type in Go than in a request.
func ShowAs[V, T, U any](f Field[T], of func(V) U) Column[V] {
	return Column[V]{f.d, func(v V) any { return of(v) }}
}

// Answer is an answer that shows a V, field by field.
type Answer[V any] []Column[V]

// Fields returns the fields of the answer, with more that are added by hand.
func (a Answer[V]) Fields(more ...Declared) Fields {
	list := make([]Declared, 0, len(a)+len(more))
	for _, column := range a {
		list = append(list, column)
	}
	return FieldsOf(append(list, more...)...)
}

// Data returns the values of the fields.
func (a Answer[V]) Data(v V) map[string]any {
	data := make(map[string]any, len(a))
	for _, column := range a {
		data[column.field.name] = column.of(v)
	}
	return data
}

// Of returns the answer.
func (a Answer[V]) Of(v V) *logical.Response { return &logical.Response{Data: a.Data(v)} }

// Value is a field of an answer with its value.
type Value struct {
	name  string
	value any
}

// Is returns the field with its value in an answer, which may have another type in Go than in a request.
func (f Field[T]) Is(value any) Value { return Value{f.Name, value} }

// Data returns an answer of some fields.
func Data(values ...Value) *logical.Response {
	data := make(map[string]any, len(values))
	for _, v := range values {
		data[v.name] = v.value
	}
	return &logical.Response{Data: data}
}

// Rows returns what is shown of each element of a list.
func Rows[V any](list []V, row func(V) map[string]any) []map[string]any {
	rows := make([]map[string]any, len(list))
	for i := range list {
		rows[i] = row(list[i])
	}
	return rows
}

// Time renders a time as in RFC 3339, and none as the empty text.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
