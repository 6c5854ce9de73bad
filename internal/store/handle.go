// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"

	"github.com/hashicorp/vault/sdk/logical"
)

// On binds the store to the storage of one request, and to who asks.
func (s *Store) On(storage logical.Storage, who Caller) Handle {
	return Handle{&conn{s: s, storage: storage, caller: who}}
}

// Identifier makes the identity of a mount's data, which is stored with its key encryption keys.
type Identifier interface {
	Identify(ctx context.Context) error
}

// IdentifyWith says who makes the identity where a mount that has none keeps its first act; nobody does until it is said.
func (h Handle) IdentifyWith(i Identifier) { h.identifier = i }

// Handle is the store as one request sees it. What is stored of one kind is behind one method; what these return is safe for
// concurrent use.
type Handle struct{ *conn }

// As returns the same storage on behalf of somebody else.
func (h Handle) As(who Caller) Handle {
	c := *h.conn
	c.caller = who
	return Handle{&c}
}

// Asking returns who asks.
func (h Handle) Asking() Caller { return h.caller }

// conn is a store with the storage and the caller of one request. All that reads or writes storage goes through it.
type conn struct {
	s          *Store
	storage    logical.Storage
	caller     Caller
	identifier Identifier
}

// What is stored, by kind. Each is a view of the same request.
type (
	// Keys stores key records, each change with its custody.
	Keys struct{ *conn }
	// Versions stores versions, those in the archive too, and when they were made.
	Versions struct{ *conn }
	// Relocations stores which versions have material to move between the archive and those in use, or to erase.
	Relocations struct{ *conn }
	// Policies stores policies, their revisions, and which keys are bound to them.
	Policies struct{ *conn }
	// DueIndex lists keys by the minute in which they are to be looked at.
	DueIndex struct{ *conn }
	// AlertIndex lists keys that need attention.
	AlertIndex struct{ *conn }
	// Denials stores denied uses.
	Denials struct{ *conn }
	// Leases stores what was leased of versions.
	Leases struct{ *conn }
	// Settings stores those of the mount, and what its clock guard remembers.
	Settings struct{ *conn }
	// Approvers stores who has enrolled as an approver, and the settings of the mount about consent.
	Approvers struct{ *conn }
	// KEKs stores the mount's key encryption keys, and with them its identity.
	KEKs struct{ *conn }
	// Tokens stores what is known of the mount's token, and the keys on it.
	Tokens struct{ *conn }
	// Journals stores custody records.
	Journals struct{ *conn }
	// Signing stores the keys that sign checkpoints.
	Signing struct{ *conn }
	// Sealed walks the sealed material of all versions, whatever keys there are.
	Sealed struct{ *conn }
	// Objects stores which keys on the token may belong to no version.
	Objects struct{ *conn }
	// Approvals stores requests for consent.
	Approvals struct{ *conn }
	// Reviews stores the reviews of acts by break-glass.
	Reviews struct{ *conn }
	// Rewraps stores how far sealed material has been wrapped anew.
	Rewraps struct{ *conn }
	// Uses stores what keys were used for, and by whom.
	Uses struct{ *conn }
)

// Keys returns the key records.
func (h Handle) Keys() Keys { return Keys(h) }

// Versions returns the versions, and the archive.
func (h Handle) Versions() Versions { return Versions(h) }

// Relocations returns what has to move.
func (h Handle) Relocations() Relocations { return Relocations(h) }

// Policies returns the policies.
func (h Handle) Policies() Policies { return Policies(h) }

// DueIndex returns the due index.
func (h Handle) DueIndex() DueIndex { return DueIndex(h) }

// AlertIndex returns the index of alerts.
func (h Handle) AlertIndex() AlertIndex { return AlertIndex(h) }

// Denials returns the denied uses.
func (h Handle) Denials() Denials { return Denials(h) }

// Leases returns the leases.
func (h Handle) Leases() Leases { return Leases(h) }

// Settings returns the settings.
func (h Handle) Settings() Settings { return Settings(h) }

// Approvers returns who may consent, and the settings about it.
func (h Handle) Approvers() Approvers { return Approvers(h) }

// KEKs returns the key encryption keys.
func (h Handle) KEKs() KEKs { return KEKs(h) }

// Tokens returns what is known of the mount's token.
func (h Handle) Tokens() Tokens { return Tokens(h) }

// Journals returns the journals.
func (h Handle) Journals() Journals { return Journals(h) }

// Signing returns the keys that sign checkpoints.
func (h Handle) Signing() Signing { return Signing(h) }

// Sealed returns the sealed material.
func (h Handle) Sealed() Sealed { return Sealed(h) }

// Objects returns the keys on the token that may belong to no version.
func (h Handle) Objects() Objects { return Objects(h) }

// Approvals returns the requests for consent.
func (h Handle) Approvals() Approvals { return Approvals(h) }

// Uses returns what keys were used for.
func (h Handle) Uses() Uses { return Uses(h) }

// Reviews returns the reviews of acts by break-glass.
func (h Handle) Reviews() Reviews { return Reviews(h) }

// Rewraps returns how far it has been wrapped anew.
func (h Handle) Rewraps() Rewraps { return Rewraps(h) }
