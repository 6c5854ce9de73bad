// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"encoding/json"
	"reflect"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Field is a field of a policy: its row, without the type of its values.
type Field struct {
	Name    string
	Kind    Kind
	Help    string // in the schema of the API
	Default any    // plain; nil: the zero value
	Docs    Docs

	// Sparse is a field that the first release does not have. Where it has its default it is left out of the hash and of records,
	// so that those of earlier releases stay as they are: its default never changes.
	Sparse bool

	// Value returns the field of a document as a plain value: what JSON has of its kind. See [Kind].
	Value func(d Document) any
	// Set reads a plain value into a document. The error is [refusal.ErrInvalid] and names the field.
	Set func(d *Document, plain any) error
	// Parse reads a plain value from JSON; nil, which is none: of a sparse field, and of a choice, the default, else the zero value.
	Parse func(data []byte) (plain any, err error)
	// Looser says why the second document is looser than the first one in this field; empty: it is not.
	Looser func(from, to Document) (why string)

	reset func(d *Document)       // to the default
	own   func(d *Document)       // makes lists and maps the document's own
	def   any                     // plain
	check func(d *Document) error // what an author writes has to hold
	valid func(d *Document) error // what a stored revision has to hold, too
}

// Docs is what docs/policies.md says of a field, beside its name and default.
type Docs struct {
	Type, Unit, Rule, Source string // no Source: our own choice
}

// Fields returns the rows in the order in which their rules are checked.
func Fields() []Field { return slices.Clone(fields) }

// fields are all rows, kind by kind.
var fields = slices.Concat(texts, consents, choices, numbers, flags, lists, spans)

// row is one field of a policy. Its place in the document apart, all that is known of a field is here.
type row[T any] struct {
	name  string
	kind  kind[T]
	at    func(*Document) *T // its place in the document
	def   T
	rule  rule[T] // of what an author writes; nil: none
	valid rule[T] // without which the value says nothing: asked of stored revisions, too, however strict rules have become since
	help  string
	docs  Docs

	looser loosening[T]
	sparse bool // see Field.Sparse
}

// rule returns the error of a value that breaks it: [refusal.ErrInvalid], which names the field.
type rule[T any] func(field string, value T, d *Document) error

func define[T any](r row[T]) Field {
	ask := func(rules ...rule[T]) func(*Document) error {
		return func(d *Document) error {
			for _, broken := range rules {
				if broken == nil {
					continue
				}
				if err := broken(r.name, *r.at(d), d); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if r.docs.Type == "" {
		r.docs.Type = r.kind.says
	}
	f := Field{
		Name: r.name, Kind: r.kind.kind, Help: r.help + r.kind.help, Docs: r.docs, Sparse: r.sparse,
		Value: func(d Document) any { return r.kind.plain(*r.at(&d)) },
		Set: func(d *Document, plain any) error {
			value, err := r.kind.read(plain)
			if err != nil {
				return refusal.InvalidField(r.name, plain, err.Error())
			}
			*r.at(d) = value
			return nil
		},
		Parse: r.parse,
		reset: func(d *Document) { *r.at(d) = r.kind.own(r.def) },
		own:   func(d *Document) { *r.at(d) = r.kind.own(*r.at(d)) },
		check: ask(r.rule, r.valid), valid: ask(r.valid), def: r.kind.plain(r.def),
	}
	if r.looser != nil {
		f.Looser = func(from, to Document) string { return r.looser(*r.at(&from), *r.at(&to)) }
	}
	if !isEmpty(f.def) {
		f.Default = f.def
	}
	return f
}

func (r row[T]) parse(data []byte) (plain any, err error) {
	if data == nil && (r.sparse || r.isChoice()) {
		return r.kind.plain(r.def), nil
	}
	return r.kind.parse(data)
}

// isChoice reports whether the zero value says nothing. Records that were stored before there was the choice do not have it.
func (r row[T]) isChoice() bool {
	return r.valid != nil && r.valid(r.name, *new(T), &Document{}) != nil
}

// LeftOut reports whether a document says in a sparse field what it says without it.
func (f Field) LeftOut(d Document) bool { return f.Sparse && reflect.DeepEqual(f.Value(d), f.def) }

// Text writes the field of a document as JSON has it, a text without its quotes.
func (f Field) Text(d Document) string {
	value := f.Value(d)
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic("internal error: a policy document is always JSON: " + err.Error())
	}
	return string(text)
}

// isEmpty reports the zero value of a kind.
func isEmpty(plain any) bool {
	v := reflect.ValueOf(plain)
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Map {
		return v.Len() == 0
	}
	return v.IsZero()
}
