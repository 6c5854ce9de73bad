// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"io"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keks"
	"github.com/keylife/vault-plugin-keylife/internal/ledger"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// session is a mount during one request: what is stored, on behalf of who asks, and what is done with it. It wires the
// packages to each other, so that none of them has to know who gives it what it needs.
type session struct {
	b      *backend
	stored store.Handle
	data   dataplane.Session
	entity string // who asks; empty: a token without an entity, or nobody
	used   string // the approval that an act used last
}

// open binds the mount to a request.
func (s *session) open(b *backend, req *logical.Request) {
	stored := b.store.On(req.Storage, callerOf(req))
	*s = session{b: b, stored: stored, entity: custody.Clip(req.EntityID), data: b.plane.Session(dataplane.Storage{
		Keys: stored.Keys(), Policies: stored.Policies(), Material: stored.Versions(), Usage: stored.Leases(),
		Denials: stored.Denials(), Upserts: stored.Settings(), Wrappers: s, Residents: b.keyring.Residents(), Scheduler: s, KeyMaker: s, Retention: s, Random: s, Uses: s,
	})}
	stored.IdentifyWith(s)
}

// Data returns what encrypts and decrypts.
func (s *session) Data() *dataplane.Session { return &s.data }

// MACs returns what makes and verifies message authentication codes.
func (s *session) MACs() dataplane.MACs { return dataplane.MACs{Session: &s.data} }

// Engine returns the acts on keys and policies.
func (s *session) Engine() *engine.Session {
	return s.b.engine.Session(engine.Storage{
		Keys: watchedKeys{s.stored.Keys(), s}, System: s.stored.As(system).Keys(), Versions: s.stored.Versions(), Material: s.stored.Versions(),
		Moves: s.stored.Relocations(), Policies: s.stored.Policies(), Settings: s.stored.Settings(),
		Sealed: s.stored.Sealed(), Rewraps: s.stored.Rewraps(), Signing: s.Ledger(),
		Objects: s.stored.Objects(), Token: s.b.keyring.On(s.stored.KEKs()),
		Caller: s.caller(), Approvals: s.stored.Approvals(), Reviews: s.stored.Reviews(),
		Approvers: s.stored.Approvers(), Directory: directory{s.b.System()},
	}, &s.data)
}

// caller is who asks, as acts know it.
func (s *session) caller() engine.Caller {
	who := s.stored.Asking()
	return engine.Caller{
		Entity: who.Actor.EntityID, Name: who.Actor.DisplayName, RequestID: who.RequestID, Began: s.b.engine.Now(), Approval: &s.used,
	}
}

// Scheduler returns what the clock does.
func (s *session) Scheduler() *scheduler.Session {
	return s.b.scheduler.Session(scheduler.Storage{
		Keys: s.stored.Keys(), Due: s.stored.DueIndex(), Alerts: s.stored.AlertIndex(), Unfinished: unfinished{s.stored.Keys(), s.stored.Relocations()},
		Reindexes: s.stored.Policies(), Bindings: s.stored.Policies(), Clock: s.stored.Settings(),
		Rewraps: s.stored.Rewraps(), Census: s.stored.Settings(), Chains: s.stored.Journals(),
	}, s.Engine().SystemActs(), &s.data)
}

// unfinished is scheduler.Unfinished.
type unfinished struct {
	store.Keys
	store.Relocations
}

// Ledger returns what is answered from custody records.
func (s *session) Ledger() ledger.Ledger {
	config := s.b.ledger
	config.Log = s.b.engine.LogOf(s.caller())
	return ledger.New(config, ledger.Storage{
		Journals: s.stored.Journals(), Signing: s.stored.Signing(), Identity: s.stored.KEKs(), Wrappers: s, Consent: s.consented,
	})
}

// consented asks for consent to an act on the mount.
func (s *session) consented(ctx context.Context, gate acts.Gate, event lifecycle.Event) (lifecycle.Event, error) {
	return s.Settings().Consented(ctx, gate, event)
}

// Keys is the engine's.
func (s *session) Keys() engine.Keys { return s.Engine().Keys() }

// Transfers is the engine's.
func (s *session) Transfers() engine.Transfers { return s.Engine().Transfers() }

// PublicHalves is the engine's.
func (s *session) PublicHalves() engine.PublicHalves { return s.Engine().PublicHalves() }

// Versions is the engine's.
func (s *session) Versions() engine.Versions { return s.Engine().Versions() }

// Policies is the engine's.
func (s *session) Policies() engine.Policies { return s.Engine().Policies() }

// Approvals is the engine's.
func (s *session) Approvals() engine.Approvals { return s.Engine().Approvals() }

// Reviews is the engine's.
func (s *session) Reviews() engine.Reviews { return s.Approvals().Reviews() }

// Settings is the engine's.
func (s *session) Settings() engine.Settings { return s.Engine().Settings() }

// Approvers is the engine's.
func (s *session) Approvers() engine.Approvers { return s.Engine().Approvers() }

// KEKs returns what is done with the mount's token.
func (s *session) KEKs() *keks.Session {
	return s.b.keks.Session(keks.Storage{
		Tokens: s.stored.Tokens(), Material: s.Engine().Wrapping(), Consent: s.consented, Log: s.b.engine.LogOf(s.caller()),
		Instance: func(ctx context.Context) (string, error) {
			_, instance, err := s.Wrapper(ctx, envelope.PurposeOnline, true)
			return instance, err
		},
	})
}

// Wrapper is dataplane.WrapperSource's.
func (s *session) Wrapper(ctx context.Context, purpose string, create bool) (envelope.KeyWrapper, string, error) {
	return s.b.keyring.Wrapper(ctx, s.stored.KEKs(), purpose, create)
}

// Retention is dataplane.RetentionSource's.
func (s *session) Retention(ctx context.Context) (dataplane.Retention, error) {
	inForce, err := s.b.keyring.InForce(ctx, s.stored.KEKs())
	if err != nil || !inForce.Configured {
		return dataplane.Retention{TTL: dataplane.Forever}, err
	}
	r := dataplane.Retention{TTL: inForce.Settings.CacheTTL}
	if inForce.Settings.DegradedMode == tokens.ServeCached {
		r.MaxAge = inForce.Settings.DegradedMaxAge
	}
	return r, nil
}

// Random is dataplane.RandomSource's.
func (s *session) Random(ctx context.Context, purpose string) (io.Reader, error) {
	return s.b.keyring.Random(ctx, s.stored.KEKs(), purpose)
}

// hasTokenRandom reports whether the mount's token gives random bytes. A mount without keys has no token.
func (s *session) hasTokenRandom(ctx context.Context) (bool, error) {
	inForce, err := s.b.keyring.InForce(ctx, s.stored.KEKs())
	if errors.Is(err, hsm.ErrKEKMissing) {
		return false, nil
	}
	return err == nil && inForce.Settings.Enabled && inForce.Settings.RandomSource != hsm.RandomOS, err
}

// Away is dataplane.RetentionSource's.
func (s *session) Away() error { return s.b.keyring.Away() }

// Suspect is dataplane.RetentionSource's.
func (s *session) Suspect() bool { return s.b.keyring.Suspect() }

// Identify is store.Identifier's: the first act of any kind, also of one without keys, makes the keyring.
func (s *session) Identify(ctx context.Context) error {
	_, _, err := s.Wrapper(ctx, envelope.PurposeOnline, true)
	return err
}

// ReplaceExhausted is dataplane.Scheduler's.
func (s *session) ReplaceExhausted(ctx context.Context, k lifecycle.Key, used policy.Usage) error {
	return s.Scheduler().ReplaceExhausted(ctx, k, used)
}

// MakeKey is dataplane.KeyMaker's.
func (s *session) MakeKey(ctx context.Context, spec lifecycle.Key) (existed bool, err error) {
	return s.Keys().MakeKey(ctx, spec)
}
