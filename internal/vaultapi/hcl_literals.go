// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// literals reads the values of a text in HCL.
type literals struct {
	HCL
	text []byte
}

// valueOf returns the value of an attribute as JSON has it.
func (l literals) valueOf(expr hcl.Expression) (any, error) {
	switch e := expr.(type) {
	case *hclsyntax.TupleConsExpr:
		list := make([]any, len(e.Exprs))
		for i, element := range e.Exprs {
			value, err := l.literal(element)
			if err != nil {
				return nil, err
			}
			list[i] = value
		}
		return list, nil
	case *hclsyntax.ObjectConsExpr:
		return l.objectOf(e)
	default:
		return l.literal(expr)
	}
}

func (l literals) objectOf(e *hclsyntax.ObjectConsExpr) (any, error) {
	object := make(map[string]any, len(e.Items))
	for _, item := range e.Items {
		name, err := l.nameOf(item.KeyExpr)
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, l.at(item.KeyExpr.Range(), "the name "+name+" is there twice")
		}
		if object[name], err = l.literal(item.ValueExpr); err != nil {
			return nil, err
		}
	}
	return object, nil
}

// nameOf returns the name of a value of an object: a word, or a literal text.
func (l literals) nameOf(expr hcl.Expression) (string, error) {
	name := hcl.ExprAsKeyword(expr)
	key, ok := expr.(*hclsyntax.ObjectConsKeyExpr)
	if !ok || name != "" {
		return name, nil
	}
	value, err := l.literal(key.Wrapped)
	text, isText := value.(string)
	if err != nil || !isText {
		return "", l.at(expr.Range(), "a name must be a word or a text")
	}
	return text, nil
}

// literal returns the value of an expression that stands for itself.
func (l literals) literal(expr hcl.Expression) (any, error) {
	if !isLiteral(expr) {
		return nil, l.at(expr.Range(), "must be a literal: no variables, functions, operators or interpolation")
	}
	value, problems := expr.Value(nil)
	switch {
	case problems.HasErrors():
		return nil, l.problem(problems)
	case value.IsNull():
		return nil, nil //nolint:nilnil // null is a value: not given
	case value.Type() == cty.String:
		return value.AsString(), nil
	case value.Type() == cty.Bool:
		return value.True(), nil
	default:
		return l.number(expr), nil
	}
}

// number returns a number as it is written: the parser rounds it.
func (l literals) number(expr hcl.Expression) any {
	sign := ""
	if negative, ok := expr.(*hclsyntax.UnaryOpExpr); ok {
		expr, sign = negative.Val, "-"
	}
	written := json.Number(sign + string(expr.Range().SliceBytes(l.text)))
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
