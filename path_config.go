// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fDisableUpsert = vaultapi.Bool("disable_upsert", "Encrypting with a key that does not exist is an error, rather than making it.")
	fRequirePolicy = vaultapi.Bool("require_policy", "Every new key has a policy, and no key is detached from its policy.")
	fDefaultPolicy = vaultapi.Text("default_policy", "Policy of new keys whose maker names none. It has to exist. Empty: none.")
	fAcknowledge   = vaultapi.Bool("acknowledge", "Believe the clock as it is now.")

	upsertFields     = vaultapi.FieldsOf(fDisableUpsert)
	governanceAnswer = vaultapi.Answer[policy.Governance]{
		vaultapi.Show(fRequirePolicy, func(g policy.Governance) bool { return g.RequirePolicy }),
		vaultapi.Show(fDefaultPolicy, func(g policy.Governance) string { return g.DefaultPolicy }),
	}
)

// configAPI serves the settings of the mount.
type configAPI struct {
	now func() time.Time
}

func (a configAPI) paths() []path { return []path{a.engineConfig(), a.keysConfig(), a.clock()} }

func (a configAPI) keysConfig() path {
	return path{
		Pattern: "config/keys", Fields: vaultapi.FieldsOf(fDisableUpsert, fReason),
		Operations: operations{
			logical.UpdateOperation: {
				Handle: a.writeKeys, ID: vaultapi.ID{Verb: "configure", Suffix: "keys"}, Answer: "The configuration.", Fields: upsertFields,
				Summary: "Configure the keys of the mount. What is not given gets its default.",
			},
			logical.ReadOperation: {
				Handle: a.readKeys, ID: vaultapi.ID{Verb: "read", Suffix: "keys-configuration"}, Answer: "The configuration.", Fields: upsertFields,
				Summary: "Read the configuration of the mount's keys.",
			},
		},
		Synopsis:    "Configure the keys of the mount.",
		Description: "With disable_upsert, encrypt does not make a key whose name it does not know: a misspelt name is then an error.",
	}
}

func (configAPI) writeKeys(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	disable := fDisableUpsert.Get(c)
	if err := c.Settings().SetDisableUpsert(ctx, disable, pre.Reason); err != nil {
		return nil, err
	}
	return vaultapi.Data(fDisableUpsert.Is(disable)), nil
}

func (configAPI) readKeys(ctx context.Context, c *request) (*logical.Response, error) {
	disable, err := c.stored.Settings().DisableUpsert(ctx)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fDisableUpsert.Is(disable)), nil
}

func (a configAPI) engineConfig() path {
	return path{
		Pattern: "config/engine", Mode: vaultapi.Strict, Fields: governanceAnswer.Fields(fReason),
		Operations: operations{
			logical.UpdateOperation: {
				Handle: a.writeEngine, ID: vaultapi.ID{Verb: "configure", Suffix: "engine"}, Answer: "The configuration.", Fields: governanceAnswer.Fields(),
				Summary: "Configure how new keys come under a policy. What is not given stays.",
			},
			logical.ReadOperation: {
				Handle: a.readEngine, ID: vaultapi.ID{Verb: "read", Suffix: "engine-configuration"}, Answer: "The configuration.", Fields: governanceAnswer.Fields(),
				Summary: "Read how new keys come under a policy.",
			},
		},
		Synopsis: "Configure how keys come under a policy.",
		Description: "default_policy is for keys that are made without naming a policy, also by encrypting. With require_policy a key " +
			"without one is refused, and so is detaching a key. Keys that are there already stay as they are.",
	}
}

func (a configAPI) writeEngine(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	g, err := c.Settings().SetGovernance(ctx, engine.GovernanceChange{
		RequirePolicy: fRequirePolicy.LookupNonNull(c), DefaultPolicy: fDefaultPolicy.LookupNonNull(c), Reason: pre.Reason,
	})
	if err != nil {
		return nil, err
	}
	resp := governanceAnswer.Of(g)
	if g.RequirePolicy {
		resp.AddWarning("require_policy is for keys that are made from now on; a key that has no policy stays without one until it is bound")
	}
	return resp, nil
}

func (a configAPI) readEngine(ctx context.Context, c *request) (*logical.Response, error) {
	g, err := c.Settings().Governance(ctx)
	if err != nil {
		return nil, err
	}
	return governanceAnswer.Of(g), nil
}

// clockGuard is what the clock guard knows, and the time by which it says so.
type clockGuard struct {
	lifecycle.Clock
	now    time.Time
	frozen string // why nothing is archived, retired or destroyed; empty: it is
}

var clockAnswer = vaultapi.Answer[clockGuard]{
	vaultapi.Show(vaultapi.Text("now", "The time as this node has it, RFC 3339."), func(g clockGuard) string { return vaultapi.Time(g.now) }),
	vaultapi.Show(vaultapi.Text("high_water_mark", "The latest time that a tick has seen, to within minutes, RFC 3339."),
		func(g clockGuard) string { return vaultapi.Time(g.High) }),
	vaultapi.Show(vaultapi.Bool("frozen", "Nothing is archived, retired or destroyed by the clock."), func(g clockGuard) bool { return g.frozen != "" }),
	vaultapi.Show(vaultapi.Text("why", "Why not."), func(g clockGuard) string { return g.frozen }),
}

func (a configAPI) clock() path {
	help := "The clock guard: whether the clock is believed."
	return path{
		Pattern: "config/clock", Mode: vaultapi.Strict, Fields: vaultapi.FieldsOf(fAcknowledge, fReason),
		Operations: operations{
			logical.ReadOperation: {
				Handle: a.readClock, ID: vaultapi.ID{Verb: "read", Suffix: "clock"}, Summary: "Read the clock guard.",
				Answer: "The clock guard.", Fields: clockAnswer.Fields(),
			},
			logical.UpdateOperation: {
				Handle: a.writeClock, ID: vaultapi.ID{Verb: "acknowledge", Suffix: "clock"}, Summary: "Believe the clock as it is now.",
				Answer: "The clock guard.", Fields: clockAnswer.Fields(),
			},
		},
		Synopsis: help,
		Description: help + " When the clock is more than five minutes behind a time it has shown before, or went on by more than 12 hours " +
			"without ticks, nothing is archived, retired or destroyed by the clock, for a day of good running or until an operator " +
			"acknowledges the time. Rotation goes on. While the clock is behind, nothing is retired by hand either.",
	}
}

func (a configAPI) readClock(ctx context.Context, c *request) (*logical.Response, error) {
	clock, err := c.Settings().Clock(ctx)
	if err != nil {
		return nil, err
	}
	now := a.now()
	_, frozen := clock.Watch(now)
	return clockAnswer.Of(clockGuard{clock, now, frozen}), nil
}

func (a configAPI) writeClock(ctx context.Context, c *request) (*logical.Response, error) {
	if !fAcknowledge.Get(c) {
		return nil, vaultapi.InvalidField(fAcknowledge.Name, false, "must be true")
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	if err := c.Settings().AcknowledgeClock(ctx, pre.Reason); err != nil {
		return nil, err
	}
	return a.readClock(ctx, c)
}
