// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"io"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Storage is what one request needs of the mount. All of it is safe for concurrent use.
type Storage struct {
	Keys      KeySource
	Policies  PolicySource
	Material  MaterialSource
	Usage     UsageStore
	Denials   DenialStore
	Wrappers  WrapperSource
	Retention RetentionSource // nil: material stays in memory
	Random    RandomSource    // nil: the plane's
	Residents ResidentSource
	Upserts   UpsertSetting
	Scheduler Scheduler
	KeyMaker  KeyMaker
	Uses      UseCounter // nil: nobody counts
}

// KeySource reads key records.
type KeySource interface {
	// Key returns the committed key or refusal.ErrNotFound.
	Key(ctx context.Context, name string) (lifecycle.Key, error)
}

// PolicySource reads policies.
type PolicySource interface {
	// Policy returns the revision in force, refusal.ErrNotFound or refusal.ErrUnreadable. Any other error is of storage.
	Policy(ctx context.Context, name string) (policy.Policy, error)
}

// MaterialSource reads the sealed material of versions. The error is refusal.ErrNotFound where there is none.
type MaterialSource interface {
	Version(ctx context.Context, name string, n int) (lifecycle.Version, error)
	Archived(ctx context.Context, name string, n int) (lifecycle.Version, error)
}

// UsageStore keeps what was leased of versions to be protected with.
type UsageStore interface {
	// Lease adds to what is leased of a version, before it is used; a zero grant means that the limits leave no room beside
	// what was leased before.
	Lease(ctx context.Context, name string, ask lifecycle.LeaseRequest) (granted, before policy.Usage, err error)
	Leased(ctx context.Context, name, keyID string, version int) (policy.Usage, error)
}

// DenialStore keeps denied uses, by version.
type DenialStore interface {
	// Denied returns the denied uses of these versions.
	Denied(ctx context.Context, k lifecycle.Key, of lifecycle.Range) (map[int]lifecycle.Denials, error)
	// AddDenied returns those that it could not add.
	AddDenied(ctx context.Context, name string, more map[int]lifecycle.Denials) (left map[int]lifecycle.Denials, err error)
}

// WrapperSource gives the wrapper that seals stored material.
type WrapperSource interface {
	// Wrapper returns the wrapper for a purpose and the mount's identity. With create it makes what a new mount lacks.
	Wrapper(ctx context.Context, purpose string, create bool) (w envelope.KeyWrapper, instance string, err error)
}

// RetentionSource says how long material that a hardware security module wrapped is used from memory.
type RetentionSource interface {
	// Retention is asked for each use of such material. It reads storage only where the settings were changed.
	Retention(ctx context.Context) (Retention, error)
	// Away says why the module is known to be of no use at the moment; nil: it may be asked.
	Away() error
	// Suspect reports that the module was away for the last call, and was not seen to work since.
	Suspect() bool
}

// RandomSource gives the random bytes of what is stored: of material, and of what seals it. Those of data, such as nonces, are the
// plane's.
type RandomSource interface {
	Random(ctx context.Context, purpose string) (io.Reader, error)
}

// ResidentSource gives keys that stay on the token: the one that sealed material refers to. The error is that it is another kind of key.
// The token is not asked.
type ResidentSource interface {
	ResidentKey(reference []byte) (envelope.ResidentKey, error)
	ResidentPair(reference []byte) (envelope.ResidentPair, error)
	ResidentMAC(reference []byte) (envelope.ResidentMAC, error)
}

// UseCounter counts the uses that one request made of a key. It cannot fail, it reads and writes nothing that is stored, and it does
// not keep uses.
type UseCounter interface {
	CountUses(k *lifecycle.Key, uses []lifecycle.CountedUse)
}

// UpsertSetting says whether encrypting must not make keys.
type UpsertSetting interface {
	DisableUpsert(ctx context.Context) (bool, error)
}

// Scheduler does to a key what the clock would.
type Scheduler interface {
	// ReplaceExhausted notes that the active version of the key has reached its limit, being used that much, and sees to
	// a successor if the policy wants one now. That there is none afterwards is no error: a tick tries again.
	ReplaceExhausted(ctx context.Context, k lifecycle.Key, used policy.Usage) error
}

// KeyMaker makes a key where there is none.
type KeyMaker interface {
	MakeKey(ctx context.Context, spec lifecycle.Key) (existed bool, err error)
}
