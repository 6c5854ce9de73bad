// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"regexp"
	"sync"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// Request is a request as a handler sees it. Its fields are read by [Field.Get] and [Field.Lookup].
type Request struct {
	Source
	Logical *logical.Request
}

// Mount is what the paths of a mount have in common. R is a request with what the mount binds to it: storage, say.
type Mount[R any] struct {
	Prefix   string // starts every OpenAPI operation id
	Bind     func(r *Request) R
	Names    NameRule
	Statuses []Status                                        // of the kinds of error that handlers return
	Guard    func(where string, do func() error) (err error) // keeps panics in
	Failed   func(r R, err error)                            // is told of each error of a handler; nil: nobody is

	routes  map[*framework.Path]*route
	directs map[string]*direct[R] // by verb
}

// route is what is known of a path beside what Vault knows.
type route struct {
	mode    Mode
	fields  Fields
	pattern func() *regexp.Regexp // what the SDK matches with it does not show
}

func newRoute(mode Mode, fields Fields, pattern string) *route {
	return &route{mode, fields, sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") })}
}

func (r *route) source(raw map[string]any) Source {
	return Source{raw: raw, fields: &r.fields, mode: r.mode}
}

// handle is the one way to a handler. It refuses bad fields, binds the request and turns errors into what Vault
// understands.
func (m *Mount[R]) handle(r *route, h Handler[R]) framework.OperationFunc {
	return func(ctx context.Context, req *logical.Request, d *framework.FieldData) (*logical.Response, error) {
		c := &Request{Source: r.source(d.Raw), Logical: req}
		if err := c.check(m.Names); err != nil {
			return answerOf(req.Operation, err, m.Statuses)
		}
		return m.answer(ctx, c, h)
	}
}

// answer binds a request of which the fields are checked, and handles it.
func (m *Mount[R]) answer(ctx context.Context, c *Request, h Handler[R]) (*logical.Response, error) {
	bound := m.Bind(c)
	resp, err := h(ctx, bound)
	if err == nil {
		return resp, nil
	}
	if m.Failed != nil {
		m.Failed(bound, err)
	}
	return answerOf(c.Logical.Operation, err, m.Statuses)
}

// HandleRequest is [logical.Backend]'s for the SDK's backend b; it keeps panics in, the SDK's among them. What the SDK
// refuses before a handler it refuses with the value in the text, which may be a secret. It is the only error that comes
// as a response alone; one of ours takes its place.
func (m *Mount[R]) HandleRequest(ctx context.Context, b *framework.Backend, req *logical.Request) (resp *logical.Response, err error) {
	err = m.Guard(whereOf(req), func() (err error) {
		resp, err = b.HandleRequest(ctx, req)
		if err == nil && resp.IsError() {
			resp, err = answerOf(req.Operation, m.fieldError(b, req), m.Statuses)
		}
		return err
	})
	return resp, err
}

// whereOf names a request in the server log. The tick has no path.
func whereOf(req *logical.Request) string { return string(req.Operation) + " " + req.Path }

// fieldError says what is wrong with the fields of a request that the SDK refused.
func (m *Mount[R]) fieldError(b *framework.Backend, req *logical.Request) error {
	wrongType := Invalidf("a field has a value of the wrong type")
	r := m.routes[b.Route(req.Path)]
	if r == nil {
		return wrongType
	}
	raw := maps.Clone(req.Data)
	if raw == nil {
		raw = map[string]any{}
	}
	match := r.pattern().FindStringSubmatch(req.Path)
	for i, name := range r.pattern().SubexpNames() {
		if name != "" {
			raw[name] = match[i] // as in the SDK, what stands in the path counts
		}
	}
	s := r.source(raw)
	return cmp.Or(s.checkAll(bent), m.Names.check(&s), s.checkAll(unconvertible), wrongType)
}

// HandleExistenceCheck is [logical.Backend]'s for the SDK's backend b. What exists is a question of the name in the path.
// The fields stay out: Vault writes an error of this check, with the value that the SDK puts into it, into its server log
// and its audit log; and what is wrong with a field must not hide what exists, or Vault asks for another capability.
func (m *Mount[R]) HandleExistenceCheck(ctx context.Context, b *framework.Backend, req *logical.Request) (found, exists bool, err error) {
	bare := *req
	bare.Data = nil
	err = m.Guard(whereOf(req), func() (err error) {
		found, exists, err = b.HandleExistenceCheck(ctx, &bare)
		return err
	})
	return found, exists, err
}

// existenceCheck is the entry point of an existence check, by which Vault tells create from update: the error of find has
// the status StatusNotFound where there is nothing yet.
func (m *Mount[R]) existenceCheck(r *route, find func(ctx context.Context, r R) error) framework.ExistenceFunc {
	return func(ctx context.Context, req *logical.Request, d *framework.FieldData) (bool, error) {
		return m.exists(ctx, &Request{Source: r.source(d.Raw), Logical: req}, find)
	}
}

func (m *Mount[R]) exists(ctx context.Context, c *Request, find func(ctx context.Context, r R) error) (bool, error) {
	err := m.Names.check(&c.Source)
	if err == nil {
		err = find(ctx, m.Bind(c))
	}
	if errors.Is(err, ErrInvalid) || (err != nil && statusOf(err, m.Statuses) == http.StatusNotFound) {
		return false, nil // nothing has a name that is invalid; the request itself will say so
	}
	return err == nil, err
}
