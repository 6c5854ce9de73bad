// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var fCacheSize = vaultapi.Int("size", "How many versions of keys are kept in memory, opened: at least 10. 0: 65536.")

// cacheAPI serves the size of the cache of versions.
type cacheAPI struct{}

func (a cacheAPI) paths() []path {
	answer := vaultapi.FieldsOf(fCacheSize)
	return []path{{
		Pattern: "cache-config", Fields: vaultapi.FieldsOf(fCacheSize, fReason),
		Operations: operations{
			logical.UpdateOperation: {
				Handle: a.write, ID: vaultapi.ID{Verb: "configure", Suffix: "cache"}, Answer: "The configuration.", Fields: answer,
				Summary: "Configure the cache. What is not given gets its default.",
			},
			logical.ReadOperation: {
				Handle: a.read, ID: vaultapi.ID{Verb: "read", Suffix: "cache-configuration"}, Answer: "The configuration.", Fields: answer,
				Summary: "Read the configuration of the cache.",
			},
		},
		Synopsis: "Configure the cache.",
		Description: "Opened versions of keys are kept in memory, so that using one costs no storage call. With a size, those go first that " +
			"were not used for longest. It takes effect at once, on other nodes with their next request.",
	}}
}

func (cacheAPI) write(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	size := fCacheSize.Get(c)
	if err := c.Settings().SetCacheSize(ctx, size, pre.Reason); err != nil {
		return nil, err
	}
	resp := vaultapi.Data(fCacheSize.Is(size))
	if c.b.System().CachingDisabled() {
		resp.AddWarning("the mount has force_no_cache: nothing is kept in memory, whatever the size")
	}
	return resp, nil
}

// errNoCache is a fault, as in Transit.
var errNoCache = errors.New("the mount has force_no_cache: there is no cache")

func (cacheAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	if c.b.System().CachingDisabled() {
		return nil, errNoCache
	}
	size, err := c.stored.Settings().CacheSize(ctx)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fCacheSize.Is(size)), nil
}
