// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// HCL is a text with fields as attributes.
type HCL struct {
	Field  string // in which the text comes; errors begin with it
	Owner  string // of the fields, in words: "a policy"
	Fields Fields
}

// longestText bounds what is parsed.
const longestText = 64 * 1024

// Parse reads a text into a source: what is written in HCL then goes the way of what is written field by field. A value
// is a literal, or a list or an object of literals: what a document says must be what its text shows.
func (h HCL) Parse(text string) (*Source, error) {
	if len(text) > longestText {
		return nil, InvalidField(h.Field, text, "at most 64 KiB")
	}
	file, err := h.parse(text)
	if err != nil {
		return nil, err
	}
	attributes, problems := file.Body.JustAttributes()
	if problems.HasErrors() {
		return nil, h.problem(problems)
	}
	s := &Source{raw: make(map[string]any, len(attributes)), fields: &h.Fields, mode: Document}
	for _, attribute := range inOrder(attributes) {
		if !h.Fields.Has(attribute.Name) {
			return nil, h.at(attribute.NameRange, attribute.Name+": "+h.Owner+" has no such field")
		}
		value, err := literals{h, file.Bytes}.valueOf(attribute.Expr)
		if err != nil {
			return nil, Invalidf("%s: %s", attribute.Name, err)
		}
		s.raw[attribute.Name] = value
	}
	for _, check := range []check{bent, inexact, unconvertible} {
		if err := s.checkAll(check); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (h HCL) parse(text string) (*hcl.File, error) {
	if err := h.checkLines(text); err != nil {
		return nil, err
	}
	if err := h.checkDepth(text); err != nil {
		return nil, err
	}
	file, problems := hclsyntax.ParseConfig([]byte(text), "", hcl.InitialPos)
	if problems.HasErrors() {
		return nil, h.problem(problems)
	}
	return file, nil
}

// checkLines holds the text to the form of the fields' texts.
func (h HCL) checkLines(text string) error {
	for i, line := range strings.Split(text, "\n") {
		if rule := Normal(line); rule != "" {
			return Invalidf("%s: line %d: %s", h.Field, i+1, rule)
		}
	}
	return nil
}

// checkDepth refuses what the parser might follow too deep. The parser calls itself for each level, and a text of a few
// kilobytes would end the process, and with it every mount, by its stack; the scanner does not. What opens a level is
// counted whether or not it is closed, and each minus: a document has no more lists, objects and negative numbers than
// fields.
func (h HCL) checkDepth(text string) error {
	const most = 256
	tokens, _ := hclsyntax.LexConfig([]byte(text), "", hcl.InitialPos)
	levels := 0
	for _, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp,
			hclsyntax.TokenTemplateControl, hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenQuestion:
			levels++
		default:
		}
		if levels > most {
			return h.at(token.Range, "nests too deep; values must be literals, or lists or objects of literals")
		}
	}
	return nil
}

// inOrder returns the attributes as they stand in the text, so that the first error is reported.
func inOrder(attributes hcl.Attributes) []*hcl.Attribute {
	list := make([]*hcl.Attribute, 0, len(attributes))
	for _, attribute := range attributes {
		list = append(list, attribute)
	}
	slices.SortFunc(list, func(a, b *hcl.Attribute) int { return cmp.Compare(a.Range.Start.Byte, b.Range.Start.Byte) })
	return list
}

// at reports something about a place in the text.
func (h HCL) at(place hcl.Range, what string) error {
	return Invalidf("%s: line %d, column %d: %s", h.Field, place.Start.Line, place.Start.Column, what)
}

// problem reports the first thing that is wrong with the text, and its place where it has one. One of the problems is an
// error.
func (h HCL) problem(problems hcl.Diagnostics) error {
	first := problems[0]
	for _, problem := range problems {
		switch {
		case problem.Severity != hcl.DiagError:
		case problem.Subject != nil:
			return h.at(*problem.Subject, problem.Summary+": "+problem.Detail)
		case first.Severity != hcl.DiagError:
			first = problem
		}
	}
	return Invalidf("%s: %s: %s", h.Field, first.Summary, first.Detail)
}
