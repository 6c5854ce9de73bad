// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"regexp"
	"slices"

	"github.com/hashicorp/vault/sdk/framework"
)

// checkScalars refuses integers and booleans that the SDK makes out of something else: nothing out of an empty text, one
// out of true, eight out of "010". What is read wrong may turn a protection off. `vault write` sends texts, so those that
// say a number or a boolean are taken.
func (c *call) checkScalars() (err error) {
	for _, name := range sorted(c.Schema) {
		err = cmp.Or(err, c.checkScalar(name))
	}
	return err
}

func (c *call) checkScalar(name string) error {
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
