// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
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

// stateOp is an act as a path: what it is called, what it does and the fields that it takes beside the usual ones.
type stateOp struct {
	op    lifecycle.Op
	path  string
	help  string
	extra []vaultapi.Declared
}

// opOf is the path of an act that has its name.
func opOf(scope acts.Scope, name acts.Name, extra ...vaultapi.Declared) stateOp {
	row, known := acts.Of(scope, name)
	if !known {
		panic("internal error: no act " + string(name) + " on a " + string(scope))
	}
	return stateOp{name, string(name), row.Help, extra}
}

// versionOps and keyOps are the acts on versions and on whole keys.
var (
	versionOps = []stateOp{
		opOf(acts.Version, acts.Promote), opOf(acts.Version, acts.Suspend), opOf(acts.Version, acts.Resume),
		opOf(acts.Version, acts.Archive), opOf(acts.Version, acts.Recover, fTimeLimit), opOf(acts.Version, acts.Retire),
		opOf(acts.Version, acts.Restore), opOf(acts.Version, acts.Compromise, fReasonCode, fOccurredAt),
	}
	keyOps = []stateOp{
		opOf(acts.Key, acts.Rollback), opOf(acts.Key, acts.Suspend), opOf(acts.Key, acts.Resume), opOf(acts.Key, acts.Archive),
		opOf(acts.Key, acts.Recover), opOf(acts.Key, acts.Retire), opOf(acts.Key, acts.Restore),
		{acts.Resume, "soft-delete-restore", "OpenBao's name of resume.", nil},
	}
)

// statesAPI serves what changes the state of a key or of a version.
type statesAPI struct{}

func (a statesAPI) paths() []path {
	paths := []path{a.softDelete(), a.holdPath(), a.trimPath()}
	for _, op := range keyOps {
		paths = append(paths, keyChange(op.withBreakGlass(acts.Key), a.transition(op.op)))
	}
	for _, op := range versionOps {
		change := keyChange(op.withBreakGlass(acts.Version), a.transition(op.op))
		change.Pattern, change.ID.Suffix = "keys/"+named+`/versions/(?P<version>\d+)/`+op.path, "key-version"
		change.Fields = change.Fields.With(fVersion)
		paths = append(paths, change)
	}
	return paths
}

// withBreakGlass gives the path the field break_glass, where that is of use for the act.
func (o stateOp) withBreakGlass(scope acts.Scope) stateOp {
	if row, _ := acts.Of(scope, o.op); slices.Contains(consent.BreakGlassable(), row.Gate) {
		o.extra = append(slices.Clone(o.extra), fBreakGlass)
	}
	return o
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
	op := stateOp{acts.Suspend, "soft-delete", "OpenBao's name of suspend.", nil}
	change := keyChange(op, a.transition(op.op))
	softly := change.Operations[logical.UpdateOperation]
	softly.ID = vaultapi.ID{Verb: "delete", Suffix: "key-softly"}
	change.Operations[logical.DeleteOperation] = softly
	return change
}

func (a statesAPI) holdPath() path {
	return keyChange(opOf(acts.Key, acts.Hold, fHold), changeKey(a.hold))
}

func (a statesAPI) trimPath() path {
	trim := keyChange(opOf(acts.Key, acts.Trim, fFloor), changeKey(a.trim))
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
