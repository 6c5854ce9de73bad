// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger

import (
	"context"
	"io"
	"iter"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// Journals are the custody records that a mount stores.
type Journals interface {
	// ExpectedNames returns the names of the journals that there should be, in any order.
	ExpectedNames(ctx context.Context) ([]string, error)
	// JournalNames returns the names of all journals, in alphabetical order.
	JournalNames(ctx context.Context) ([]string, error)
	// Lines returns the records of a journal behind number after, in their order; one that is missing is left out.
	Lines(ctx context.Context, name string, after int) iter.Seq2[custody.Line, error]
	// Line returns one record; nil where there is none.
	Line(ctx context.Context, name string, seq int) ([]byte, error)
	// Committed returns the number of the record that began the newest act that took effect; 0: none is known. Of a key that was
	// deleted it is about the end of the journal.
	Committed(ctx context.Context, name string) (int, error)
	// JournalHead returns the end of a journal, having ended an act that was cut short. The error matches
	// [custody.ErrBroken] where the end was altered or lost.
	JournalHead(ctx context.Context, name string) (custody.Head, error)
	// CheckJournal ends an act that was cut short and says what is wrong with the end of the journal; empty: nothing.
	CheckJournal(ctx context.Context, name string) (problem string, err error)
	// InspectJournal is CheckJournal of what is stored. It writes nothing.
	InspectJournal(ctx context.Context, name string) (problem string, err error)
}

// Signing keeps the keys that sign checkpoints, the oldest first.
type Signing interface {
	SigningKeys(ctx context.Context) ([]custody.StoredKey, error)
	// AddSigningKey commits one more, given by grow for those there are, and keeps the event; nothing changes where grow returns
	// nil. Grow runs while nobody else adds one, and asks nobody for anything.
	AddSigningKey(
		ctx context.Context, event lifecycle.Event, grow func([]custody.StoredKey) *custody.StoredKey,
	) ([]custody.StoredKey, error)
	// ReplaceSigningKeys puts the same keys, sealed anew, in the place of was, if that is what is stored.
	ReplaceSigningKeys(ctx context.Context, was, next []custody.StoredKey) (replaced bool, err error)
}

// Wrappers have the wrapper that the seeds of signing keys are sealed with, and tell the identity of the mount's data; with
// create a mount that has none gets it.
type Wrappers interface {
	Wrapper(ctx context.Context, purpose string, create bool) (w envelope.KeyWrapper, instance string, err error)
}

// Identity tells the data of mounts apart.
type Identity interface {
	Instance(ctx context.Context) (string, error)
}

// Storage is what is read and written for one request.
type Storage struct {
	Journals Journals
	Signing  Signing
	Identity Identity
	Wrappers Wrappers
	// Consent returns the event of an act with people's consent to it, where a rule asks for that; nil: none does.
	Consent func(ctx context.Context, gate acts.Gate, event lifecycle.Event) (lifecycle.Event, error)
}

// Config is what a mount gives.
type Config struct {
	Now  func() time.Time
	Rand io.Reader
	Log  hclog.Logger

	Observe *observe.Observer // nil: one that nobody asks
}

// Ledger is the custody of a mount, for one request.
type Ledger struct {
	Config
	store  Storage
	bounds bounds // of reports
}

// New returns the custody that the storage keeps.
func New(c Config, s Storage) Ledger {
	if c.Observe == nil {
		c.Observe = observe.New()
	}
	return Ledger{Config: c, store: s, bounds: usualBounds}
}
