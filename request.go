// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// request is a request as a handler sees it: the fields, and the storage bound to it.
type request struct {
	*framework.FieldData
	req   *logical.Request
	store requestStore
}

// handler answers one operation. Its error is a domain error; it knows no statuses.
type handler func(ctx context.Context, c *request) (*logical.Response, error)

// handle is the one way into the backend. It binds storage and turns errors into what Vault understands, as the very last
// step: an error type survives the way to Vault only if nothing wraps it.
func (b *backend) handle(h handler) framework.OperationFunc {
	return func(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
		c := &request{FieldData: d, req: req, store: b.requestStore(req)}
		if err := c.check(); err != nil {
			return errorResponse(req.Operation, err)
		}
		resp, err := h(ctx, c)
		if err != nil {
			return errorResponse(req.Operation, err)
		}
		return resp, nil
	}
}

// handleStrict is the entry point of paths that Transit does not have: a field that is not theirs is an error, not a warning, and so is
// an integer or a boolean that is none.
func (b *backend) handleStrict(h handler) framework.OperationFunc {
	return b.handle(func(ctx context.Context, c *request) (*logical.Response, error) {
		if err := cmp.Or(c.checkKnown(), c.checkScalars()); err != nil {
			return nil, err
		}
		return h(ctx, c)
	})
}

func (c *request) checkKnown() error {
	var alien []string
	for name := range c.Raw {
		if c.Schema[name] == nil {
			alien = append(alien, name)
		}
	}
	if len(alien) == 0 {
		return nil
	}
	slices.Sort(alien)
	return lifecycle.Invalidf("%s: this path has no such field", strings.Join(alien, ", "))
}

// HandleRequest implements [logical.Backend]; it keeps panics in, the SDK's among them. What the SDK refuses before the
// door it refuses with the value in the text, which may be a secret. It is the only error that comes as a response alone;
// one of ours takes its place.
func (b *backend) HandleRequest(ctx context.Context, req *logical.Request) (resp *logical.Response, err error) {
	err = b.engine.Guard(whereOf(req), func() (err error) {
		resp, err = b.Backend.HandleRequest(ctx, req)
		if err == nil && resp.IsError() {
			resp, err = errorResponse(req.Operation, b.fieldError(req))
		}
		return err
	})
	return resp, err
}

// whereOf names a request in the server log. The tick has no path.
func whereOf(req *logical.Request) string { return string(req.Operation) + " " + req.Path }

// fieldError says what is wrong with the fields of a request that the SDK refused.
func (b *backend) fieldError(req *logical.Request) error {
	path := b.Route(req.Path)
	raw := map[string]any{}
	maps.Copy(raw, req.Data)
	pattern := regexp.MustCompile(path.Pattern)
	match := pattern.FindStringSubmatch(req.Path)
	for i, name := range pattern.SubexpNames() {
		raw[name] = match[i] // as in the SDK, what stands in the path counts
	}
	c := &request{FieldData: &framework.FieldData{Raw: raw, Schema: path.Fields}}
	return cmp.Or(c.check(), c.checkTypes(), lifecycle.Invalidf("a field has a value of the wrong type"))
}

// badRequest are the kinds of error that are the caller's to mend.
var badRequest = []error{
	lifecycle.ErrInvalid, lifecycle.ErrRefused, lifecycle.ErrNotFound, lifecycle.ErrExists, envelope.ErrInput,
}

// errorResponse maps a domain error to Vault's answer: 404 for reading what is not there (as Transit does, 400 for writing
// to it), 409 for another revision, 400 for all else that the caller can mend, 500 otherwise.
func errorResponse(op logical.Operation, err error) (*logical.Response, error) {
	if errors.Is(err, logical.ErrReadOnly) {
		return nil, logical.ErrReadOnly // Vault forwards the request to a node that may write
	}
	if errors.Is(err, engine.ErrFault) {
		return nil, err // whatever its cause would be elsewhere
	}
	if errors.Is(err, lifecycle.ErrNotFound) && (op == logical.ReadOperation || op == logical.ListOperation) {
		return nil, nil //nolint:nilnil // Vault's 404
	}
	if errors.Is(err, lifecycle.ErrConflict) {
		return nil, logical.CodedError(http.StatusConflict, err.Error())
	}
	for _, kind := range badRequest {
		if errors.Is(err, kind) {
			return logical.ErrorResponse(err.Error()), logical.ErrInvalidRequest
		}
	}
	return nil, err
}

// HandleExistenceCheck implements [logical.Backend]. What exists is a question of the name in the path. The fields stay
// out: Vault writes an error of this check, with the value that the SDK puts into it, into its server log and its audit
// log; and what is wrong with a field must not hide what exists, or Vault asks for another capability.
func (b *backend) HandleExistenceCheck(ctx context.Context, req *logical.Request) (found, exists bool, err error) {
	bare := *req
	bare.Data = nil
	err = b.engine.Guard(whereOf(req), func() (err error) {
		found, exists, err = b.Backend.HandleExistenceCheck(ctx, &bare)
		return err
	})
	return found, exists, err
}

// existenceCheck is the entry point of an existence check, by which Vault tells create from update: find's error is
// lifecycle.ErrNotFound where there is nothing yet.
func (b *backend) existenceCheck(find func(ctx context.Context, c *request) error) framework.ExistenceFunc {
	return func(ctx context.Context, req *logical.Request, d *framework.FieldData) (bool, error) {
		c := &request{FieldData: d, req: req, store: b.requestStore(req)}
		err := c.checkNames()
		if err == nil {
			err = find(ctx, c)
		}
		if errors.Is(err, lifecycle.ErrNotFound) || errors.Is(err, lifecycle.ErrInvalid) {
			return false, nil // nothing has a name that is invalid; the request itself will say so
		}
		return err == nil, err
	}
}
