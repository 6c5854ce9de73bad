// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// check refuses what the SDK would bend into shape. Vault hands an external plugin every JSON number as a float64,
// and the SDK then cuts off fractions, takes any number for a boolean and makes a text of what is left of it; a built-in
// engine gets the number's text and an error.
func (c *call) check() error {
	for name, raw := range c.Raw {
		schema := c.Schema[name]
		if schema == nil {
			continue
		}
		if err := c.checkField(name, raw, schema.Type); err != nil {
			return err
		}
	}
	return c.checkNames()
}

func (c *call) checkField(name string, raw any, t framework.FieldType) error {
	switch t {
	case framework.TypeString, framework.TypeKVPairs, framework.TypeCommaStringSlice:
		if !survives(raw) {
			return c.invalid(name, numberAsText)
		}
	case framework.TypeInt64:
		if text, ok := raw.(string); ok {
			return checkDigits(name, text)
		}
	default:
	}
	if number, ok := toNumber(raw); ok {
		return checkNumber(name, number, t)
	}
	return nil
}

// numberAsText is the rule for numbers where texts belong.
const numberAsText = "must be a text; a number is taken for one only if it is an integer below 2^53"

// survives reports whether the numbers in a value, which stand for texts, are still what the caller wrote.
func survives(raw any) bool {
	switch value := raw.(type) {
	case []any:
		return !slices.ContainsFunc(value, func(element any) bool { return !survives(element) })
	case map[string]any:
		return survives(slices.Collect(maps.Values(value)))
	default:
		number, ok := toNumber(raw)
		return !ok || isSafe(number)
	}
}

// invalid refuses the value of a field, and quotes it where it can be no secret.
func (c *call) invalid(name, rule string) error {
	if c.quotable(name) {
		return lifecycle.InvalidField(name, c.Raw[name], rule)
	}
	return lifecycle.Invalidf("%s: %s", name, rule)
}

// quotable leaves out fields for secrets, and lists and objects: those may hold what was meant for another field.
func (c *call) quotable(name string) bool {
	switch c.Raw[name].(type) {
	case []any, map[string]any:
		return false
	}
	schema := c.Schema[name]
	return schema != nil && (schema.DisplayAttrs == nil || !schema.DisplayAttrs.Sensitive)
}

// wanted is what the SDK takes for a field of a type.
var wanted = map[framework.FieldType]string{
	framework.TypeString:           "must be a text",
	framework.TypeBool:             "must be true or false",
	framework.TypeInt:              "must be an integer",
	framework.TypeInt64:            "must be an integer",
	framework.TypeDurationSecond:   `must be a duration such as "24h", or a number of seconds, and not negative`,
	framework.TypeKVPairs:          `must be an object of texts, or a list of pairs "name=value"`,
	framework.TypeCommaStringSlice: "must be a list of texts",
	framework.TypeSlice:            "must be a list",
	framework.TypeMap:              "must be an object",
}

// checkTypes refuses what the SDK does not take, in words of ours: the SDK's have the value in them.
func (c *call) checkTypes() error {
	for _, name := range sorted(c.Raw) {
		if c.Schema[name] == nil {
			continue
		}
		if _, _, err := c.GetOkErr(name); err != nil {
			return c.invalid(name, wanted[c.Schema[name].Type])
		}
	}
	return nil
}

func checkNumber(field string, number float64, t framework.FieldType) error {
	switch t {
	case framework.TypeDurationSecond:
		if number != math.Trunc(number) || math.Abs(number) > math.MaxInt64/1e9 {
			return lifecycle.InvalidField(field, number, "must be a whole number of seconds, at most 292 years")
		}
	case framework.TypeInt:
		if !isInt32(number) {
			return lifecycle.InvalidField(field, number, "must be an integer of at most 32 bits")
		}
	case framework.TypeInt64:
		if !isSafe(number) {
			return lifecycle.InvalidField(field, strconv.FormatFloat(number, 'f', -1, 64), mustBeSafe)
		}
	case framework.TypeBool:
		if number != 0 && number != 1 {
			return lifecycle.InvalidField(field, number, "must be true or false")
		}
	default:
	}
	return nil
}

// toNumber returns the value of a JSON number, in whichever of Go's types it came.
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
		return number, err == nil
	default:
		return 0, false
	}
}

func isInt32(number float64) bool {
	return number == math.Trunc(number) && math.Abs(number) <= math.MaxInt32
}

// mustBeSafe is the rule for large integers: JSON carries no larger ones without loss.
const mustBeSafe = "must be an integer below 2^53"

func isSafe(number float64) bool {
	return number == math.Trunc(number) && math.Abs(number) < 1<<53
}

// checkDigits holds a large integer written as a text to the rule of one written as a number, as which it is read back.
func checkDigits(field, text string) error {
	number, err := strconv.ParseInt(text, 0, 64)
	if err == nil && !isSafe(float64(number)) {
		return lifecycle.InvalidField(field, text, mustBeSafe)
	}
	return nil
}

// maxName is the longest name of a key or a policy, in bytes. Names stand in custody records, which keep 8 KiB of them,
// and in the paths of entries, bound/<policy>/<name> with two of them; raft takes paths of 32 KiB.
const maxName = 1024

// checkNames refuses names that the path pattern, or a field, lets through but storage does not take.
func (c *call) checkNames() error {
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
