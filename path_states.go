// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fTimeLimit  = vaultapi.Seconds("time_limit", "Archive the version again after this time. 0: as the policy says.")
	fReasonCode = vaultapi.Text("reason_code", "KMIP revocation reason: unspecified, key_compromise, ca_compromise, affiliation_changed, superseded, cessation_of_operation or privilege_withdrawn.").Or("unspecified")
	fOccurredAt = vaultapi.Text("occurred_at", "When it happened, RFC 3339. Empty: unknown.")
	fHold       = vaultapi.Bool("hold", "Set the legal hold, or lift it.").Or(true)
	fFloor      = vaultapi.Int("min_available_version", "Versions below are destroyed.")
)

// stateOp is an operation as a path: what it is called, what it does and the fields it takes beside the usual ones.
type stateOp struct {
	op    lifecycle.Op
	path  string
	help  string
	extra []vaultapi.Declared
}

// versionOps and keyOps are the operations on versions and on whole keys.
var (
	versionOps = []stateOp{
		{lifecycle.Promote, "promote", "Make a staged version the active one; the active one is deactivated.", nil},
		{lifecycle.Suspend, "suspend", "Stop a version for the time being.", nil},
		{lifecycle.Resume, "resume", "Undo a suspension.", nil},
		{lifecycle.Archive, "archive", "Take a deactivated version out of use: its material moves to the archive, uses are denied and counted.", nil},
		{lifecycle.Recover, "recover", "Bring an archived version back, to decrypt. Of a compromised version that was out of use when it was reported: let it be rewrapped from, and decrypt as the policy says.", []vaultapi.Declared{fTimeLimit}},
		{lifecycle.Retire, "retire", "Schedule the destruction of a version, after the destroy delay.", nil},
		{lifecycle.Restore, "restore", "Undo a retirement, before the version is destroyed.", nil},
		{lifecycle.ReportCompromise, "compromise", "Report a version as compromised. An active one is replaced at once.", []vaultapi.Declared{fReasonCode, fOccurredAt}},
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

// statesAPI serves what changes the state of a key or of a version.
type statesAPI struct{}

func (a statesAPI) paths() []path {
	paths := []path{a.softDelete(), a.holdPath(), a.trimPath()}
	for _, op := range keyOps {
		paths = append(paths, keyChange(op, a.transition(op.op)))
	}
	for _, op := range versionOps {
		change := keyChange(op, a.transition(op.op))
		change.Pattern, change.ID.Suffix = "keys/"+named+`/versions/(?P<version>\d+)/`+op.path, "key-version"
		change.Fields = change.Fields.With(fVersion)
		paths = append(paths, change)
	}
	return paths
}

// keyChange is a path that changes a key and answers with it.
func keyChange(op stateOp, handle handler) path {
	return path{
		Pattern: "keys/" + named + "/" + op.path, ID: vaultapi.ID{Verb: op.path, Suffix: "key"}, Mode: vaultapi.Strict,
		Fields:      vaultapi.FieldsOf(fName, fCAS, fReason).With(op.extra...),
		Operations:  operations{logical.UpdateOperation: {Handle: handle, Summary: op.help, Answer: "The key.", Fields: keyFields}},
		Synopsis:    op.help,
		Description: op.help + " Refused with the state, what the operation needs and what is possible instead. The custody record keeps who did it and the reason.",
	}
}

// softDelete is OpenBao's name of suspend, with OpenBao's method.
func (a statesAPI) softDelete() path {
	op := stateOp{lifecycle.Suspend, "soft-delete", "OpenBao's name of suspend.", nil}
	change := keyChange(op, a.transition(op.op))
	softly := change.Operations[logical.UpdateOperation]
	softly.ID = vaultapi.ID{Verb: "delete", Suffix: "key-softly"}
	change.Operations[logical.DeleteOperation] = softly
	return change
}

func (a statesAPI) holdPath() path {
	return keyChange(stateOp{
		path: "hold", help: "Set or lift the legal hold of a key: under it nothing of the key is retired, destroyed or deleted.",
		extra: []vaultapi.Declared{fHold},
	}, changeKey(a.hold))
}

func (a statesAPI) trimPath() path {
	trim := keyChange(stateOp{
		path: "trim", help: "Destroy the oldest versions of a key without a policy at once, as in Transit: min_available_version must not be above min_decryption_version and min_encryption_version, which both have to be set.",
		extra: []vaultapi.Declared{fFloor},
	}, changeKey(a.trim))
	trim.Mode = vaultapi.Transit
	return trim
}

// transition is the handler of an operation.
func (a statesAPI) transition(op lifecycle.Op) handler {
	return changeKey(func(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error) {
		in, err := readOperation(c, op, pre)
		if err != nil {
			return engine.View{}, err
		}
		return c.Versions().Transition(ctx, fName.Get(c), in)
	})
}

func readOperation(c *request, op lifecycle.Op, pre engine.Precondition) (in engine.Operation, err error) {
	in = engine.Operation{Op: op, Version: fVersion.Get(c), Code: fReasonCode.Get(c), Precondition: pre}
	if in.Occurred, err = timeOf(fOccurredAt.Name, fOccurredAt.Get(c)); err != nil {
		return in, err
	}
	in.For = time.Duration(fTimeLimit.Get(c)) * time.Second
	if c.Declares(fVersion.Name) && in.Version < 1 {
		return in, vaultapi.InvalidField(fVersion.Name, in.Version, "must be at least 1")
	}
	return in, nil
}

func timeOf(field, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	const first, last = 1970, 9999 // what JSON can say in UTC, and the time without a value is not in it
	at, err := time.Parse(time.RFC3339, text)
	if at = at.UTC(); err != nil || at.Year() < first || at.Year() > last {
		return at, vaultapi.InvalidField(field, text, "must be a time as in RFC 3339, such as 2026-03-01T12:00:00Z, of the years 1970 to 9999 in UTC")
	}
	return at, nil
}

func (a statesAPI) hold(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error) {
	return c.Versions().Hold(ctx, fName.Get(c), fHold.Get(c), pre)
}

func (a statesAPI) trim(ctx context.Context, c *request, pre engine.Precondition) (engine.View, error) {
	floor := fFloor.Lookup(c)
	if floor == nil {
		return engine.View{}, vaultapi.Invalidf("min_available_version: missing")
	}
	return c.Versions().Trim(ctx, fName.Get(c), *floor, pre)
}
