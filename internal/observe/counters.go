// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import "sync/atomic"

// Counters only grow, from the start of the process on. Those of the hot path are fields: an addition takes some
// nanoseconds and allocates nothing.
type Counters struct {
	Operations // by what is done with keys, in items
	Caches     // by what is kept in memory
	Storage    Storage
	HSM        HSM

	Rotations   Counts // by trigger, and result: ok, refused, error
	Transitions Counts // by operation, and who asked: operator, clock
	Refusals    Counts // of acts, by what stands in the way: policy, state, hold, approval, cas
	DeniedUses  Counts // by the state that denies them

	CustodyRecords    atomic.Int64
	IntegrityFailures atomic.Int64 // damaged versions that the scrub found; one that stays damaged counts in each round
	BreakGlass        atomic.Int64 // acts
}

// A Named is one of its like, with the value of the label that tells it from them.
type Named[T any] struct {
	Name string
	Of   T
}

// Operations are what is done with keys. Both datakey and datakeys make data keys.
type Operations struct {
	Encrypt, Decrypt, Rewrap, Datakey, Sign, Verify, HMAC, CMAC, CSR Operation
}

// All returns them with their names.
func (o *Operations) All() []Named[*Operation] {
	return []Named[*Operation]{
		{"encrypt", &o.Encrypt},
		{"decrypt", &o.Decrypt},
		{"rewrap", &o.Rewrap},
		{"datakey", &o.Datakey},
		{"sign", &o.Sign},
		{"verify", &o.Verify},
		{"hmac", &o.HMAC},
		{"cmac", &o.CMAC},
		{"csr", &o.CSR},
	}
}

// An Operation counts items by what became of them, and the bytes of plaintext, or of what is signed or authenticated, of
// those that are done.
type Operation struct {
	OK      atomic.Int64
	Denied  atomic.Int64 // a state or a policy forbids it
	Invalid atomic.Int64 // what the caller gave is wrong, or does not verify
	Limit   atomic.Int64 // a usage limit leaves no room
	Error   atomic.Int64 // anything else, such as storage or a token that fails
	Bytes   atomic.Int64
}

// Results returns how many items there were by result.
func (o *Operation) Results() []Named[int64] {
	return []Named[int64]{
		{"ok", o.OK.Load()}, {"denied", o.Denied.Load()}, {"invalid", o.Invalid.Load()}, {"limit", o.Limit.Load()}, {"error", o.Error.Load()},
	}
}

// Caches are what the hot path finds in memory, or does not.
type Caches struct{ Keys, Policies, Ciphers Lookups }

// All returns them with their names.
func (c *Caches) All() []Named[*Lookups] {
	return []Named[*Lookups]{{"keys", &c.Keys}, {"policies", &c.Policies}, {"ciphers", &c.Ciphers}}
}

// Lookups counts what was found, and what was not.
type Lookups struct{ Hit, Miss atomic.Int64 }

// Found counts a lookup.
func (l *Lookups) Found(hit bool) {
	if hit {
		l.Hit.Add(1)
	} else {
		l.Miss.Add(1)
	}
}

// Results returns how many lookups there were by result.
func (l *Lookups) Results() []Named[int64] {
	return []Named[int64]{{"hit", l.Hit.Load()}, {"miss", l.Miss.Load()}}
}
