// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fStage = vaultapi.Bool("stage", "Only make the new version: it is pre-active, and encrypts when it is promoted.")
	fCount = vaultapi.Int("count", "How many events to show, 1 to 100.").Or(10).Query()

	fRevisionInForce = vaultapi.Int("policy_revision", "Revision of the policy in force; 0: no policy.")
	fEvents          = vaultapi.List("events", "What the clock will do, soonest first: time (RFC 3339), act, version (0: the whole key) and why.")
	keyPlanFields    = vaultapi.FieldsOf(fName, fPolicy, fRevisionInForce, fEvents)
)

// rotationAPI serves the rotation of a key, and what the clock will do to it.
type rotationAPI struct{}

func (a rotationAPI) paths() []path {
	return []path{
		{
			Pattern: "keys/" + named + "/rotate", ID: vaultapi.ID{Verb: "rotate", Suffix: "key"},
			Fields: vaultapi.FieldsOf(fName, fStage, fCAS, fReason),
			Operations: operations{logical.UpdateOperation: {
				Handle: changeKey(a.rotate), Summary: "Make a new version of the key and encrypt with it from now on.", Answer: "The key.", Fields: keyFields,
			}},
			Synopsis: "Rotate a key.",
			Description: "The new version encrypts from now on; the older ones still decrypt. The rotation period starts anew. " +
				"A policy has to allow the key's type also for the new version.",
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
		a.statusPath(),
	}
}

func (a rotationAPI) rotate(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error) {
	return c.Versions().Rotate(ctx, fName.Get(c), fStage.Get(c), pre)
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
	vaultapi.Show(vaultapi.Text("last_rotation_trigger", "What made it: creation, operator, schedule, period, usage, clock or incident."),
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
	return map[string]any{"time": vaultapi.Time(event.At), "act": event.Act, "version": event.Version, "why": event.Why}
}

func (a rotationAPI) statusPath() path {
	return path{
		Pattern: "rotation/status/?$", ID: vaultapi.ID{Suffix: "rotation-status"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(vaultapi.After, vaultapi.Limit),
		Operations: operations{
			logical.ReadOperation: {
				Handle: a.status, Summary: "Read what is due for rotation on this mount, and what failed.",
				Answer: "The rotations of the mount.", Fields: rotationStatusAnswer.Fields(),
			},
			logical.ListOperation: {
				Handle: a.listStatus, Summary: "List the keys that need somebody.", Answer: "Names of the keys.",
				Fields: tableFields("By key: its rotation status, since when, its policy, and the status in a sentence."),
			},
		},
		Synopsis: "How the rotations of the mount stand.",
		Description: "What is due, how far the tick has come that works it off, and which keys need somebody: failed (an attempt failed and is " +
			"repeated), stalled (it failed too often), overdue (an operator has to rotate) and stopped (enabled, and cannot encrypt). Reading costs the same for any number of keys. A list has these keys as a table; after and limit are for it alone.",
	}
}

var rotationStatusAnswer = vaultapi.Answer[scheduler.RotationStatus]{
	vaultapi.Show(vaultapi.Int("due", "Keys that wait for the next tick, also those that are looked at for another reason than a rotation."),
		func(s scheduler.RotationStatus) int { return s.Due }),
	vaultapi.Show(vaultapi.Bool("due_complete", "due counts all of them; false: only the oldest hour that has some."),
		func(s scheduler.RotationStatus) bool { return s.Complete }),
	vaultapi.Show(vaultapi.Bool("running", "A tick is running on this node."), func(s scheduler.RotationStatus) bool { return s.Running }),
	vaultapi.Show(vaultapi.Object("progress", "Of the running tick, or of the last one on this node: started_time (empty: none since the plugin was started), took in seconds, and the numbers of keys seen, rotated, failed and rolled_back."),
		progressData),
	vaultapi.Show(vaultapi.Int("failed", "Keys whose last attempt to rotate failed and that are tried again."),
		func(s scheduler.RotationStatus) int { return len(s.Retrying) }),
	vaultapi.Show(vaultapi.Int("stalled", "Keys whose attempts failed more often than their policy lets pass."),
		func(s scheduler.RotationStatus) int { return len(s.Stalled) }),
	vaultapi.Show(vaultapi.Int("overdue", "Keys that an operator has to rotate."), func(s scheduler.RotationStatus) int { return len(s.Overdue) }),
	vaultapi.Show(vaultapi.Int("stopped", "Keys that are enabled and cannot encrypt."), func(s scheduler.RotationStatus) int { return len(s.Stopped) }),
	vaultapi.Show(vaultapi.List("failed_keys", "Up to 100 of them, the longest first: name, since (RFC 3339, to the minute)."),
		func(s scheduler.RotationStatus) []any { return alertedOf(s.Retrying) }),
	vaultapi.Show(vaultapi.List("stalled_keys", "As failed_keys."), func(s scheduler.RotationStatus) []any { return alertedOf(s.Stalled) }),
	vaultapi.Show(vaultapi.List("overdue_keys", "As failed_keys."), func(s scheduler.RotationStatus) []any { return alertedOf(s.Overdue) }),
	vaultapi.Show(vaultapi.List("stopped_keys", "As failed_keys."), func(s scheduler.RotationStatus) []any { return alertedOf(s.Stopped) }),
	vaultapi.Show(vaultapi.Int("ungoverned", "Keys whose policy is missing or cannot be read: they have strict terms, and nothing rotates them by itself."),
		func(s scheduler.RotationStatus) int { n, _ := ungovernedOf(s.Ungoverned); return n }),
	vaultapi.Show(vaultapi.List("ungoverned_keys", "Up to 100 of them: name, policy, why."),
		func(s scheduler.RotationStatus) []any { _, keys := ungovernedOf(s.Ungoverned); return keys }),
	vaultapi.Show(vaultapi.Text("oldest_due_time", "Since when the key waits that waits longest, of all that wait for a rotation, RFC 3339; empty: none does."),
		func(s scheduler.RotationStatus) string { return vaultapi.Time(s.Oldest) }),
	vaultapi.ShowAs(vaultapi.Int("oldest_lateness", "How long that is, in seconds."),
		func(s scheduler.RotationStatus) int64 { return int64(s.Lateness.Seconds()) }),
}

func (a rotationAPI) status(ctx context.Context, c *request) (*logical.Response, error) {
	if pages := c.Given(vaultapi.FieldsOf(vaultapi.After, vaultapi.Limit)); len(pages) > 0 {
		return nil, vaultapi.Invalidf("%s: only a list has pages", pages[0])
	}
	status, err := c.Scheduler().Status(ctx)
	if err != nil {
		return nil, err
	}
	return rotationStatusAnswer.Of(status), nil
}

// attention is a key that needs somebody.
type attention struct {
	status string
	since  time.Time // zero: it is not known
	engine.View
}

var attentionRows = vaultapi.Answer[attention]{
	vaultapi.Show(vaultapi.Text("status", "failed, stalled, overdue or stopped as in a read; ungoverned: its policy is missing or cannot be read."),
		func(k attention) string { return k.status }),
	vaultapi.Show(vaultapi.Text("since", "Since when, RFC 3339, to the minute."), func(k attention) string { return vaultapi.Time(k.since) }),
	vaultapi.Show(fPolicy, func(k attention) string { return k.Key.Policy }),
	vaultapi.Show(vaultapi.Text("why", "The status of its rotation in a sentence."), func(k attention) string { return k.Plan.Why }),
}

// attentionOf collects the keys that need somebody, each with what is most urgent about it.
func attentionOf(s scheduler.RotationStatus) map[string]attention {
	keys := map[string]attention{}
	for _, policy := range s.Ungoverned {
		for _, name := range policy.Keys {
			keys[name] = attention{status: "ungoverned"}
		}
	}
	for _, list := range []struct {
		status string
		keys   []lifecycle.Alerted
	}{{"failed", s.Retrying}, {"overdue", s.Overdue}, {"stalled", s.Stalled}, {"stopped", s.Stopped}} {
		for _, key := range list.keys {
			keys[key.Name] = attention{status: list.status, since: key.Since}
		}
	}
	return keys
}

func (a rotationAPI) listStatus(ctx context.Context, c *request) (*logical.Response, error) {
	status, err := c.Scheduler().Status(ctx)
	if err != nil {
		return nil, err
	}
	keys := attentionOf(status)
	if len(keys) == 0 {
		return vaultapi.Nothing("no key needs anybody"), nil
	}
	listing, err := vaultapi.ListNames(c, slices.Sorted(maps.Keys(keys)))
	if err != nil {
		return nil, err
	}
	return vaultapi.Table(ctx, listing, attentionRows, func(name string) (*attention, error) {
		row := keys[name]
		var err error
		row.View, err = c.Keys().Summary(ctx, name)
		return unlessGone(row, err)
	})
}

func progressData(s scheduler.RotationStatus) map[string]any {
	return map[string]any{
		"started_time": vaultapi.Time(s.Started), "took": s.Took.Seconds(), "seen": s.Seen, "rotated": s.Rotated,
		"failed": s.Failed, "rolled_back": s.RolledBack,
	}
}

// ungovernedOf counts the keys and shows the first of them.
func ungovernedOf(policies []scheduler.Ungoverned) (n int, keys []any) {
	keys = []any{}
	for _, policy := range policies {
		n += len(policy.Keys)
		for _, name := range policy.Keys[:min(len(policy.Keys), keysShown-len(keys))] {
			keys = append(keys, map[string]any{"name": name, "policy": policy.Policy, "why": policy.Why.Error()})
		}
	}
	return n, keys
}

// keysShown is how many keys of a kind the status names.
const keysShown = 100

// alertedOf shows the first of the keys.
func alertedOf(list []lifecycle.Alerted) []any {
	out := make([]any, 0, min(len(list), keysShown))
	for _, key := range list[:min(len(list), keysShown)] {
		out = append(out, map[string]any{"name": key.Name, "since": vaultapi.Time(key.Since)})
	}
	return out
}
