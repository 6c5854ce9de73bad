// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Repo is the storage of the mount as one request sees it. Implementations are safe for concurrent use. After an
// error of a writing method the outcome is unknown until it is read again.
type Repo interface {
	Keys
	Versions
	Policies
	DueIndex
	AlertIndex
	Intents
	MaterialStore
	Usage
	Settings
	WrapperSource
	// AsSystem returns the storage as the engine itself uses it: custody names nobody for what it does then.
	AsSystem() Repo
}

// LeaseRequest is a request for a lease on what a version may protect.
type LeaseRequest = struct {
	KeyID      string
	Version    int
	Need, Want lifecycle.Usage  // at least, and at best
	Most       lifecycle.Limits // of what is leased of the version in all
}

// Keys stores key records.
type Keys interface {
	// Key returns the committed key or lifecycle.ErrNotFound.
	Key(ctx context.Context, name string) (lifecycle.Key, error)
	// KeyNames returns all names in alphabetical order.
	KeyNames(ctx context.Context) ([]string, error)
	// CreateKey commits a new key, or returns lifecycle.ErrExists.
	CreateKey(ctx context.Context, c lifecycle.Commit) error
	// UpdateKey commits what act makes of the key, while no other writer of the key runs. An error of act comes back
	// as it is and nothing is written.
	UpdateKey(ctx context.Context, name string, act func(lifecycle.Key) (lifecycle.Commit, error)) (lifecycle.Key, error)
	// DeleteKey commits the deletion of the key, if allow agrees. FinishErasure is to erase what is left of it.
	DeleteKey(ctx context.Context, name string, allow func(lifecycle.Key) error, reason string) (lifecycle.Key, error)
}

// Versions reads what was committed with key records.
type Versions interface {
	Version(ctx context.Context, name string, n int) (lifecycle.Version, error)
	// IsStored reports whether a version of the key is stored under the number, committed or not.
	IsStored(ctx context.Context, k lifecycle.Key, n int) (bool, error)
	// Dates returns when the versions from..latest were made.
	Dates(ctx context.Context, k lifecycle.Key, from int) (map[int]time.Time, error)
}

// Policies stores policy revisions.
type Policies interface {
	// Policy returns the revision in force, lifecycle.ErrNotFound or lifecycle.ErrUnreadable. Any other error is of storage.
	Policy(ctx context.Context, name string) (lifecycle.Policy, error)
	// Revisions returns how many the policy has had, also where the one in force cannot be read.
	Revisions(ctx context.Context, name string) (int, error)
	PolicyRevision(ctx context.Context, name string, n int) (lifecycle.Policy, error)
	PolicyNames(ctx context.Context) ([]string, error)
	// PutPolicy commits what revise makes of the policy, or of lifecycle.Unreadable; current is nil for a new one.
	PutPolicy(ctx context.Context, name string,
		revise func(current *lifecycle.Policy) (lifecycle.Policy, error)) (lifecycle.Policy, error)
	// DeletePolicy deletes a policy that no key is bound to and that is not the default, if allow agrees.
	DeletePolicy(ctx context.Context, name string, allow func(lifecycle.Policy) error) error
}

// DueIndex lists keys by the minute in which they are to be looked at. It is a cache of lifecycle.Key.Due.
type DueIndex interface {
	DueMinutes(ctx context.Context) ([]time.Time, error)
	KeysDue(ctx context.Context, minute time.Time) ([]string, error)
	IsListed(ctx context.Context, at time.Time, name string) (bool, error)
	AddDue(ctx context.Context, at time.Time, name string) error
	RemoveDue(ctx context.Context, minute time.Time, name string) error
	PostponeDue(ctx context.Context, minute, later time.Time, name string) error
}

// AlertIndex lists the keys that need attention. It is a cache of lifecycle.Key.Alert.
type AlertIndex interface {
	// Alerts returns the keys listed under a status, the longest first.
	Alerts(ctx context.Context, status lifecycle.Status) ([]lifecycle.Alerted, error)
	// RepairAlert removes an entry that the key's record does not confirm.
	RepairAlert(ctx context.Context, status lifecycle.Status, listed lifecycle.Alerted) error
	// RestoreAlert lists a key again whose entry was lost.
	RestoreAlert(ctx context.Context, k lifecycle.Key) (lost bool, err error)
}

// Intents are acts of several writes that have begun.
type Intents interface {
	Erasures(ctx context.Context) ([]string, error)
	FinishErasure(ctx context.Context, name string) error
	PendingReindexes(ctx context.Context) ([]string, error)
	ReindexCursor(ctx context.Context, policy string) (after string, revision int, err error)
	SaveReindexCursor(ctx context.Context, policy string, revision int, after string, done bool) error
	BoundKeys(ctx context.Context, policy string) ([]string, error)
	BoundPolicies(ctx context.Context) ([]string, error)
}

// MaterialStore moves material between the versions in use and the archive.
type MaterialStore interface {
	PendingRelocations(ctx context.Context) ([]string, error)
	// Displaced returns the versions whose material may be in the wrong place; zero: none.
	Displaced(ctx context.Context, name string) (lifecycle.Range, error)
	// Relocate calls place for some of these, while no writer of the key runs; left: there are more.
	Relocate(ctx context.Context, name string, place func(k lifecycle.Key, n int) error) (left bool, err error)
	Archived(ctx context.Context, name string, n int) (lifecycle.Version, error)
	PutArchived(ctx context.Context, name string, v lifecycle.Version) error
	DropArchived(ctx context.Context, name string, n int) error
	PutVersion(ctx context.Context, name string, v lifecycle.Version) error
}

// Usage keeps what was denied, and what was leased to be protected with, by version.
type Usage interface {
	// Lease adds to what is leased of a version, before it is used; a zero grant means that the limits leave no room beside
	// what was leased before.
	Lease(ctx context.Context, name string, ask LeaseRequest) (granted, before lifecycle.Usage, err error)
	Leased(ctx context.Context, name, keyID string, version int) (lifecycle.Usage, error)
	// Denied returns the denied uses of these versions.
	Denied(ctx context.Context, k lifecycle.Key, of lifecycle.Range) (map[int]lifecycle.Denials, error)
	// AddDenied returns those that it could not add.
	AddDenied(ctx context.Context, name string, more map[int]lifecycle.Denials) (left map[int]lifecycle.Denials, err error)
}

// Settings are those of the mount.
type Settings interface {
	Clock(ctx context.Context) (lifecycle.Clock, error)
	SetClock(ctx context.Context, c lifecycle.Clock) error
	DisableUpsert(ctx context.Context) (bool, error)
	SetDisableUpsert(ctx context.Context, disable bool) error
	Governance(ctx context.Context) (lifecycle.Governance, error)
	// SetGovernance commits what change makes of it. The error is lifecycle.ErrInvalid where there is no such policy.
	SetGovernance(ctx context.Context, change func(lifecycle.Governance) lifecycle.Governance) (lifecycle.Governance, error)
}

// WrapperSource gives the wrapper that seals stored material.
type WrapperSource interface {
	// Wrapper returns the wrapper for a purpose and the mount's identity. With create it makes what a new mount lacks.
	Wrapper(ctx context.Context, purpose string, create bool) (w envelope.KeyWrapper, instance string, err error)
}
