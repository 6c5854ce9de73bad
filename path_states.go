// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fVersion    = newField[int]("version", framework.TypeInt, "Number of the version.")
	fTimeLimit  = newField[int]("time_limit", framework.TypeDurationSecond, "Archive the version again after this time. 0: as the policy says.")
	fReasonCode = newField[string]("reason_code", framework.TypeString, "KMIP revocation reason: unspecified, key_compromise, ca_compromise, affiliation_changed, superseded, cessation_of_operation or privilege_withdrawn.").or("unspecified")
	fOccurredAt = newField[string]("occurred_at", framework.TypeString, "When it happened, RFC 3339. Empty: unknown.")
	fHold       = newField[bool]("hold", framework.TypeBool, "Set the legal hold, or lift it.").or(true)
	fFloor      = newField[int]("min_available_version", framework.TypeInt, "Versions below are destroyed.")
)

// stateOp is an operation as a path: what it is called, what it does and the fields it takes beside the usual ones.
type stateOp struct {
	op    lifecycle.Op
	path  string
	help  string
	extra []declared
}

// versionOps and keyOps are the operations on versions and on whole keys.
var (
	versionOps = []stateOp{
		{lifecycle.Promote, "promote", "Make a staged version the active one; the active one is deactivated.", nil},
		{lifecycle.Suspend, "suspend", "Stop a version for the time being.", nil},
		{lifecycle.Resume, "resume", "Undo a suspension.", nil},
		{lifecycle.Archive, "archive", "Take a deactivated version out of use: its material moves to the archive, uses are denied and counted.", nil},
		{lifecycle.Recover, "recover", "Bring an archived version back, to decrypt. Of a compromised version that was out of use when it was reported: let it be rewrapped from, and decrypt as the policy says.", []declared{fTimeLimit}},
		{lifecycle.Retire, "retire", "Schedule the destruction of a version, after the destroy delay.", nil},
		{lifecycle.Restore, "restore", "Undo a retirement, before the version is destroyed.", nil},
		{lifecycle.ReportCompromise, "compromise", "Report a version as compromised. An active one is replaced at once.", []declared{fReasonCode, fOccurredAt}},
	}
	keyOps = []stateOp{
		{lifecycle.Rollback, "rollback", "Make the version before the active one active again, inside the rollback window.", nil},
		{lifecycle.Suspend, "suspend", "Stop a whole key for the time being: from the next request on, no version of it is used.", nil},
		{lifecycle.Resume, "resume", "Undo the suspension of a key.", nil},
		{lifecycle.Archive, "archive", "Take a whole key out of use: its material moves to the archive, it does not rotate.", nil},
		{lifecycle.Recover, "recover", "Bring an archived key back.", nil},
		{lifecycle.Retire, "retire", "Schedule the destruction of an archived key, after the destroy delay.", nil},
		{lifecycle.Restore, "restore", "Undo the retirement of a key, before it is destroyed.", nil},
		{lifecycle.Resume, "soft-delete-restore", "OpenBao's name of resume.", nil},
	}
)

func (b *backend) pathStates() []*framework.Path {
	name := "keys/" + framework.GenericNameRegex(fName.name)
	paths := []*framework.Path{b.softDelete(name), b.pathHold(name), b.pathTrim(name)}
	for _, op := range keyOps {
		paths = append(paths, b.statePath(name+"/"+op.path, "key", op, nil))
	}
	for _, op := range versionOps {
		paths = append(paths, b.statePath(name+`/versions/(?P<version>\d+)/`+op.path, "key-version", op, []declared{fVersion}))
	}
	return paths
}

func (b *backend) statePath(pattern, suffix string, op stateOp, extra []declared) *framework.Path {
	return &framework.Path{
		Pattern:      pattern,
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationVerb: op.path, OperationSuffix: suffix},
		Fields:       with(with(fields(fName, fCAS, fReason), op.extra...), extra...),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{
				Callback: b.handleStrict(b.operate(op.op)), Summary: op.help, Responses: ok("The key.", viewFields),
			},
		},
		HelpSynopsis:    op.help,
		HelpDescription: op.help + " Refused with the state, what the operation needs and what is possible instead. The custody record keeps who did it and the reason.",
	}
}

// softDelete is OpenBao's name of suspend, with OpenBao's method.
func (b *backend) softDelete(name string) *framework.Path {
	op := stateOp{lifecycle.Suspend, "soft-delete", "OpenBao's name of suspend.", nil}
	path := b.statePath(name+"/soft-delete", "key", op, nil)
	path.Operations[logical.DeleteOperation] = &framework.PathOperation{
		Callback: b.handleStrict(b.operate(op.op)), Summary: op.help, Responses: ok("The key.", viewFields),
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationVerb: "delete", OperationSuffix: "key-softly"},
	}
	return path
}

// operate is the handler of an operation.
func (b *backend) operate(op lifecycle.Op) handler {
	return func(ctx context.Context, c *request) (*logical.Response, error) {
		pre, err := precondition(c)
		if err != nil {
			return nil, err
		}
		in := engine.Operation{Op: op, Version: fVersion.get(c), Code: fReasonCode.get(c), Precondition: pre}
		if in.Occurred, err = timeOf(fOccurredAt.name, fOccurredAt.get(c)); err != nil {
			return nil, err
		}
		if limit := fTimeLimit.lookup(c); limit != nil && *limit != 0 {
			in.For = time.Duration(*limit) * time.Second
		}
		if c.Schema[fVersion.name] != nil && in.Version < 1 {
			return nil, lifecycle.InvalidField(fVersion.name, in.Version, "must be at least 1")
		}
		view, err := b.engine.Transition(ctx, c.store, fName.get(c), in)
		if err != nil {
			return nil, err
		}
		return viewResponse(view), nil
	}
}

func timeOf(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	const first, last = 1970, 9999 // what JSON can say in UTC, and the time without a value is not in it
	at, err := time.Parse(time.RFC3339, text)
	if at = at.UTC(); err != nil || at.Year() < first || at.Year() > last {
		return at, lifecycle.InvalidField(field, text, "must be a time as in RFC 3339, such as 2026-03-01T12:00:00Z, of the years 1970 to 9999 in UTC")
	}
	return at, nil
}

func (b *backend) pathHold(name string) *framework.Path {
	op := stateOp{path: "hold", help: "Set or lift the legal hold of a key: under it nothing of the key is retired, destroyed or deleted.", extra: []declared{fHold}}
	return b.changePath(name, op, b.handleStrict, func(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error) {
		return b.engine.Hold(ctx, c.store, fName.get(c), fHold.get(c), pre)
	})
}

func (b *backend) pathTrim(name string) *framework.Path {
	op := stateOp{path: "trim", help: "Destroy the oldest versions of a key without a policy at once, as in Transit: min_available_version must not be above min_decryption_version and min_encryption_version, which both have to be set.", extra: []declared{fFloor}}
	return b.changePath(name, op, b.handle, func(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error) {
		floor := fFloor.lookup(c)
		if floor == nil {
			return engine.View{}, lifecycle.Invalidf("min_available_version: missing")
		}
		return b.engine.Trim(ctx, c.store, fName.get(c), *floor, pre)
	})
}

// changePath is a path that changes a key and answers with it.
func (b *backend) changePath(
	name string, op stateOp, door func(handler) framework.OperationFunc,
	change func(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error),
) *framework.Path {
	path := b.statePath(name+"/"+op.path, "key", op, nil)
	path.Operations[logical.UpdateOperation] = &framework.PathOperation{
		Callback: door(func(ctx context.Context, c *request) (*logical.Response, error) {
			pre, err := precondition(c)
			if err != nil {
				return nil, err
			}
			view, err := change(ctx, c, pre)
			if err != nil {
				return nil, err
			}
			return viewResponse(view), nil
		}),
		Summary: op.help, Responses: ok("The key.", viewFields),
	}
	return path
}
