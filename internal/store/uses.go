// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
)

const accessPrefix = "access/"

// shardSize bounds a shard, in bytes. Vault's storages take a mebibyte or less.
const shardSize = 400 << 10

// accessRecord is access/<shard>: what the entities of a shard did with which keys. It says nothing secret.
type accessRecord struct {
	Schema int `json:"schema"`
	uses.Shard
}

func accessPath(shard int) string { return fmt.Sprintf("%s%03x", accessPrefix, shard) }

// AccessShards returns the shards that are stored, in order.
func (r Uses) AccessShards(ctx context.Context) ([]int, error) {
	names, err := r.list(ctx, accessPrefix)
	var shards []int
	for _, name := range names {
		if shard, parseErr := strconv.ParseInt(name, 16, 0); parseErr == nil {
			shards = append(shards, int(shard))
		}
	}
	return shards, err
}

// Access returns a shard; an empty one where it was never stored.
func (r Uses) Access(ctx context.Context, shard int) (uses.Shard, error) {
	var rec accessRecord
	_, _, err := read(ctx, r.conn, accessPath(shard), &rec)
	return rec.Shard, err
}

// AddAccess adds to a shard. Only a tick writes shards, and one at a time. A shard that grows too large gives up what was not
// used for longest.
func (r Uses) AddAccess(ctx context.Context, shard int, more uses.Shard) error {
	if err := r.certain(ctx); err != nil {
		return err
	}
	var rec accessRecord
	rest, _, err := read(ctx, r.conn, accessPath(shard), &rec)
	if err != nil {
		return err
	}
	rec = accessRecord{schema, rec.Plus(more)}
	data, err := encode(rec, rest)
	for err == nil && len(data) > shardSize && len(rec.Entities) > 0 {
		rec.Shard = rec.Smaller(len(data) - shardSize)
		data, err = encode(rec, rest)
	}
	if err != nil {
		return err
	}
	return r.replace(ctx, accessPath(shard), data)
}

// replace puts what counts uses. A write that is reported as failed is looked at: what it has added must not be added again.
func (r *conn) replace(ctx context.Context, path string, data []byte) error {
	failed := r.putEntry(ctx, path, data)
	if failed == nil {
		return nil
	}
	if err := r.certain(ctx); err != nil {
		return failed
	}
	if entry, err := r.get(ctx, path); err != nil || entry == nil || !bytes.Equal(entry.Value, data) {
		return failed
	}
	return nil
}

// Observed returns what is stored of a version: what it was used for, and what was leased of it.
func (r Uses) Observed(ctx context.Context, name, keyID string, version int) (uses.Observed, policy.Usage, error) {
	rec, _, err := r.leased(ctx, name, keyID, version)
	return rec.observed(), rec.usage(), err
}

// AddObserved adds to what versions of a key were used for, and returns those that it could not add. Those of a key that was
// deleted meanwhile it drops.
func (r Uses) AddObserved(ctx context.Context, name, keyID string, more map[int]uses.Observed) (left map[int]uses.Observed, err error) {
	unlock, err := r.lock(ctx, &r.s.keys, name)
	if err != nil {
		return more, err
	}
	defer unlock()
	k, err := Keys(r).Key(ctx, name)
	switch {
	case errors.Is(err, refusal.ErrNotFound), err == nil && k.ID != keyID:
		return left, nil
	case err != nil:
		return more, err
	}
	left = map[int]uses.Observed{}
	for version, observed := range more {
		if addErr := r.addObserved(ctx, name, keyID, version, observed); addErr != nil {
			left[version] = observed
			err = errors.Join(err, addErr)
		}
	}
	return left, err
}

func (r Uses) addObserved(ctx context.Context, name, keyID string, version int, more uses.Observed) error {
	rec, rest, err := r.leased(ctx, name, keyID, version)
	if err != nil {
		return err
	}
	sum := rec.observed().Plus(more)
	rec.Used = &sum
	data, err := encode(rec, rest)
	if err != nil {
		return err
	}
	return r.replace(ctx, leasePath(name, version), data)
}
