// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

import "context"

// Storage is what the ledger stores. All of it is safe for concurrent use.
type Storage interface {
	// AccessShards returns the shards that are stored, in order.
	AccessShards(ctx context.Context) ([]int, error)
	// Access returns a shard; an empty one where it was never stored.
	Access(ctx context.Context, shard int) (Shard, error)
	// AddAccess adds to what is stored of a shard. After an error nothing was added, as far as can be told.
	AddAccess(ctx context.Context, shard int, more Shard) error
	// AddObserved adds to what is stored of versions, and returns those that it could not add. Those of a key that is gone it drops.
	AddObserved(ctx context.Context, name, keyID string, more map[int]Observed) (left map[int]Observed, err error)
}

// Directory is what Vault knows of entities. It is asked each time.
type Directory interface {
	// Entity returns an entity with its groups, those that it inherits among them; found is false where there is none.
	Entity(id string) (info EntityInfo, found bool, err error)
}

// EntityInfo is what Vault knows of an entity.
type EntityInfo struct {
	Name     string
	Disabled bool
	Groups   []string // names
}
