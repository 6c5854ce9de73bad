// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const leasesPrefix = "leases/"

// leaseRecord is leases/<name>/<n>: what was leased of a version in all. One entry a version, so that a lease costs the
// same at any number of them.
type leaseRecord struct {
	Schema      int    `json:"schema"`
	KeyID       string `json:"key_id"` // a key of the same name starts anew
	Encryptions int64  `json:"encryptions"`
	Bytes       int64  `json:"bytes"`
}

func leasePath(name string, n int) string { return leasesPrefix + name + "/" + strconv.Itoa(n) }

// Lease adds to what is leased of a version, before it is used, and returns what was added, and what was leased before. A
// zero grant means that the limits leave no room. A key that was deleted meanwhile is [refusal.ErrNotFound], also where its name is used again.
func (r Leases) Lease(ctx context.Context, name string, ask lifecycle.LeaseRequest) (granted, before policy.Usage, err error) {
	unlock, err := r.lock(ctx, &r.s.keys, name)
	if err != nil {
		return granted, before, err
	}
	defer unlock()
	k, err := Keys(r).Key(ctx, name)
	if err != nil {
		return granted, before, err
	}
	if k.ID != ask.KeyID {
		return granted, before, refusal.NoKey(name)
	}
	before, rest, err := r.leased(ctx, name, ask.KeyID, ask.Version)
	if err != nil {
		return granted, before, err
	}
	granted, ok := ask.Most.Grant(before, ask.Need, ask.Want)
	if !ok {
		return policy.Usage{}, before, nil
	}
	sum := before.Plus(granted)
	rec := leaseRecord{Schema: schema, KeyID: ask.KeyID, Encryptions: sum.Encryptions, Bytes: sum.Bytes}
	return granted, before, r.put(ctx, leasePath(name, ask.Version), rec, rest)
}

// Leased returns what was leased of a version of the key in all.
func (r Leases) Leased(ctx context.Context, name, keyID string, version int) (policy.Usage, error) {
	leased, _, err := r.leased(ctx, name, keyID, version)
	return leased, err
}

func (r Leases) leased(ctx context.Context, name, keyID string, version int) (policy.Usage, unknown, error) {
	var rec leaseRecord
	rest, _, err := read(ctx, r.conn, leasePath(name, version), &rec)
	if err != nil || rec.KeyID != keyID {
		return policy.Usage{}, nil, err
	}
	return policy.Usage{Encryptions: rec.Encryptions, Bytes: rec.Bytes}, rest, nil
}
