// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
)

// Mode is how a source is read.
type Mode int

const (
	// Transit reads a request as Vault's Transit engine does: the SDK converts values, and a field that the path does not
	// have is a warning. What the SDK would change in converting it is refused.
	Transit Mode = iota
	// Strict reads a request on a path that Transit does not have: a field that the path does not have is an error, and
	// so is an integer or a boolean that is none.
	Strict
	// Item reads an item of a batch: nothing is converted, the JSON types have to be right.
	Item
	// LooseItem is Item for numbers that stand for texts too, and names of fields in any case.
	LooseItem
	// TextItem is Item for numbers that stand for texts too.
	TextItem
	// Document reads a text that has fields as attributes.
	Document
)

func (m Mode) isItem() bool { return m == Item || m == LooseItem || m == TextItem }

// Source is where fields are read from: a request, an item of a batch or a document. What it has is in raw or, where that is nil, in
// members.
type Source struct {
	raw     map[string]any
	members []member
	batch   *plain  // that the members are of; nil: they are of an item
	fields  *Fields // those declared; nil in an item
	mode    Mode
	err     error
}

// From is a [Source], or embeds one, as [Request] does.
type From interface {
	source() *Source
}

func (s *Source) source() *Source { return s }

// convert returns the value of a field as the SDK reads it.
func (s *Source) convert(name string) (value any, ok bool, err error) {
	d := framework.FieldData{Raw: s.raw, Schema: s.fields.schema}
	if s.raw == nil {
		d.Raw = map[string]any{}
		if raw, ok := s.get(name); ok {
			d.Raw[name] = raw
		}
	}
	return d.GetOkErr(name)
}

// get returns the value of a field, as [encoding/json] decodes it.
func (s *Source) get(name string) (value any, ok bool) {
	if s.raw != nil {
		value, ok = s.raw[name]
		return value, ok
	}
	if s.isBatch(name) {
		return s.batch.decoded(), true
	}
	m, ok := find(s.members, name)
	if !ok {
		return nil, false
	}
	return m.value(), true
}

// isBatch reports whether the list of a plain batch has the name.
func (s *Source) isBatch(name string) bool { return s.batch != nil && s.batch.list == name }

// textOf returns the text that a field is; empty where it is none.
func (s *Source) textOf(name string) string {
	if s.raw == nil {
		m, _ := find(s.members, name)
		return m.text
	}
	text, _ := s.raw[name].(string)
	return text
}

// names returns the names of the fields that the source has, in alphabetical order.
func (s *Source) names() []string {
	names := slices.AppendSeq(make([]string, 0, len(s.raw)+len(s.members)+1), maps.Keys(s.raw))
	for _, m := range s.members {
		names = append(names, m.name)
	}
	if s.batch != nil && s.batch.list != "" {
		names = append(names, s.batch.list)
	}
	slices.Sort(names)
	return names
}

// Has reports whether the source has a field, if only as null.
func (s *Source) Has(name string) bool {
	if s.raw == nil {
		_, ok := find(s.members, name)
		return ok || s.isBatch(name)
	}
	_, ok := s.raw[name]
	return ok
}

// IsNull reports whether the source has no value for a field, or null.
func (s *Source) IsNull(name string) bool {
	if s.raw == nil {
		return !s.Has(name)
	}
	return s.raw[name] == nil
}

// IsItem reports an item of a batch.
func (s *Source) IsItem() bool { return s.mode.isItem() }

// CheckAllTexts refuses an item with a member, known or not, that is neither a text nor stands for one.
func (s *Source) CheckAllTexts() {
	for _, name := range s.names() {
		if value, _ := s.get(name); value != nil {
			s.itemText(name, value)
		}
	}
}

// Declares reports whether the source may have a field.
func (s *Source) Declares(name string) bool { return s.fields != nil && s.fields.Has(name) }

// Given returns which of the fields have a value in the source, in alphabetical order.
func (s *Source) Given(fields Fields) []string {
	return slices.DeleteFunc(fields.Names(), s.IsNull)
}

// Fail notes an error of reading. The first one stays.
func (s *Source) Fail(err error) {
	if s.err == nil {
		s.err = err
	}
}

// Err returns the first error of reading.
func (s *Source) Err() error { return s.err }

// CheckExact refuses an integer or a boolean that is none, as [Strict] does for every field.
func (s *Source) CheckExact(name string) error { return s.checkField(name, inexact) }

// checkField refuses the value of one field.
func (s *Source) checkField(name string, check check) error {
	d := s.fields.byName[name]
	raw, ok := s.get(name)
	if d == nil || !ok {
		return nil
	}
	if rule := check(s, d, raw); rule != "" {
		return s.invalid(d, raw, rule)
	}
	return nil
}

// checkAll refuses the first field of which the value breaks the rule of a check.
func (s *Source) checkAll(check check) error {
	for _, name := range s.fields.names {
		if err := s.checkField(name, check); err != nil {
			return err
		}
	}
	return nil
}

// invalid refuses the value of a field, and quotes it where it can be no secret: lists and objects may hold what was
// meant for another field.
func (s *Source) invalid(d *declaration, raw any, rule string) error {
	switch raw.(type) {
	case []any, map[string]any:
		return Invalidf("%s: %s", d.name, rule)
	}
	if d.isSecret() {
		return Invalidf("%s: %s", d.name, rule)
	}
	return InvalidField(d.name, inFull(raw), rule)
}

// check refuses what the source's mode does not take.
func (s *Source) check(names NameRule) error {
	if err := s.checkAll(bent); err != nil {
		return err
	}
	if err := names.check(s); err != nil {
		return err
	}
	if s.mode == Transit {
		return nil
	}
	if err := s.checkKnown(); err != nil {
		return err
	}
	return s.checkAll(inexact)
}

func (s *Source) checkKnown() error {
	unknown := slices.DeleteFunc(s.names(), s.fields.Has)
	if len(unknown) == 0 {
		return nil
	}
	return Invalidf("%s: this path has no such field", strings.Join(unknown, ", "))
}
