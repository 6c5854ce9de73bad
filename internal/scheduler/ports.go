// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Storage is what one tick needs of the mount beside the acts of the engine. All of it is safe for concurrent use.
type Storage struct {
	Keys       KeySource
	Due        DueIndex
	Alerts     AlertIndex
	Unfinished Unfinished
	Reindexes  ReindexStore
	Bindings   BindingIndex
	Clock      ClockStore
	Rewraps    RewrapStore
	Census     CensusStore
	Chains     ChainSource
}

// KeySource reads key records.
type KeySource interface {
	// Key returns the committed key or refusal.ErrNotFound.
	Key(ctx context.Context, name string) (lifecycle.Key, error)
	// LookAt calls look with the committed key, while no act on it runs. The error is refusal.ErrNotFound, or look's.
	LookAt(ctx context.Context, name string, look func(k lifecycle.Key) error) error
	// KeyNames returns all names in alphabetical order.
	KeyNames(ctx context.Context) ([]string, error)
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

// AlertIndex lists the keys that need attention. It is a cache of lifecycle.Key.Alerts.
type AlertIndex interface {
	// Alerts returns the keys listed under a status, the longest first.
	Alerts(ctx context.Context, status lifecycle.Status) ([]lifecycle.Alerted, error)
	// RepairAlert removes an entry that the key's record does not confirm.
	RepairAlert(ctx context.Context, status lifecycle.Status, listed lifecycle.Alerted) error
	// RestoreAlerts lists a key again of which an entry was lost.
	RestoreAlerts(ctx context.Context, k lifecycle.Key) (lost bool, err error)
}

// Unfinished are acts of several writes that have begun.
type Unfinished interface {
	Erasures(ctx context.Context) ([]string, error)
	FinishErasure(ctx context.Context, name string) error
	PendingRelocations(ctx context.Context) ([]string, error)
}

// ReindexStore keeps how far the keys of changed policies have been put on the due index again.
type ReindexStore interface {
	PendingReindexes(ctx context.Context) ([]string, error)
	ReindexCursor(ctx context.Context, policy string) (after string, revision int, err error)
	SaveReindexCursor(ctx context.Context, policy string, revision int, after string, done bool) error
}

// BindingIndex says which keys may be bound to which policies; each key's record says whether it is.
type BindingIndex interface {
	BoundKeys(ctx context.Context, policy string) ([]string, error)
	BoundPolicies(ctx context.Context) ([]string, error)
}

// ClockStore keeps what the clock guard remembers.
type ClockStore interface {
	Clock(ctx context.Context) (lifecycle.Clock, error)
	SetClock(ctx context.Context, c lifecycle.Clock) error
}

// RewrapStore keeps how far the material of each purpose has been wrapped with the active key encryption key.
type RewrapStore interface {
	// PendingRewraps returns the purposes that have not come to the end.
	PendingRewraps(ctx context.Context) ([]string, error)
	// Rewrap returns the progress of a purpose; of one that is damaged, that of no key encryption key.
	Rewrap(ctx context.Context, purpose string) (r lifecycle.Rewrapping, found bool, err error)
	// BeginRewrap begins a purpose anew.
	BeginRewrap(ctx context.Context, purpose string, kek [16]byte) error
	// SaveRewrap stores the progress, unless the purpose was begun anew meanwhile.
	SaveRewrap(ctx context.Context, r lifecycle.Rewrapping) (stale bool, err error)
	// FinishRewrap removes it, unless the purpose was begun anew meanwhile.
	FinishRewrap(ctx context.Context, r lifecycle.Rewrapping) (stale bool, err error)
}

// ChainSource reads the chains of custody. It writes nothing.
type ChainSource interface {
	// OtherNames returns the names of the chains that are of no key, that of the mount at the end.
	OtherNames(ctx context.Context) ([]string, error)
	// InspectJournal holds the end of a chain against its record and says what is wrong; empty: nothing is.
	InspectJournal(ctx context.Context, name string) (problem string, err error)
}
