// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"math/big"
	"regexp"
	"slices"

	"github.com/hashicorp/vault/sdk/framework"
)

// checkScalars refuses integers and booleans that the SDK makes out of something else: nothing out of an empty text, one
// out of true, eight out of "010". What is read wrong may turn a protection off. `vault write` sends texts, so those that
// say a number or a boolean are taken.
func (c *request) checkScalars() (err error) {
	for _, name := range sorted(c.Schema) {
		err = cmp.Or(err, c.checkScalar(name))
	}
	return err
}

func (c *request) checkScalar(name string) error {
	raw, schema := c.Raw[name], c.Schema[name]
	if raw == nil || schema == nil {
		return nil
	}
	switch t := schema.Type; {
	case name == fAfterNumber.name && raw == "": // the start
	case (t == framework.TypeInt || t == framework.TypeInt64) && !isInteger(raw):
		return c.invalid(name, "must be an integer, in decimal and without leading zeros")
	case t == framework.TypeBool && !slices.Contains([]any{true, false, "true", "false"}, raw):
		return c.invalid(name, "must be true or false")
	}
	return nil
}

// numeral is how JSON and HCL write a number, of a length that can be held exactly.
var numeral = regexp.MustCompile(`^-?[0-9]{1,64}(\.[0-9]{1,64})?([eE][+-]?[0-9]{1,2})?$`)

// isWhole reports whether a number is an integer as it is written. A float64 takes 1e-999 for 0, which may mean no limit.
func isWhole(text string) bool {
	if !numeral.MatchString(text) {
		return false
	}
	number, ok := new(big.Rat).SetString(text)
	return ok && number.IsInt()
}

// digits are how an integer is written as a text.
var digits = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// isInteger reports a number, of which check refuses fractions, or the text of an integer.
func isInteger(raw any) bool {
	if text, ok := raw.(string); ok {
		return digits.MatchString(text)
	}
	_, ok := toNumber(raw)
	return ok
}
