// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
)

const leasesPrefix = "leases/"

// leaseRecord is leases/<name>/<n>: what was leased of a version in all, and what it was used for. One entry a version, so that a lease costs the
// same at any number of them.
type leaseRecord struct {
	Schema      int    `json:"schema"`
	KeyID       string `json:"key_id"` // a key of the same name starts anew
	Encryptions int64  `json:"encryptions"`
	Bytes       int64  `json:"bytes"`

	// Used is what the version was used for; left out where nothing was counted. It is here because who reads one reads both.
	Used *uses.Observed `json:"used,omitempty"`
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
	rec, rest, err := r.leased(ctx, name, ask.KeyID, ask.Version)
	before = rec.usage()
	if err != nil {
		return granted, before, err
	}
	granted, ok := ask.Most.Grant(before, ask.Need, ask.Want)
	if !ok {
		return policy.Usage{}, before, nil
	}
	sum := before.Plus(granted)
	rec.Encryptions, rec.Bytes = sum.Encryptions, sum.Bytes
	return granted, before, r.put(ctx, leasePath(name, ask.Version), rec, rest)
}

// Leased returns what was leased of a version of the key in all.
func (r Leases) Leased(ctx context.Context, name, keyID string, version int) (policy.Usage, error) {
	rec, _, err := r.leased(ctx, name, keyID, version)
	return rec.usage(), err
}

// leased returns the record of a version, an empty one where there is none.
func (r *conn) leased(ctx context.Context, name, keyID string, version int) (leaseRecord, unknown, error) {
	var rec leaseRecord
	rest, _, err := read(ctx, r, leasePath(name, version), &rec)
	if err != nil || rec.KeyID != keyID {
		return leaseRecord{Schema: schema, KeyID: keyID}, nil, err
	}
	return rec, rest, nil
}

func (l leaseRecord) usage() policy.Usage {
	return policy.Usage{Encryptions: l.Encryptions, Bytes: l.Bytes}
}

func (l leaseRecord) observed() uses.Observed {
	if l.Used == nil {
		return uses.Observed{}
	}
	return *l.Used
}
