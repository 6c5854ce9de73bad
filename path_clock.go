// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fAcknowledge = newField[bool]("acknowledge", framework.TypeBool, "Believe the clock as it is now.")
	clockFields  = fields(
		newField[string]("now", framework.TypeString, "The time as this node has it, RFC 3339."),
		newField[string]("high_water_mark", framework.TypeString, "The latest time that a tick has seen, to within minutes, RFC 3339."),
		newField[bool]("frozen", framework.TypeBool, "Nothing is archived, retired or destroyed by the clock."),
		newField[string]("why", framework.TypeString, "Why not."))
)

func (b *backend) pathClock() []*framework.Path {
	help := "The clock guard: whether the clock is believed."
	return []*framework.Path{{
		Pattern:      "config/clock",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix},
		Fields:       fields(fAcknowledge),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback: b.handleStrict(b.readClock), Summary: "Read the clock guard.", Responses: ok("The clock guard.", clockFields),
				DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "read", OperationSuffix: "clock"},
			},
			logical.UpdateOperation: &framework.PathOperation{
				Callback: b.handleStrict(b.writeClock), Summary: "Believe the clock as it is now.", Responses: ok("The clock guard.", clockFields),
				DisplayAttrs: &framework.DisplayAttributes{OperationVerb: "acknowledge", OperationSuffix: "clock"},
			},
		},
		HelpSynopsis: help,
		HelpDescription: help + " When the clock is more than five minutes behind a time it has shown before, or went on by more than 12 hours " +
			"without ticks, nothing is archived, retired or destroyed by the clock, for a day of good running or until an operator " +
			"acknowledges the time. Rotation goes on. While the clock is behind, nothing is retired by hand either.",
	}}
}

func (b *backend) readClock(ctx context.Context, c *request) (*logical.Response, error) {
	clock, err := c.store.Clock(ctx)
	if err != nil {
		return nil, err
	}
	_, frozen := clock.Watch(b.now())
	return &logical.Response{Data: map[string]any{
		"now": timeText(b.now()), "high_water_mark": timeText(clock.High), "frozen": frozen != "", "why": frozen,
	}}, nil
}

func (b *backend) writeClock(ctx context.Context, c *request) (*logical.Response, error) {
	if !fAcknowledge.get(c) {
		return nil, lifecycle.InvalidField("acknowledge", false, "must be true")
	}
	if err := c.store.SetClock(ctx, lifecycle.Clock{High: b.now()}); err != nil {
		return nil, err
	}
	b.Logger().Warn("clock acknowledged", "time", timeText(b.now()))
	return b.readClock(ctx, c)
}
