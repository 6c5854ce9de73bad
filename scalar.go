// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"regexp"
	"slices"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// exact is the door of paths where a number or a boolean that was read wrong turns a protection off.
func (b *backend) exact(h handler) framework.OperationFunc {
	return b.strict(func(ctx context.Context, c *call) (*logical.Response, error) {
		if err := c.checkScalars(); err != nil {
			return nil, err
		}
		return h(ctx, c)
	})
}

// checkScalars refuses integers and booleans that the SDK makes out of something else: nothing out of an empty text,
// one out of true, eight out of "010". `vault write` sends texts, so those that say a number or a boolean are taken.
func (c *call) checkScalars() error {
	for _, name := range sorted(c.Schema) {
		raw, rule := c.Raw[name], ""
		switch t := c.Schema[name].Type; {
		case raw == nil:
		case (t == framework.TypeInt || t == framework.TypeInt64) && !isInteger(raw):
			rule = "must be an integer, in decimal and without leading zeros"
		case t == framework.TypeBool && !slices.Contains([]any{true, false, "true", "false"}, raw):
			rule = "must be true or false"
		}
		if rule != "" {
			return lifecycle.InvalidField(name, raw, rule)
		}
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
