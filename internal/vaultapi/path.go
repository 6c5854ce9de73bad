// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"context"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// Handler answers one operation. Its error is a domain error; it knows no statuses.
type Handler[R any] func(ctx context.Context, r R) (*logical.Response, error)

// Path is a path of the API: its fields, what may be done with it, and its help.
type Path[R any] struct {
	Pattern string
	ID      ID
	Mode    Mode
	Fields  Fields
	// Direct are the fields that the segments of the path after its verb are, where [Mount.Direct] may answer it.
	Direct []string
	// Exists is for a path with CreateOperation. Its error has the status StatusNotFound where there is nothing yet.
	Exists      func(ctx context.Context, r R) error
	Operations  map[logical.Operation]Operation[R]
	Synopsis    string
	Description string
}

// Operation is one operation of a path.
type Operation[R any] struct {
	ID      ID // what is not given is the path's
	Handle  Handler[R]
	Summary string
	Answer  string // what the answer is, in words
	Fields  Fields // of the answer; none: it is empty, with status 204
}

// ID makes the OpenAPI id of an operation, prefix-verb-suffix. Without a verb it is the operation's own.
type ID struct{ Verb, Suffix string }

// Paths returns paths as Vault's SDK takes them.
func (m *Mount[R]) Paths(paths ...Path[R]) []*framework.Path {
	if m.routes == nil {
		m.routes = make(map[*framework.Path]*route, len(paths))
	}
	list := make([]*framework.Path, len(paths))
	for i := range paths {
		r := newRoute(paths[i].Mode, paths[i].Fields, paths[i].Pattern)
		list[i] = m.path(r, paths[i])
		m.routes[list[i]] = r
		if paths[i].Direct != nil {
			m.addDirect(r, paths[i])
		}
	}
	return list
}

func (m *Mount[R]) path(r *route, p Path[R]) *framework.Path {
	path := &framework.Path{
		Pattern:      p.Pattern,
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: m.Prefix, OperationVerb: p.ID.Verb, OperationSuffix: p.ID.Suffix},
		Fields:       p.Fields.Schema(),
		Operations:   make(map[logical.Operation]framework.OperationHandler, len(p.Operations)),
		HelpSynopsis: p.Synopsis, HelpDescription: p.Description,
	}
	if p.Exists != nil {
		path.ExistenceCheck = m.existenceCheck(r, p.Exists)
	}
	for verb, op := range p.Operations {
		path.Operations[verb] = m.operation(r, op)
	}
	return path
}

func (m *Mount[R]) operation(r *route, op Operation[R]) *framework.PathOperation {
	out := &framework.PathOperation{Callback: m.handle(r, op.Handle), Summary: op.Summary}
	if op.ID != (ID{}) {
		out.DisplayAttrs = &framework.DisplayAttributes{OperationVerb: op.ID.Verb, OperationSuffix: op.ID.Suffix}
	}
	answer, code := framework.Response{Description: op.Answer}, 204
	if op.Fields.names != nil {
		answer.Fields, code = op.Fields.Schema(), 200
	}
	out.Responses = map[int][]framework.Response{code: {answer}}
	return out
}
