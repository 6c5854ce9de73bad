// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// check refuses what the SDK would bend into shape. Vault hands an external plugin every JSON number as a float64,
// and the SDK then cuts off fractions and takes any number for a boolean; a built-in engine gets the number's text
// and an error.
func (c *call) check() error {
	for name, raw := range c.Raw {
		schema := c.Schema[name]
		if number, ok := toNumber(raw); ok && schema != nil {
			if err := checkNumber(name, number, schema.Type); err != nil {
				return err
			}
		}
	}
	return checkName(c.Raw[fName.name])
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

// checkName refuses a name that the path pattern lets through but storage does not take.
func checkName(name any) error {
	if text, ok := name.(string); ok && strings.Contains(text, "..") {
		return lifecycle.InvalidField(fName.name, text, "relative paths not supported")
	}
	return nil
}
