// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/vault/sdk/framework"
	"github.com/zclconf/go-cty/cty"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// longestDocument bounds what is parsed.
const longestDocument = 64 * 1024

// parseHCL reads the text of a policy into the fields of a request: what is written in HCL then goes the way of what is
// written field by field. A value is a literal, or a list or an object of literals: what a policy says must be what
// its text shows.
func parseHCL(text string) (*request, error) {
	if len(text) > longestDocument {
		return nil, lifecycle.InvalidField(fDocument.name, text, "at most 64 KiB")
	}
	for _, check := range []func(string) error{checkLines, checkDepth} {
		if err := check(text); err != nil {
			return nil, err
		}
	}
	file, problems := hclsyntax.ParseConfig([]byte(text), "", hcl.InitialPos)
	if problems.HasErrors() {
		return nil, documentError(problems)
	}
	attributes, problems := file.Body.JustAttributes()
	if problems.HasErrors() {
		return nil, documentError(problems)
	}
	source := document(file.Bytes)
	c := &request{FieldData: &framework.FieldData{Raw: map[string]any{}, Schema: contentFields}}
	for _, attribute := range inOrder(attributes) {
		if contentFields[attribute.Name] == nil {
			return nil, at(attribute.NameRange, attribute.Name+": a policy has no such field")
		}
		value, err := source.valueOf(attribute.Expr)
		if err != nil {
			return nil, lifecycle.Invalidf("%s: %s", attribute.Name, err)
		}
		c.Raw[attribute.Name] = value
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if err := c.checkScalars(); err != nil {
		return nil, err
	}
	if err := c.checkTypes(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkLines holds the text to the form of the fields' texts.
func checkLines(text string) error {
	for i, line := range strings.Split(text, "\n") {
		if rule := checkNormal(line); rule != "" {
			return lifecycle.Invalidf("document: line %d: %s", i+1, rule)
		}
	}
	return nil
}

// checkDepth refuses what the parser might follow too deep. It calls itself for each level, and a text of a few
// kilobytes would end the process, and with it every mount, by its stack; the scanner does not. What opens a level is
// counted whether or not it is closed, and each minus: a policy has no more lists, objects and negative numbers than
// fields.
func checkDepth(text string) error {
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
			return at(token.Range, "nests too deep; values must be literals, or lists or objects of literals")
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

// document is the text of a policy.
type document []byte

// valueOf returns the value of an attribute as JSON has it.
func (d document) valueOf(expr hcl.Expression) (any, error) {
	switch e := expr.(type) {
	case *hclsyntax.TupleConsExpr:
		list := make([]any, len(e.Exprs))
		for i, element := range e.Exprs {
			value, err := d.literal(element)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	case *hclsyntax.ObjectConsExpr:
		return d.objectOf(e)
	default:
		return d.literal(expr)
	}
}

func (d document) objectOf(e *hclsyntax.ObjectConsExpr) (any, error) {
	object := make(map[string]any, len(e.Items))
	for _, item := range e.Items {
		name := hcl.ExprAsKeyword(item.KeyExpr)
		if key, ok := item.KeyExpr.(*hclsyntax.ObjectConsKeyExpr); ok && name == "" {
			value, err := d.literal(key.Wrapped)
			text, isText := value.(string)
			if err != nil || !isText {
				return nil, at(item.KeyExpr.Range(), "a name must be a word or a text")
			}
			name = text
		}
		if _, twice := object[name]; twice {
			return nil, at(item.KeyExpr.Range(), "the name "+name+" is there twice")
		}
		value, err := d.literal(item.ValueExpr)
		if err != nil {
			return nil, err
		}
		object[name] = value
	}
	return object, nil
}

// literal returns the value of an expression that stands for itself.
func (d document) literal(expr hcl.Expression) (any, error) {
	if !isLiteral(expr) {
		return nil, at(expr.Range(), "must be a literal: no variables, functions, operators or interpolation")
	}
	value, problems := expr.Value(nil)
	switch {
	case problems.HasErrors():
		return nil, documentError(problems)
	case value.IsNull():
		return nil, nil //nolint:nilnil // null is a value: not given
	case value.Type() == cty.String:
		return value.AsString(), nil
	case value.Type() == cty.Bool:
		return value.True(), nil
	default:
		return d.number(expr), nil
	}
}

// number returns a number as it is written: the parser rounds it.
func (d document) number(expr hcl.Expression) any {
	sign := ""
	if negative, ok := expr.(*hclsyntax.UnaryOpExpr); ok {
		expr, sign = negative.Val, "-"
	}
	written := json.Number(sign + string(expr.Range().SliceBytes(d)))
	if value, ok := toNumber(written); ok && !math.IsNaN(value) {
		return value
	}
	return written
}

// isLiteral reports a constant, a text of constant parts (a heredoc has one for each line), or a negative number.
func isLiteral(expr hcl.Expression) bool {
	switch e := expr.(type) {
	case *hclsyntax.LiteralValueExpr:
		return true
	case *hclsyntax.TemplateExpr:
		return !slices.ContainsFunc(e.Parts, func(part hclsyntax.Expression) bool {
			constant, ok := part.(*hclsyntax.LiteralValueExpr)
			return !ok || constant.Val.Type() != cty.String
		})
	case *hclsyntax.UnaryOpExpr:
		constant, ok := e.Val.(*hclsyntax.LiteralValueExpr)
		return ok && e.Op == hclsyntax.OpNegate && constant.Val.Type() == cty.Number
	default:
		return false
	}
}

// at reports something about a place in the text.
func at(place hcl.Range, what string) error {
	return lifecycle.Invalidf("document: line %d, column %d: %s", place.Start.Line, place.Start.Column, what)
}

// documentError reports the first thing that is wrong with the text.
func documentError(problems hcl.Diagnostics) error {
	var place hcl.Range
	first := problems.Errs()[0]
	for _, problem := range problems {
		if problem.Severity == hcl.DiagError && problem.Subject != nil {
			return at(*problem.Subject, problem.Summary+": "+problem.Detail)
		}
	}
	return at(place, first.Error())
}
