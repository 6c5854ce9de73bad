// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// request is a request as a handler sees it: its fields, and the storage bound to it.
type request struct {
	*vaultapi.Request
	session
	changes bool // it asks for a change, not for a use of a key
}

// The parts of the API, for requests of this mount.
type (
	path       = vaultapi.Path[*request]
	operation  = vaultapi.Operation[*request]
	operations = map[logical.Operation]operation
	handler    = vaultapi.Handler[*request]
)

// statuses are the kinds of error with the statuses that clients branch on; the first that an error has counts. A wrapper
// that is away is worth trying again, also where it is a check of the policy that says so. A fault of ours is one whatever its
// cause would be elsewhere.
var statuses = []vaultapi.Status{
	{Kind: envelope.ErrUnavailable, Code: http.StatusServiceUnavailable},
	{Kind: refusal.ErrAsFault, Code: http.StatusInternalServerError},
	{Kind: refusal.ErrRefused, Code: http.StatusBadRequest},
	{Kind: dataplane.ErrFault, Code: http.StatusInternalServerError},
	{Kind: refusal.ErrNotFound, Code: http.StatusNotFound},
	{Kind: refusal.ErrConflict, Code: http.StatusConflict},
	{Kind: refusal.ErrConsent, Code: http.StatusPreconditionRequired},
	{Kind: refusal.ErrInvalid, Code: http.StatusBadRequest},
	{Kind: refusal.ErrExists, Code: http.StatusBadRequest},
	{Kind: envelope.ErrInput, Code: http.StatusBadRequest},
}

// maxName is the longest name of a key or a policy, in bytes. Names stand in custody records, which keep 8 KiB of them,
// and in the paths of entries, bound/<policy>/<name> with two of them; raft takes paths of 32 KiB.
const maxName = 1024

// The fields that several resources share.
var (
	fName   = vaultapi.Text("name", "Name of the key.")
	fCAS    = vaultapi.Int("cas", "Check-and-set: the revision this change is made for. If the revision in force is another, nothing is changed and the answer is 409. 0: it must not exist yet. Absent: no check.").Query()
	fReason = vaultapi.Text("reason", "Why the change is made, for the log and the record. At most 512 bytes.").Query()

	fBreakGlass = vaultapi.Bool("break_glass", "Do at once what a rule asks for consent to, for people to review afterwards. It needs a reason of at least 20 bytes. Where no rule asks for consent it changes nothing.")
)

// named is the part of a pattern that is a name.
var named = framework.GenericNameRegex(fName.Name)

// precondition reads what every change may carry, and bounds what a log line and a record are made to hold.
func precondition(c *request) (engine.Precondition, error) {
	c.changes = true
	pre := engine.Precondition{CAS: fCAS.LookupNonNull(c), Reason: fReason.Get(c)}
	if err := c.CheckExact(fCAS.Name); err != nil {
		return pre, err
	}
	switch {
	case c.Declares(fBreakGlass.Name):
		pre.BreakGlass = fBreakGlass.Get(c)
	case c.Has(fBreakGlass.Name): // Transit's paths ignore fields that they do not have
		return pre, vaultapi.Invalidf("%s is for %s", fBreakGlass.Name, strings.Join(textsOf(consent.BreakGlassable()), ", "))
	}
	const longest = 512
	switch {
	case len(pre.Reason) > longest:
		return pre, vaultapi.InvalidField(fReason.Name, pre.Reason, "at most 512 bytes")
	case pre.CAS != nil && *pre.CAS < 0:
		return pre, vaultapi.InvalidField(fCAS.Name, *pre.CAS, "must not be negative")
	}
	return pre, nil
}

// tableOf is the LIST operation of a folder of names, with a row for each.
func tableOf(what string, mode vaultapi.Mode, info string, handle handler) path {
	return path{
		Pattern: what + "/?$", ID: vaultapi.ID{Suffix: strings.ReplaceAll(what, "/", "-")}, Mode: mode, Fields: vaultapi.FieldsOf(vaultapi.After, vaultapi.Limit),
		Operations: operations{logical.ListOperation: {
			Handle: handle, Summary: "List " + what + ".", Answer: "Names of " + what + ".", Fields: tableFields(info),
		}},
		Synopsis: "List " + what + ".",
		Description: "Names come in alphabetical order, all of them; key_info has a row for the first 100. With limit, a page of names with at " +
			"most 1000 rows; after takes the last name of the page before.",
	}
}

// tableFields are the fields of the answer of a LIST with rows.
func tableFields(info string) vaultapi.Fields {
	return vaultapi.FieldsOf(vaultapi.Keys, vaultapi.KeyInfo(info), vaultapi.Next)
}

// unlessGone returns the row of a table; none for what was deleted since its name was listed.
func unlessGone[V any](row V, err error) (*V, error) {
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		return nil, nil //nolint:nilnil // no row
	case err != nil:
		return nil, err
	}
	return &row, nil
}

// system is who acts when nobody asked.
var system = store.Caller{Actor: custody.Actor{System: true}}

// callerOf is on whose behalf the request acts, from what Vault says of it.
func callerOf(req *logical.Request) store.Caller {
	if req.Operation == logical.RollbackOperation {
		return system
	}
	who := store.Caller{
		RequestID: custody.Clip(req.ID),
		Actor: custody.Actor{
			EntityID:    custody.Clip(req.EntityID),
			DisplayName: custody.Clip(req.DisplayName),
		},
		Accessor: func() string { return accessorHMAC(req) },
	}
	if req.Connection != nil {
		who.Actor.Address = custody.Clip(req.Connection.RemoteAddr)
	}
	return who
}

// accessorHMAC tells tokens apart without the accessor, with which a token can be revoked. An accessor is random enough
// that its digest does not give it away.
func accessorHMAC(req *logical.Request) string {
	if req.ClientTokenAccessor == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte("keylife/accessor/v1"))
	mac.Write([]byte(req.ClientTokenAccessor))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
