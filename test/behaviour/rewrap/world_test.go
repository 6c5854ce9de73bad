// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package rewrap_test is about stored material that is wrapped with other key encryption keys, on a storage and with wrappers
// that fail: whatever failed and when, every ciphertext ever made opens, and in the end the old keys are not needed.
package rewrap_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	randv2 "math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

const instance = "8f14"

var ctx = context.Background()

// world is a mount on a real storage format, and the process that serves it, with key encryption keys that a test changes.
type world struct {
	t     testing.TB
	disk  *storagetest.Storage
	clock *enginetest.Clock
	keks  map[string]*keks // by purpose

	store     *store.Store
	plane     *dataplane.Plane
	engine    *engine.Engine
	scheduler *scheduler.Scheduler
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, disk: storagetest.New(), clock: &enginetest.Clock{}, keks: map[string]*keks{}}
	w.clock.Add(enginetest.Start.Sub(time.Time{}))
	w.restart()
	ring := keyring.KEKs{Instance: instance, Use: someKEK(1), Archive: someKEK(2)} // for the identity of the mount alone
	_, err := w.stored().KEKs().CreateKeyring(ctx, ring)
	require.NoError(t, err)
	for _, purpose := range []string{envelope.PurposeOnline, envelope.PurposeArchive} {
		w.keks[purpose] = &keks{t: t}
		w.keks[purpose].active = w.keks[purpose].draw()
	}
	return w
}

func someKEK(n byte) keyring.KEK {
	return keyring.KEK{ID: [16]byte{n}, Key: make([]byte, 32), Created: enginetest.Start}
}

// restart ends the process and begins another.
func (w *world) restart() {
	log := hclog.NewNullLogger()
	w.store = store.New(w.clock.Now, log)
	w.plane = dataplane.New(dataplane.Config{Now: w.clock.Now, Rand: rand.Reader, Log: log})
	w.engine = engine.New(engine.Config{Now: w.clock.Now, Rand: rand.Reader, Log: log, Plane: w.plane})
	w.scheduler = scheduler.New(scheduler.Config{Now: w.clock.Now, Log: log, Plane: w.plane})
	w.scheduler.SetScrub(0) // it reads and unwraps, and tests count what a sweep does
}

func (w *world) stored() store.Handle {
	return w.store.On(w.disk, store.Caller{Actor: custody.Actor{System: true}})
}

// request is one, as the root package wires it.
func (w *world) request() (*dataplane.Session, *engine.Session, *scheduler.Session) {
	s := w.stored()
	data := w.plane.Session(dataplane.Storage{
		Keys: s.Keys(), Policies: s.Policies(), Material: s.Versions(), Usage: s.Leases(), Denials: s.Denials(), Upserts: s.Settings(),
		Wrappers: w, Scheduler: w, KeyMaker: w,
	})
	acts := w.engine.Session(engine.Storage{
		Keys: s.Keys(), System: s.Keys(), Versions: s.Versions(), Material: s.Versions(), Moves: s.Relocations(), Policies: s.Policies(),
		Settings: s.Settings(), Sealed: s.Sealed(), Rewraps: s.Rewraps(), Objects: s.Objects(),
	}, &data)
	type unfinished struct {
		store.Keys
		store.Relocations
	}
	clock := w.scheduler.Session(scheduler.Storage{
		Keys: s.Keys(), Due: s.DueIndex(), Alerts: s.AlertIndex(), Unfinished: unfinished{s.Keys(), s.Relocations()},
		Reindexes: s.Policies(), Bindings: s.Policies(), Clock: s.Settings(), Rewraps: s.Rewraps(), Census: s.Settings(),
	}, acts.SystemActs(), &data)
	return &data, acts, clock
}

// Wrapper is dataplane.WrapperSource's.
func (w *world) Wrapper(_ context.Context, purpose string, _ bool) (envelope.KeyWrapper, string, error) {
	return w.keks[purpose].wrapper(), instance, nil
}

// ReplaceExhausted is dataplane.Scheduler's.
func (w *world) ReplaceExhausted(context.Context, lifecycle.Key, policy.Usage) error { return nil }

// MakeKey is dataplane.KeyMaker's.
func (w *world) MakeKey(context.Context, lifecycle.Key) (bool, error) {
	return false, errors.New("no upserts")
}

// tick lets so much time go by and runs a tick.
func (w *world) tick(after time.Duration) error {
	w.clock.Add(after)
	_, _, clock := w.request()
	_, err := clock.Tick(ctx)
	return err
}

func (w *world) create(name string) error {
	_, acts, _ := w.request()
	none := ""
	_, _, err := acts.Keys().Create(ctx, engine.Creation{Spec: lifecycle.Key{Name: name, Type: keytype.Default}, Policy: &none})
	return err
}

func (w *world) rotate(name string) error {
	_, acts, _ := w.request()
	_, err := acts.Versions().Rotate(ctx, name, false, engine.Precondition{})
	return err
}

func (w *world) do(name string, op lifecycle.Op, version int) error {
	_, acts, _ := w.request()
	_, err := acts.Versions().Transition(ctx, name, engine.Operation{Op: op, Version: version, Precondition: engine.Precondition{Reason: "a test"}})
	return err
}

func (w *world) delete(name string) error {
	_, acts, _ := w.request()
	allowed := true
	if _, _, err := acts.Keys().Configure(ctx, name, lifecycle.ConfigChange{DeletionAllowed: &allowed}, engine.Precondition{}); err != nil {
		return err
	}
	return acts.Keys().Delete(ctx, name, engine.Precondition{})
}

func (w *world) encrypt(name, text string) (string, error) {
	data, _, _ := w.request()
	out, err := data.Encrypt(ctx, name, []dataplane.Item{{Text: enginetest.Text(text)}})
	if err != nil {
		return "", err
	}
	return out[0].Text, out[0].Err
}

func (w *world) decrypt(name, ciphertext string) (string, error) {
	data, _, _ := w.request()
	out, err := data.Decrypt(ctx, name, []dataplane.Item{{Text: ciphertext}})
	if err != nil {
		return "", err
	}
	return out[0].Text, out[0].Err
}

// rotateKEK makes another key the active one of a purpose: a new one, or one that was active before.
func (w *world) rotateKEK(purpose string, back *hsm.Software) error {
	_, acts, _ := w.request()
	next := back
	if next == nil {
		next = w.keks[purpose].draw()
	}
	if err := acts.Wrapping().BeginRewrap(ctx, purpose, next.KEKID()); err != nil {
		return err
	}
	w.keks[purpose].activate(next)
	return nil
}

func (w *world) open() []scheduler.RewrapStatus {
	w.t.Helper()
	_, _, clock := w.request()
	list, err := clock.RewrapStatus(ctx)
	require.NoError(w.t, err)
	return list
}

// finish runs ticks until all material is wrapped with the active keys, and nothing else is open.
func (w *world) finish() {
	w.t.Helper()
	for range 120 {
		require.NoError(w.t, w.tick(2*time.Minute))
		if len(w.open()) == 0 {
			break
		}
	}
	all, err := w.disk.Dump(ctx)
	require.NoError(w.t, err)
	for path, value := range all {
		require.NotRegexp(w.t, "^intents/", path, "%s", value)
	}
}

// references returns how many references there are to keys that are not active; all of them can be told.
func (w *world) references() (n int) {
	w.t.Helper()
	_, acts, _ := w.request()
	for _, k := range w.keks {
		for _, one := range k.all {
			if one == k.active {
				continue
			}
			more, complete, err := acts.Wrapping().References(ctx, one.KEKID())
			require.NoError(w.t, err)
			require.True(w.t, complete)
			n += more
		}
	}
	return n
}

// destroyOld destroys all keys that are not active, and restarts: what was only in memory is gone.
func (w *world) destroyOld() {
	for _, k := range w.keks {
		k.all = []*hsm.Software{k.active}
	}
	w.restart()
}

// keks are the key encryption keys of a purpose. They count and can fail.
type keks struct {
	t testing.TB

	mu             sync.Mutex
	active         *hsm.Software
	all            []*hsm.Software
	wraps, unwraps int
	failAt         int // the call that fails, counted from 1; 0: none
	away           bool
	in             int // unwraps until before runs; 0: it does not
	before         func()
	after          func()       // behind the next wrap, once
	chance         *randv2.Rand // some calls fail; nil: none
}

var errAway = fmt.Errorf("token: %w", envelope.ErrUnavailable)

// draw makes a key that is not active.
func (k *keks) draw() *hsm.Software {
	var id [16]byte
	var key [32]byte
	for _, b := range [][]byte{id[:], key[:]} {
		_, err := io.ReadFull(rand.Reader, b)
		require.NoError(k.t, err)
	}
	one, err := hsm.NewSoftware(id, key[:], rand.Reader)
	require.NoError(k.t, err)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.all = append(k.all, one)
	return one
}

// find returns a key; nil: there is none.
func (k *keks) find(id [16]byte) *hsm.Software {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.all {
		if one.KEKID() == id {
			return one
		}
	}
	return nil
}

func (k *keks) activate(one *hsm.Software) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active = one
}

// wrapper is what a request gets: it does not see what changes later.
func (k *keks) wrapper() envelope.KEKWrapper {
	k.mu.Lock()
	defer k.mu.Unlock()
	return &wrapper{k, k.active}
}

func (k *keks) called(count *int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	*count++
	if k.away || k.failAt == k.wraps+k.unwraps || k.chance != nil && k.chance.IntN(20) == 0 {
		return errAway
	}
	return nil
}

// atUnwrap runs do once, before the n-th unwrap from now.
func (k *keks) atUnwrap(n int, do func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.in, k.before = n, do
}

func (k *keks) interrupt() {
	k.mu.Lock()
	now := k.in == 1
	k.in = max(k.in-1, 0)
	k.mu.Unlock()
	if now {
		k.before()
	}
}

type wrapper struct {
	keks   *keks
	active *hsm.Software
}

func (w *wrapper) Active() [16]byte { return w.active.KEKID() }

func (w *wrapper) KEKIDOf(wrapped []byte) ([16]byte, error) { return hsm.KEKIDOf(wrapped) }

func (w *wrapper) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	if err := w.keks.called(&w.keks.wraps); err != nil {
		return nil, err
	}
	wrapped, err := w.active.Wrap(ctx, dek, aad)
	if after := w.keks.after; after != nil {
		w.keks.after = nil
		after()
	}
	return wrapped, err
}

func (w *wrapper) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	w.keks.interrupt()
	if err := w.keks.called(&w.keks.unwraps); err != nil {
		return nil, err
	}
	id, err := hsm.KEKIDOf(wrapped)
	if err != nil {
		return nil, err
	}
	if one := w.keks.find(id); one != nil {
		return one.Unwrap(ctx, wrapped, aad)
	}
	return nil, hsm.ErrKEKMissing
}
