// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// rotationStatusAPI serves how the rotations of the mount stand.
type rotationStatusAPI struct{}

func (a rotationStatusAPI) paths() []path {
	return []path{{
		Pattern: "rotation/status/?$", ID: vaultapi.ID{Suffix: "rotation-status"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(vaultapi.After, vaultapi.Limit),
		Operations: operations{
			logical.ReadOperation: {
				Handle: a.read, Summary: "Read what is due for rotation on this mount, and what failed.",
				Answer: "The rotations of the mount.", Fields: rotationStatusAnswer.Fields(),
			},
			logical.ListOperation: {
				Handle: a.list, Summary: "List the keys that need somebody.", Answer: "Names of the keys.",
				Fields: tableFields("By key: its rotation status, since when, its policy, and the status in a sentence."),
			},
		},
		Synopsis: "How the rotations of the mount stand.",
		Description: "What is due, how far the tick has come that works it off, and which keys need somebody: failed (an attempt failed and is " +
			"repeated), stalled (it failed too often), overdue (an operator has to rotate), stopped (enabled, and cannot encrypt) and ending (an end is near that nobody automates). Reading costs the same for any number of keys. A list has these keys as a table; after and limit are for it alone.",
	}}
}

var rotationStatusAnswer = vaultapi.Answer[scheduler.RotationStatus]{
	vaultapi.Show(vaultapi.Int("due", "Keys that wait for the next tick, also those that are looked at for another reason than a rotation."),
		func(s scheduler.RotationStatus) int { return s.Due }),
	vaultapi.Show(vaultapi.Bool("due_complete", "due counts all of them; false: only the oldest hour that has some."),
		func(s scheduler.RotationStatus) bool { return s.Complete }),
	vaultapi.Show(vaultapi.Bool("running", "A tick is running on this node."), func(s scheduler.RotationStatus) bool { return s.Running }),
	vaultapi.Show(vaultapi.Object("progress", "Of the running tick, or of the last one on this node: started_time (empty: none since the plugin was started), took in seconds, and the numbers of keys seen, rotated, failed, rolled_back and deferred (they wait for the wrapper of key material)."),
		progressData),
	vaultapi.Show(vaultapi.Int("failed", "Keys whose last attempt to rotate failed and that are tried again."),
		func(s scheduler.RotationStatus) int { return len(s.Retrying) }),
	vaultapi.Show(vaultapi.Int("stalled", "Keys whose attempts failed more often than their policy lets pass."),
		func(s scheduler.RotationStatus) int { return len(s.Stalled) }),
	vaultapi.Show(vaultapi.Int("overdue", "Keys that an operator has to rotate."), func(s scheduler.RotationStatus) int { return len(s.Overdue) }),
	vaultapi.Show(vaultapi.Int("stopped", "Keys that are enabled and cannot encrypt."), func(s scheduler.RotationStatus) int { return len(s.Stopped) }),
	vaultapi.Show(vaultapi.Int("ending", "Keys that are near the end of their originator period, or near a rotation, that nobody automates."),
		func(s scheduler.RotationStatus) int { return len(s.Ending) }),
	vaultapi.Show(vaultapi.List("failed_keys", "Up to 100 of them, the longest first: name, since (RFC 3339, to the minute)."),
		func(s scheduler.RotationStatus) []any { return alertedOf(s.Retrying) }),
	vaultapi.Show(vaultapi.List("stalled_keys", "As failed_keys."), func(s scheduler.RotationStatus) []any { return alertedOf(s.Stalled) }),
	vaultapi.Show(vaultapi.List("overdue_keys", "As failed_keys."), func(s scheduler.RotationStatus) []any { return alertedOf(s.Overdue) }),
	vaultapi.Show(vaultapi.List("stopped_keys", "As failed_keys."), func(s scheduler.RotationStatus) []any { return alertedOf(s.Stopped) }),
	vaultapi.Show(vaultapi.List("ending_keys", "As failed_keys; a key may be in several of these lists."),
		func(s scheduler.RotationStatus) []any { return alertedOf(s.Ending) }),
	vaultapi.Show(vaultapi.Int("ungoverned", "Keys whose policy is missing or cannot be read: they have strict terms, and nothing rotates them by itself."),
		func(s scheduler.RotationStatus) int { n, _ := ungovernedOf(s.Ungoverned); return n }),
	vaultapi.Show(vaultapi.List("ungoverned_keys", "Up to 100 of them: name, policy, why."),
		func(s scheduler.RotationStatus) []any { _, keys := ungovernedOf(s.Ungoverned); return keys }),
	vaultapi.Show(vaultapi.Text("oldest_due_time", "Since when the key waits that waits longest, of all that wait for a rotation, RFC 3339; empty: none does."),
		func(s scheduler.RotationStatus) string { return vaultapi.Time(s.Oldest) }),
	vaultapi.ShowAs(vaultapi.Int("oldest_lateness", "How long that is, in seconds."),
		func(s scheduler.RotationStatus) int64 { return int64(s.Lateness.Seconds()) }),
}

func (a rotationStatusAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
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
	vaultapi.Show(vaultapi.Text("status", "failed, stalled, overdue, stopped or ending as in a read, the most urgent of them; ungoverned: its policy is missing or cannot be read."),
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
	}{{"ending", s.Ending}, {"failed", s.Retrying}, {"overdue", s.Overdue}, {"stalled", s.Stalled}, {"stopped", s.Stopped}} {
		for _, key := range list.keys {
			keys[key.Name] = attention{status: list.status, since: key.Since}
		}
	}
	return keys
}

func (a rotationStatusAPI) list(ctx context.Context, c *request) (*logical.Response, error) {
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
		"failed": s.Failed, "rolled_back": s.RolledBack, "deferred": s.Deferred,
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
