// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fStage    = vaultapi.Bool("stage", "Only make the new version: it is pre-active, and encrypts when it is promoted.")
	fNextType = vaultapi.Text("type", "Type of the new version: one that is for what the key is for. Empty: as next_type of the policy has it, or that of the active version.")
	fNextSize = vaultapi.Int("key_size", "Size in bytes of a version of type hmac: 32 to 512. 0: as that of the active version.")
	fCount    = vaultapi.Int("count", "How many events to show, 1 to 100.").Or(10).Query()

	fRevisionInForce = vaultapi.Int("policy_revision", "Revision of the policy in force; 0: no policy.")
	fEvents          = vaultapi.List("events", "What the clock will do, soonest first: time (RFC 3339), act, version (0: the whole key), why and irreversible (nothing brings back what it takes).")
	keyPlanFields    = vaultapi.FieldsOf(fName, fPolicy, fRevisionInForce, fEvents)
)

// rotationAPI serves the rotation of a key, and what the clock will do to it.
type rotationAPI struct{}

func (a rotationAPI) paths() []path {
	return []path{
		{
			Pattern: "keys/" + named + "/rotate", ID: vaultapi.ID{Verb: "rotate", Suffix: "key"},
			Fields: vaultapi.FieldsOf(fName, fStage, fNextType, fNextSize, fParameterSet, fCAS, fReason),
			Operations: operations{logical.UpdateOperation: {
				Handle: changeKey(a.rotate), Summary: "Make a new version of the key and encrypt with it from now on.", Answer: "The key.", Fields: keyFields,
			}},
			Synopsis: "Rotate a key.",
			Description: "The new version encrypts from now on; the older ones still decrypt. The rotation period starts anew. " +
				"With type the new version is of another type; what older ones made stays of use. A policy has to allow the type of the new version.",
		},
		{
			Pattern: "keys/" + named + "/rotation", ID: vaultapi.ID{Suffix: "key-rotation"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fName),
			Operations: operations{logical.ReadOperation: {
				Handle: a.read, Summary: "Read why and when the key rotates next, and how the last rotation went.",
				Answer: "The rotation of the key.", Fields: rotationAnswer.Fields(),
			}},
			Synopsis:    "Why and when a key rotates.",
			Description: "status is none, scheduled, due (the next tick rotates the key), overdue (an operator has to), retrying (the last attempts failed), stalled (so often that somebody has to look) or stopped (the key is enabled and cannot encrypt); why says it in a sentence.",
		},
		{
			Pattern: "keys/" + named + "/plan/?$", ID: vaultapi.ID{Suffix: "key-plan"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fName, fCount),
			Operations: operations{
				logical.ReadOperation: {
					Handle: a.plan, Summary: "Read what the clock will do to a key next, and why.", Answer: "The plan of the key.", Fields: keyPlanFields,
				},
				logical.ListOperation: {
					Handle: a.listPlan, Summary: "List what the clock will do to a key next, and why.", Answer: "Numbers of the events, the soonest first.",
					Fields: vaultapi.FieldsOf(vaultapi.Keys, vaultapi.KeyInfo("By event: when, what, to which version and why.")),
				},
			},
			Synopsis: "What the clock will do to a key.",
			Description: "The next events of the key under its policy: rotations, promotions, archiving, retiring, destroying, each with its " +
				"time and the reason. As if nobody intervened, every attempt succeeded, and no use was denied. A list has the events as a table.",
		},
	}
}

func (a rotationAPI) rotate(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error) {
	to := lifecycle.NextType{Size: fNextSize.Get(c)}
	var err error
	if name, set := fNextType.Get(c), fParameterSet.Get(c); name != "" || set != "" {
		if to.Type, err = keytype.ParseWithSet(cmp.Or(name, keytype.MLDSA), set); err != nil {
			return engine.View{}, err
		}
	}
	return c.Versions().RotateTo(ctx, fName.Get(c), to, fStage.Get(c), pre)
}

// rotation is what is shown of the rotation of a key.
type rotation struct {
	engine.View
	used dataplane.Used
}

var rotationAnswer = vaultapi.Answer[rotation]{
	vaultapi.Show(fName, func(r rotation) string { return r.Key.Name }),
	vaultapi.Show(fPolicy, func(r rotation) string { return r.Key.Policy }),
	vaultapi.Show(vaultapi.Text("status", "none, scheduled, due, overdue, retrying, stalled or stopped."), func(r rotation) string { return string(r.Plan.Status) }),
	vaultapi.Show(vaultapi.Text("why", "The status in a sentence."), func(r rotation) string { return r.Plan.Why }),
	vaultapi.Show(vaultapi.Text("mode", "Who rotates: auto, manual or notify."), func(r rotation) string { return string(r.Plan.Mode) }),
	vaultapi.ShowAs(vaultapi.Int("period", "Rotation period in force, in seconds; 0: none."), func(r rotation) int64 { return int64(r.Plan.Period.Seconds()) }),
	vaultapi.Show(fRevisionInForce, func(r rotation) int { return revisionInForce(r.View) }),
	vaultapi.Show(vaultapi.Text("next_rotation_time", "When the key is, or was, due, RFC 3339; empty: never by itself."),
		func(r rotation) string { return vaultapi.Time(r.Plan.Next) }),
	vaultapi.Show(vaultapi.Text("last_rotation_time", "When the newest version was made, RFC 3339."),
		func(r rotation) string { return vaultapi.Time(r.Key.Rotation.Last) }),
	vaultapi.Show(vaultapi.Text("last_rotation_trigger", "What made it: creation, operator, schedule, period, usage, clock, incident or import."),
		func(r rotation) string { return string(r.Key.Rotation.Trigger) }),
	vaultapi.Show(vaultapi.Text("last_rotation_reason", "Why, as the operator or the schedule said."), func(r rotation) string { return r.Key.Rotation.Reason }),
	vaultapi.Show(vaultapi.Int("failures", "Automatic attempts that failed since."), func(r rotation) int { return r.Key.Rotation.Failures }),
	vaultapi.Show(vaultapi.Text("last_error", "Error of the newest failed attempt."), func(r rotation) string { return r.Key.Rotation.LastError }),
	vaultapi.Show(vaultapi.Text("last_error_time", "When that was, RFC 3339."), func(r rotation) string { return vaultapi.Time(r.Key.Rotation.FailedAt) }),
	vaultapi.Show(vaultapi.Text("retry_time", "When it is tried again, RFC 3339."), func(r rotation) string { return vaultapi.Time(r.Key.Rotation.RetryAt) }),
	vaultapi.Show(vaultapi.Int64("encryptions", "Encryptions by the active version, as far as a limit has them counted."),
		func(r rotation) int64 { return r.used.Encryptions }),
	vaultapi.Show(vaultapi.Int64("bytes", "Bytes of plaintext it encrypted."), func(r rotation) int64 { return r.used.Bytes }),
	vaultapi.Show(vaultapi.Int64("max_encryptions", "The most it may do; 0: no limit."), func(r rotation) int64 { return r.used.Limits.Encryptions }),
	vaultapi.Show(vaultapi.Int64("max_bytes", "The most it may encrypt, in bytes; 0: no limit."), func(r rotation) int64 { return r.used.Limits.Bytes }),
	vaultapi.Show(vaultapi.Text("on_limit", "rotate or block; empty: no policy."), func(r rotation) string { return string(r.used.OnLimit) }),
}

func (a rotationAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	view, err := c.Keys().Read(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	used, err := c.Data().Used(ctx, view.Key.Name, 0)
	if err != nil {
		return nil, err
	}
	return rotationAnswer.Of(rotation{view, used}), nil
}

func revisionInForce(v engine.View) int {
	if v.Policy == nil {
		return 0
	}
	return v.Policy.Revision
}

// forecast returns as many events as the request asks for.
func (a rotationAPI) forecast(ctx context.Context, c *request) (engine.View, []lifecycle.Forecasted, error) {
	const most = 100
	n := fCount.Get(c)
	if n < 1 || n > most {
		return engine.View{}, nil, vaultapi.InvalidField(fCount.Name, n, "must be between 1 and 100")
	}
	return c.Keys().Forecast(ctx, fName.Get(c), n)
}

func (a rotationAPI) plan(ctx context.Context, c *request) (*logical.Response, error) {
	view, events, err := a.forecast(ctx, c)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(
		fName.Is(view.Key.Name), fPolicy.Is(view.Key.Policy), fRevisionInForce.Is(revisionInForce(view)), fEvents.Is(vaultapi.Rows(events, eventData)),
	), nil
}

// plannedEvent is an event in a table.
type plannedEvent struct {
	lifecycle.Forecasted
	number int
}

var planRows = vaultapi.Answer[plannedEvent]{
	vaultapi.Show(vaultapi.Text("time", "When, RFC 3339."), func(e plannedEvent) string { return vaultapi.Time(e.At) }),
	vaultapi.Show(vaultapi.Text("act", "What."), func(e plannedEvent) string { return e.Act }),
	vaultapi.Show(vaultapi.Text("version", "To which version; all: the whole key."), func(e plannedEvent) string { return versionText(e.Version) }),
	vaultapi.Show(vaultapi.Text("why", "Why."), func(e plannedEvent) string { return e.Why }),
}

func (a rotationAPI) listPlan(ctx context.Context, c *request) (*logical.Response, error) {
	view, events, err := a.forecast(ctx, c)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return vaultapi.Nothing("the clock will do nothing to key " + view.Key.Name), nil
	}
	lines := make([]plannedEvent, len(events))
	for i, event := range events {
		lines[i] = plannedEvent{event, i + 1}
	}
	return vaultapi.Lines(lines, planRows, func(e plannedEvent) int { return e.number }), nil
}

func eventData(event lifecycle.Forecasted) map[string]any {
	return map[string]any{"time": vaultapi.Time(event.At), "act": event.Act, "version": event.Version, "why": event.Why, "irreversible": event.Irreversible()}
}
