// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/sdk/framework"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// check refuses what the SDK would bend into shape. Vault hands an external plugin every JSON number as a float64,
// and the SDK then cuts off fractions, takes any number for a boolean and makes a text of what is left of it; a built-in
// engine gets the number's text and an error.
func (c *request) check() error {
	for _, name := range sorted(c.Raw) {
		schema := c.Schema[name]
		if schema == nil {
			continue
		}
		if err := c.checkField(name, c.Raw[name], schema.Type); err != nil {
			return err
		}
	}
	return c.checkNames()
}

func (c *request) checkField(name string, raw any, t framework.FieldType) error {
	switch t {
	case framework.TypeString, framework.TypeKVPairs, framework.TypeCommaStringSlice:
		if !isExactNumber(raw) {
			return c.invalid(name, numberAsText)
		}
	case framework.TypeDurationSecond:
		if seconds, _, err := c.GetOkErr(name); err == nil && isTooLong(seconds) {
			return c.invalid(name, mustBeSpan)
		}
	default:
	}
	number, ok := toNumber(raw)
	if text, isText := raw.(string); isText && (t == framework.TypeInt || t == framework.TypeInt64) {
		number, ok = numberOf(text)
	}
	if rule := brokenRule(number, t); ok && rule != "" {
		return c.invalid(name, rule)
	}
	return nil
}

// numberAsText is the rule for numbers where texts belong.
const numberAsText = "must be a text; a number is taken for one only if it is an integer below 2^53"

// isExactNumber reports whether the numbers in a value, which stand for texts, are still what the caller wrote.
func isExactNumber(raw any) bool {
	switch value := raw.(type) {
	case []any:
		return !slices.ContainsFunc(value, func(element any) bool { return !isExactNumber(element) })
	case map[string]any:
		return isExactNumber(slices.Collect(maps.Values(value)))
	default:
		number, ok := toNumber(raw)
		return !ok || isSafe(number)
	}
}

// invalid refuses the value of a field, and quotes it where it can be no secret.
func (c *request) invalid(name, rule string) error {
	if c.quotable(name) {
		return lifecycle.InvalidField(name, inFull(c.Raw[name]), rule)
	}
	return lifecycle.Invalidf("%s: %s", name, rule)
}

// inFull shows a number with all its digits.
func inFull(raw any) any {
	if number, ok := raw.(float64); ok {
		return json.Number(strconv.FormatFloat(number, 'f', -1, 64))
	}
	return raw
}

// quotable leaves out fields for secrets, and lists and objects: those may hold what was meant for another field.
func (c *request) quotable(name string) bool {
	switch c.Raw[name].(type) {
	case []any, map[string]any:
		return false
	}
	schema := c.Schema[name]
	return schema != nil && (schema.DisplayAttrs == nil || !schema.DisplayAttrs.Sensitive)
}

// typeRule is what the SDK takes for a field of a type.
var typeRule = map[framework.FieldType]string{
	framework.TypeString:           "must be a text",
	framework.TypeBool:             mustBeBool,
	framework.TypeInt:              "must be an integer",
	framework.TypeInt64:            "must be an integer",
	framework.TypeDurationSecond:   mustBeSpan,
	framework.TypeKVPairs:          `must be an object of texts, or a list of pairs "name=value"`,
	framework.TypeCommaStringSlice: "must be a list of texts",
	framework.TypeSlice:            "must be a list",
	framework.TypeMap:              "must be an object",
}

// checkTypes refuses what the SDK does not take, in words of ours: the SDK's have the value in them.
func (c *request) checkTypes() error {
	for _, name := range sorted(c.Raw) {
		if c.Schema[name] == nil {
			continue
		}
		if _, _, err := c.GetOkErr(name); err != nil {
			return c.invalid(name, typeRule[c.Schema[name].Type])
		}
	}
	return nil
}

// The rules for numbers. JSON carries no larger integers than that without loss.
const (
	mustBeInt32 = "must be an integer of at most 32 bits"
	mustBeSafe  = "must be an integer below 2^53"
	mustBeSpan  = `must be a duration such as "24h" or a whole number of seconds, between 0 and 100 years`
	mustBeBool  = "must be true or false"
)

// brokenRule is the rule for a type that a number breaks; empty: none.
func brokenRule(number float64, t framework.FieldType) string {
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
	return ok && n > int(lifecycle.MaxSpan/time.Second)
}

// numberOf returns the integer that the SDK reads from a text, and the nearest to one that does not fit.
func numberOf(text string) (float64, bool) {
	number, err := strconv.ParseInt(text, 0, 64)
	return float64(number), err == nil || errors.Is(err, strconv.ErrRange)
}

// toNumber returns the value of a JSON number, in whichever of Go's types it came; NaN, if it would pass for an integer and
// is none as it is written. As a float64 it came rounded already.
func toNumber(raw any) (float64, bool) {
	switch value := raw.(type) {
	case float64:
		return value, true
	case int:
		return float64(value), true
	case int64:
		return float64(value), true
	case json.Number:
		number, err := value.Float64()
		if isSafe(number) && !isWhole(value.String()) {
			return math.NaN(), true
		}
		return number, err == nil
	default:
		return 0, false
	}
}

func isInt32(number float64) bool {
	return number == math.Trunc(number) && math.Abs(number) <= math.MaxInt32
}

func isSafe(number float64) bool {
	return number == math.Trunc(number) && math.Abs(number) < 1<<53
}

// maxName is the longest name of a key or a policy, in bytes. Names stand in custody records, which keep 8 KiB of them,
// and in the paths of entries, bound/<policy>/<name> with two of them; raft takes paths of 32 KiB.
const maxName = 1024

// checkNames refuses names that the path pattern, or a field, lets through but storage does not take.
func (c *request) checkNames() error {
	for _, name := range []string{fName.name, fPolicy.name, fDefaultPolicy.name} {
		text, _ := c.Raw[name].(string)
		switch {
		case strings.Contains(text, ".."):
			return lifecycle.InvalidField(name, text, "relative paths not supported")
		case len(text) > maxName:
			return lifecycle.InvalidField(name, text, fmt.Sprintf("must have at most %d bytes", maxName))
		}
	}
	return nil
}
