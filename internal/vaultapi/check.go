// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
)

// check returns the rule that a value of a field breaks; empty: none.
type check func(s *Source, d *declaration, raw any) string

// The rules of types. JSON carries no larger integers than those below 2^53 without loss.
const (
	mustBeInt32   = "must be an integer of at most 32 bits"
	mustBeSafe    = "must be an integer below 2^53"
	mustBeSpan    = `must be a duration such as "24h" or a whole number of seconds, between 0 and 100 years`
	mustBeBool    = "must be true or false"
	mustBeDecimal = "must be an integer, in decimal and without leading zeros"
	numberAsText  = "must be a text; a number is taken for one only if it is an integer below 2^53"
)

// MaxSeconds bounds a duration: 100 years.
const MaxSeconds = 100 * 365 * 24 * 60 * 60

// typeRule is what the SDK takes for a field of a type.
var typeRule = map[framework.FieldType]string{
	framework.TypeString:           "must be a text",
	framework.TypeBool:             mustBeBool,
	framework.TypeInt:              "must be an integer",
	framework.TypeInt64:            "must be an integer",
	framework.TypeDurationSecond:   mustBeSpan,
	framework.TypeKVPairs:          `must be an object of texts, or a list of pairs "name=value"`,
	framework.TypeCommaStringSlice: "must be a list of texts",
	framework.TypeStringSlice:      "must be a list of texts",
	framework.TypeSlice:            "must be a list",
	framework.TypeMap:              "must be an object",
}

// bent is the rule for what the SDK would bend into shape. Vault hands an external plugin every JSON number as a
// float64, and the SDK then cuts off fractions, takes any number for a boolean and makes a text of what is left of it; a
// built-in engine gets the number's text and an error.
func bent(s *Source, d *declaration, raw any) string {
	t := d.schema.Type
	switch t {
	case framework.TypeString, framework.TypeKVPairs, framework.TypeCommaStringSlice:
		if !isExactNumber(raw) {
			return numberAsText
		}
	case framework.TypeDurationSecond:
		if seconds, _, err := s.convert(d.name); err == nil && isTooLong(seconds) {
			return mustBeSpan
		}
	default:
	}
	number, ok := toNumber(raw)
	if text, isText := raw.(string); isText && (t == framework.TypeInt || t == framework.TypeInt64) {
		number, ok = numberOf(text)
	}
	if !ok {
		return ""
	}
	return bentNumber(number, t)
}

// bentNumber is the rule for a type that a number breaks.
func bentNumber(number float64, t framework.FieldType) string {
	switch {
	case t == framework.TypeDurationSecond && number != math.Trunc(number):
		return mustBeSpan
	case t == framework.TypeInt && !isInt32(number):
		return mustBeInt32
	case t == framework.TypeInt64 && !isSafe(number):
		return mustBeSafe
	case t == framework.TypeBool && number != 0 && number != 1:
		return mustBeBool
	}
	return ""
}

// isTooLong reports seconds, as the SDK reads a duration, that are more than any duration may have.
func isTooLong(seconds any) bool {
	n, ok := seconds.(int)
	return ok && n > MaxSeconds
}

// inexact is the rule for integers and booleans that the SDK makes out of something else: nothing out of an empty text,
// one out of true, eight out of "010". What is read wrong may turn a protection off. `vault write` sends texts, so those
// that say a number or a boolean are taken.
func inexact(_ *Source, d *declaration, raw any) string {
	switch t := d.schema.Type; {
	case raw == nil, d.emptyIsZero && raw == "":
		return ""
	case (t == framework.TypeInt || t == framework.TypeInt64) && !isInteger(raw):
		return mustBeDecimal
	case t == framework.TypeBool && !slices.Contains([]any{true, false, "true", "false"}, raw):
		return mustBeBool
	}
	return ""
}

// unconvertible is the rule for what the SDK does not take, in words of ours: the SDK's have the value in them.
func unconvertible(s *Source, d *declaration, _ any) string {
	if _, _, err := s.convert(d.name); err != nil {
		return typeRule[d.schema.Type]
	}
	return ""
}

// NameRule is for fields that name what is stored, whether or not a path declares them: the pattern of a path, or a
// text, lets names through that storage does not take.
type NameRule struct {
	Fields  []string
	Longest int // in bytes
}

func (r NameRule) check(s *Source) error {
	for _, name := range r.Fields {
		text := s.textOf(name)
		switch {
		case strings.Contains(text, ".."):
			return InvalidField(name, text, "relative paths not supported")
		case len(text) > r.Longest:
			return InvalidField(name, text, fmt.Sprintf("must have at most %d bytes", r.Longest))
		}
	}
	return nil
}
