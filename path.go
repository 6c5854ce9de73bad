// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// checkPrecondition bounds what a log line and a record are made to hold.
func checkPrecondition(pre engine.Precondition) error {
	const longest = 512
	switch {
	case len(pre.Reason) > longest:
		return lifecycle.InvalidField("reason", pre.Reason, "at most 512 bytes")
	case pre.CAS != nil && *pre.CAS < 0:
		return lifecycle.InvalidField("cas", *pre.CAS, "must not be negative")
	}
	return nil
}

// listPage answers a LIST with one page of the names.
func listPage(c *request, names []string) (*logical.Response, error) {
	after, limit := fAfter.get(c), fLimit.get(c)
	if limit < 0 {
		return nil, lifecycle.InvalidField("limit", limit, "must not be negative")
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "/") })
	start, found := slices.BinarySearch(names, after)
	if found {
		start++
	}
	names = names[start:]
	if limit > 0 && limit < len(names) {
		names = names[:limit]
	}
	return logical.ListResponse(names), nil
}

// afterNumber reads behind which number a page begins.
func afterNumber(c *request) (int, error) {
	after := fAfterNumber.get(c)
	if after < 0 {
		return 0, lifecycle.InvalidField(fAfterNumber.name, after, "must not be negative")
	}
	return after, nil
}

// numberPage returns which of the numbers 1 to last a LIST asks for.
func numberPage(c *request, last int) (lifecycle.Range, error) {
	after, err := afterNumber(c)
	if err != nil {
		return lifecycle.Range{}, err
	}
	limit := fLimit.get(c)
	if limit < 0 {
		return lifecycle.Range{}, lifecycle.InvalidField(fLimit.name, limit, "must not be negative")
	}
	after = min(after, last)
	if rest := last - after; limit == 0 || limit > rest {
		limit = rest
	}
	return lifecycle.Range{From: after + 1, To: after + limit}, nil
}

// listPath is the LIST operation of a folder, behind its door.
func (b *backend) listPath(
	what string, door func(handler) framework.OperationFunc, names func(context.Context, engine.Repo) ([]string, error),
) *framework.Path {
	return &framework.Path{
		Pattern:      what + "/?$",
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: what},
		Fields:       fields(fAfter, fLimit),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.ListOperation: &framework.PathOperation{
				Callback: door(func(ctx context.Context, c *request) (*logical.Response, error) {
					all, err := names(ctx, c.store)
					if err != nil {
						return nil, err
					}
					return listPage(c, all)
				}),
				Summary:   "List " + what + ".",
				Responses: ok("Names of "+what+".", fields(fKeys)),
			},
		},
		HelpSynopsis:    "List " + what + ".",
		HelpDescription: "Names come in alphabetical order. With limit, a page of them; after takes the last name of the page before.",
	}
}

// prefix starts every OpenAPI operation id.
const prefix = "keylife"

// ok describes the answer of an operation that returns data.
func ok(description string, data map[string]*framework.FieldSchema) map[int][]framework.Response {
	return map[int][]framework.Response{200: {{Description: description, Fields: data}}}
}

// done describes the answer of an operation that returns nothing.
func done(description string) map[int][]framework.Response {
	return map[int][]framework.Response{204: {{Description: description}}}
}
