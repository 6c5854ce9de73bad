// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

func (b *backend) pathRotate() []*framework.Path {
	name := framework.GenericNameRegex(fName.name)
	return []*framework.Path{
		{
			Pattern:      "keys/" + name + "/rotate",
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationVerb: "rotate", OperationSuffix: "key"},
			Fields:       fields(fName, fStage, fCAS, fReason),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: &framework.PathOperation{
					Callback:  b.handle(b.rotateKey),
					Summary:   "Make a new version of the key and encrypt with it from now on.",
					Responses: ok("The key.", viewFields),
				},
			},
			HelpSynopsis: "Rotate a key.",
			HelpDescription: "The new version encrypts from now on; the older ones still decrypt. The rotation period starts anew. " +
				"A policy has to allow the key's type also for the new version.",
		},
		{
			Pattern:      "keys/" + name + "/rotation",
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "key-rotation"},
			Fields:       fields(fName),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: &framework.PathOperation{
					Callback:  b.handleStrict(b.readRotation),
					Summary:   "Read why and when the key rotates next, and how the last rotation went.",
					Responses: ok("The rotation of the key.", rotationFields),
				},
			},
			HelpSynopsis:    "Why and when a key rotates.",
			HelpDescription: "status is none, scheduled, due (the next tick rotates the key), overdue (an operator has to), retrying (the last attempts failed), stalled (so often that somebody has to look) or stopped (the key is enabled and cannot encrypt); why says it in a sentence.",
		},
	}
}

var fStage = newField[bool]("stage", framework.TypeBool, "Only make the new version: it is pre-active, and encrypts when it is promoted.")

func (b *backend) rotateKey(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	view, err := b.engine.Rotate(ctx, c.store, fName.get(c), fStage.get(c), pre)
	if err != nil {
		return nil, err
	}
	return viewResponse(view), nil
}

var rotationFields = fields(
	fName, fPolicy,
	newField[string]("status", framework.TypeString, "none, scheduled, due, overdue, retrying, stalled or stopped."),
	newField[string]("why", framework.TypeString, "The status in a sentence."),
	newField[string]("mode", framework.TypeString, "Who rotates: auto, manual or notify."),
	newField[int]("period", framework.TypeInt, "Rotation period in force, in seconds; 0: none."),
	newField[int]("policy_revision", framework.TypeInt, "Revision of the policy in force; 0: no policy."),
	newField[string]("next_rotation_time", framework.TypeString, "When the key is, or was, due, RFC 3339; empty: never by itself."),
	newField[string]("last_rotation_time", framework.TypeString, "When the newest version was made, RFC 3339."),
	newField[string]("last_rotation_trigger", framework.TypeString, "What made it: creation, operator, schedule, period, usage, clock or incident."),
	newField[string]("last_rotation_reason", framework.TypeString, "Why, as the operator or the schedule said."),
	newField[int]("failures", framework.TypeInt, "Automatic attempts that failed since."),
	newField[string]("last_error", framework.TypeString, "Error of the newest failed attempt."),
	newField[string]("last_error_time", framework.TypeString, "When that was, RFC 3339."),
	newField[string]("retry_time", framework.TypeString, "When it is tried again, RFC 3339."),
	newField[int64]("encryptions", framework.TypeInt64, "Encryptions by the active version, as far as a limit has them counted."),
	newField[int64]("bytes", framework.TypeInt64, "Bytes of plaintext it encrypted."),
	newField[int64]("max_encryptions", framework.TypeInt64, "The most it may do; 0: no limit."),
	newField[int64]("max_bytes", framework.TypeInt64, "The most it may encrypt, in bytes; 0: no limit."),
	newField[string]("on_limit", framework.TypeString, "rotate or block; empty: no policy."),
)

func (b *backend) readRotation(ctx context.Context, c *request) (*logical.Response, error) {
	view, err := b.engine.Read(ctx, c.store, fName.get(c))
	if err != nil {
		return nil, err
	}
	used, err := b.engine.Usage(ctx, c.store, view.Key.Name, 0)
	if err != nil {
		return nil, err
	}
	k, plan, revision := view.Key, view.Plan, 0
	if view.Policy != nil {
		revision = view.Policy.Revision
	}
	return &logical.Response{Data: map[string]any{
		"name":                  k.Name,
		"status":                string(plan.Status),
		"why":                   plan.Why,
		"mode":                  string(plan.Mode),
		"period":                int64(plan.Period.Seconds()),
		"policy":                k.Policy,
		"policy_revision":       revision,
		"next_rotation_time":    timeText(plan.Next),
		"last_rotation_time":    timeText(k.Rotation.Last),
		"last_rotation_trigger": string(k.Rotation.Trigger),
		"last_rotation_reason":  k.Rotation.Reason,
		"failures":              k.Rotation.Failures,
		"last_error":            k.Rotation.LastError,
		"last_error_time":       timeText(k.Rotation.FailedAt),
		"retry_time":            timeText(k.Rotation.RetryAt),
		"encryptions":           used.Encryptions,
		"bytes":                 used.Bytes,
		"max_encryptions":       used.Limits.Encryptions,
		"max_bytes":             used.Limits.Bytes,
		"on_limit":              string(used.OnLimit),
	}}, nil
}
