// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var rotationStatusFields = fields(
	newField[int]("due", framework.TypeInt, "Keys that wait for the next tick, also those that are looked at for another reason than a rotation."),
	newField[bool]("due_complete", framework.TypeBool, "due counts all of them; false: only the oldest hour that has some."),
	newField[bool]("running", framework.TypeBool, "A tick is running on this node."),
	newField[map[string]any]("progress", framework.TypeMap, "Of the running tick, or of the last one on this node: started_time (empty: none since the plugin was started), took in seconds, and the numbers of keys seen, rotated, failed and rolled_back."),
	newField[int]("failed", framework.TypeInt, "Keys whose last attempt to rotate failed and that are tried again."),
	newField[int]("stalled", framework.TypeInt, "Keys whose attempts failed more often than their policy lets pass."),
	newField[int]("overdue", framework.TypeInt, "Keys that an operator has to rotate."),
	newField[int]("stopped", framework.TypeInt, "Keys that are enabled and cannot encrypt."),
	newField[[]any]("failed_keys", framework.TypeSlice, "Up to 100 of them, the longest first: name, since (RFC 3339, to the minute)."),
	newField[[]any]("stalled_keys", framework.TypeSlice, "As failed_keys."),
	newField[[]any]("overdue_keys", framework.TypeSlice, "As failed_keys."),
	newField[[]any]("stopped_keys", framework.TypeSlice, "As failed_keys."),
	newField[int]("ungoverned", framework.TypeInt, "Keys whose policy is missing or cannot be read: they have strict terms, and nothing rotates them by itself."),
	newField[[]any]("ungoverned_keys", framework.TypeSlice, "Up to 100 of them: name, policy, why."),
	newField[string]("oldest_due_time", framework.TypeString, "Since when the key waits that waits longest, of all that wait for a rotation, RFC 3339; empty: none does."),
	newField[int]("oldest_lateness", framework.TypeInt, "How long that is, in seconds."),
)

func (b *backend) pathRotationStatus() []*framework.Path {
	return []*framework.Path{{
		Pattern:      "rotation/status",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "rotation-status"},
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ReadOperation: &framework.PathOperation{
				Callback:  b.handleStrict(b.readRotationStatus),
				Summary:   "Read what is due for rotation on this mount, and what failed.",
				Responses: ok("The rotations of the mount.", rotationStatusFields),
			},
		},
		HelpSynopsis: "How the rotations of the mount stand.",
		HelpDescription: "What is due, how far the tick has come that works it off, and which keys need somebody: failed (an attempt failed and is " +
			"repeated), stalled (it failed too often), overdue (an operator has to rotate) and stopped (enabled, and cannot encrypt). Reading costs the same for any number of keys.",
	}}
}

func (b *backend) readRotationStatus(ctx context.Context, c *request) (*logical.Response, error) {
	s, err := b.engine.RotationStatus(ctx, c.store)
	if err != nil {
		return nil, err
	}
	ungoverned, ungovernedKeys := ungovernedOf(s.Ungoverned)
	return &logical.Response{Data: map[string]any{
		"due":          s.Due,
		"due_complete": s.Complete,
		"running":      s.Running,
		"progress": map[string]any{
			"started_time": timeText(s.Started), "took": s.Took.Seconds(), "seen": s.Seen, "rotated": s.Rotated,
			"failed": s.Failed, "rolled_back": s.RolledBack,
		},
		"failed":          len(s.Retrying),
		"stalled":         len(s.Stalled),
		"overdue":         len(s.Overdue),
		"stopped":         len(s.Stopped),
		"failed_keys":     alertedOf(s.Retrying),
		"stalled_keys":    alertedOf(s.Stalled),
		"overdue_keys":    alertedOf(s.Overdue),
		"stopped_keys":    alertedOf(s.Stopped),
		"ungoverned":      ungoverned,
		"ungoverned_keys": ungovernedKeys,
		"oldest_due_time": timeText(s.Oldest),
		"oldest_lateness": int64(s.Lateness.Seconds()),
	}}, nil
}

// ungovernedOf counts the keys and shows the first of them.
func ungovernedOf(policies []engine.Ungoverned) (n int, keys []any) {
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
		out = append(out, map[string]any{"name": key.Name, "since": timeText(key.Since)})
	}
	return out
}
