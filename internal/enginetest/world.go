// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
)

// Start is when a world begins.
var Start = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

// World is a mount and the process that serves it.
type World struct {
	*Mount
	T     testing.TB
	Clock *Clock
	Token *Token

	Residents *Residents // the keys that stay on the token
	log       *bytes.Buffer

	Plane     *dataplane.Plane
	Engine    *engine.Engine
	Scheduler *scheduler.Scheduler
	Observe   *observe.Observer
}

// New returns an empty world.
func New(t testing.TB) *World {
	w := &World{Mount: NewMount(t), T: t, Clock: &Clock{now: Start}, Token: &Token{wrapped: map[uint64]wrapped{}, hardware: map[byte]bool{}}, log: &bytes.Buffer{}}
	w.Token.asked = w.asked
	w.Residents = &Residents{token: w.Token, objects: map[string]any{}}
	w.Restart()
	return w
}

// Restart forgets all that the process remembers.
func (w *World) Restart() {
	log := hclog.New(&hclog.LoggerOptions{Output: w.log, Level: hclog.Info, Mutex: new(sync.Mutex)})
	w.Observe = observe.New()
	w.Plane = dataplane.New(dataplane.Config{Now: w.Clock.Now, Rand: rand.Reader, Log: log})
	w.Engine = engine.New(engine.Config{Now: w.Clock.Now, Rand: rand.Reader, Log: log, Plane: w.Plane})
	w.Scheduler = scheduler.New(scheduler.Config{Now: w.Clock.Now, Log: log, Plane: w.Plane, Observe: w.Observe})
	w.Scheduler.SetScrub(0) // it costs calls of the wrapper, of which tests count those of acts
	w.watcher = w.Scheduler
}

// Data is a request that uses keys.
func (w *World) Data() *dataplane.Session {
	m := w.Mount
	s := w.Plane.Session(dataplane.Storage{
		Keys: keyStore{m, false}, Policies: policyStore{m}, Material: versionStore{m}, Usage: usageStore{m}, Denials: usageStore{m},
		Wrappers: w.Token, Residents: w.Residents, Upserts: settings{m}, Scheduler: w, KeyMaker: w,
	})
	return &s
}

// Session is a request that acts on keys or policies.
func (w *World) Session() *engine.Session {
	m := w.Mount
	return w.Engine.Session(engine.Storage{
		Keys: keyStore{m, false}, System: keyStore{m, true}, Versions: versionStore{m}, Material: versionStore{m}, Moves: moveStore{m},
		Policies: policyStore{m}, Settings: settings{m}, Sealed: sealedStore{m}, Rewraps: rewrapStore{w},
		Objects: objectStore{m}, Token: w.Residents, Caller: m.Asking(), Approvals: approvalStore{m}, Reviews: reviewStore{m}, Approvers: approverStore{m}, Directory: m,
	}, w.Data())
}

// ByClock is what the clock does.
func (w *World) ByClock() *scheduler.Session {
	m := w.Mount
	type unsettled struct {
		keyStore
		moveStore
	}
	return w.Scheduler.Session(scheduler.Storage{
		Keys: keyStore{m, true}, Due: dueIndex{m}, Alerts: alertIndex{m}, Unfinished: unsettled{keyStore{m, true}, moveStore{m}},
		Reindexes: policyStore{m}, Bindings: policyStore{m}, Clock: settings{m}, Rewraps: rewrapStore{w}, Census: settings{m}, Chains: chainSource{m},
	}, w.Session().SystemActs(), w.Data())
}

// ReplaceExhausted is dataplane.Scheduler's.
func (w *World) ReplaceExhausted(ctx context.Context, k lifecycle.Key, used policy.Usage) error {
	return w.ByClock().ReplaceExhausted(ctx, k, used)
}

// MakeKey is dataplane.KeyMaker's.
func (w *World) MakeKey(ctx context.Context, spec lifecycle.Key) (existed bool, err error) {
	return w.Session().Keys().MakeKey(ctx, spec)
}

// Policy writes a policy.
func (w *World) Policy(name string, edit func(d *policy.Document)) {
	w.T.Helper()
	_, err := w.Session().Policies().Put(context.Background(), name, func(d policy.Document) (policy.Document, error) {
		d.Owner, d.RequireReason = "tests", nil
		edit(&d)
		return d, nil
	}, engine.Precondition{})
	require.NoError(w.T, err)
}

// Create makes a key; an empty policy: none.
func (w *World) Create(name, policy string) {
	w.T.Helper()
	w.CreateOf(name, policy, keytype.Default)
}

// CreateOf is Create for a key of the type.
func (w *World) CreateOf(name, policy string, of keytype.Type) {
	w.T.Helper()
	_, existed, err := w.Session().Keys().Create(context.Background(), engine.Creation{
		Spec: lifecycle.Key{Name: name, Type: of}, Policy: &policy,
	})
	require.NoError(w.T, err)
	require.False(w.T, existed)
}

// Rotate makes a new version.
func (w *World) Rotate(name string) {
	w.T.Helper()
	_, err := w.Session().Versions().Rotate(context.Background(), name, false, engine.Precondition{})
	require.NoError(w.T, err)
}

// Stored returns a key as it is stored.
func (w *World) Stored(name string) lifecycle.Key {
	w.T.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	k, ok := w.keys[name]
	require.True(w.T, ok, "there is no key %s", name)
	return k
}

// Names returns the names of all keys, in order.
func (w *World) Names() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return sorted(w.keys)
}

// Alter changes a key as it is stored, and lists it accordingly, past all that counts: as an earlier release has left it.
func (w *World) Alter(name string, change func(k *lifecycle.Key)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.keys[name]
	w.unlist(k)
	change(&k)
	w.keys[name] = k
	w.index(k)
}

// StoredVersion returns a version as it is stored, in use and in the archive; nil: not there.
func (w *World) StoredVersion(name string, n int) (inUse, archived []byte, created time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.versions[place{name, n}]
	return v.Sealed, w.archive[place{name, n}].Sealed, v.Created
}

// Leave stores a version that no act committed, as an act that was cut short does.
func (w *World) Leave(name string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.versions[place{name, n}] = lifecycle.Version{KeyID: w.keys[name].ID, Number: n, Sealed: []byte("left behind")}
}

// Reseal seals the material of a version in use anew, as one does that wraps it under another key.
func (w *World) Reseal(ctx context.Context, name string, n int) error {
	k := w.Stored(name)
	w.mu.Lock()
	v := w.versions[place{name, n}]
	w.mu.Unlock()
	materials := w.Data().Materials()
	material, err := materials.Open(ctx, &k, v, envelope.PurposeOnline)
	if err != nil {
		return err
	}
	defer material.Wipe()
	if v, err = materials.Seal(ctx, &k, v, material, envelope.PurposeOnline); err != nil {
		return err
	}
	defer w.lock(name)()
	return versionStore{w.Mount}.PutVersion(ctx, name, v)
}

// DisableUpserts sets whether encrypting must not make keys.
func (w *World) DisableUpserts(disable bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keysSettings.DisableUpsert = disable
}

// PolicyInForce returns the revision of a policy that is in force.
func (w *World) PolicyInForce(name string) *policy.Policy {
	w.T.Helper()
	p, err := policyStore{w.Mount}.Policy(context.Background(), name)
	require.NoError(w.T, err)
	return &p
}

// RemoveDue takes a key off the due index, as a storage that was restored in part does.
func (w *World) RemoveDue(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, names := range w.due {
		delete(names, name)
	}
}

// Logged reports whether the server log has the text. Nothing may run meanwhile.
func (w *World) Logged(text string) bool { return bytes.Contains(w.log.Bytes(), []byte(text)) }

// Tick runs one.
func (w *World) Tick() scheduler.Report {
	w.T.Helper()
	report, err := w.ByClock().Tick(context.Background())
	require.NoError(w.T, err)
	return report
}

// Encrypt encrypts a text with a key.
func (w *World) Encrypt(name, text string) dataplane.Outcome {
	w.T.Helper()
	outcomes, err := w.Data().Encrypt(context.Background(), name, []dataplane.Item{{Text: Text(text)}})
	require.NoError(w.T, err)
	return outcomes[0]
}

// Decrypt opens a ciphertext.
func (w *World) Decrypt(name, ciphertext string) dataplane.Outcome {
	w.T.Helper()
	outcomes, err := w.Data().Decrypt(context.Background(), name, []dataplane.Item{{Text: ciphertext}})
	require.NoError(w.T, err)
	return outcomes[0]
}

// Text is a plaintext as requests have it.
func Text(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// Clock is the time. It moves when a test moves it and, with a step, by that whenever somebody looks.
type Clock struct {
	mu   sync.Mutex
	now  time.Time
	Step time.Duration
}

// Now is what production code is given.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(c.Step)
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Token wraps keys, and remembers what it has wrapped. It can be away, and has several KEKs, of which it loses none.
type Token struct {
	mu      sync.Mutex
	wrapped map[uint64]wrapped
	wraps   int
	unwraps int
	err     error
	before  func()
	hang    func(ctx context.Context) error
	asked   func() // complains

	active   byte          // the KEK that wraps
	hardware map[byte]bool // KEKs that are kept by a token
}

type wrapped struct {
	dek, aad []byte
	kek      byte
}

// Away makes the token fail; with nil it is back.
func (k *Token) Away(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// SetHardware says whether the active key is kept by a hardware security module.
func (k *Token) SetHardware(is bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hardware[k.active] = is
}

// Hang has calls end as do does, which may take long; with nil they are answered again.
func (k *Token) Hang(do func(ctx context.Context) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hang = do
}

// Before runs do before each call.
func (k *Token) Before(do func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.before = do
}

// Calls returns how often it wrapped and unwrapped.
func (k *Token) Calls() (wraps, unwraps int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wraps, k.unwraps
}

// Wrapper is dataplane.WrapperSource's.
func (k *Token) Wrapper(context.Context, string, bool) (envelope.KeyWrapper, string, error) {
	return k, "instance", nil
}

func (k *Token) called(ctx context.Context, count *int) error {
	k.mu.Lock()
	*count++
	do, hang := k.before, k.hang
	k.mu.Unlock()
	k.asked()
	if do != nil {
		do()
	}
	if hang != nil {
		return hang(ctx)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return errors.Join(k.err, ctx.Err())
}

// Wrap is envelope.KeyWrapper's.
func (k *Token) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	if err := k.called(ctx, &k.wraps); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	id := uint64(len(k.wrapped))
	k.wrapped[id] = wrapped{bytes.Clone(dek), bytes.Clone(aad), k.active}
	return binary.BigEndian.AppendUint64(nil, id), nil
}

// errForeign is that of a wrapping that the token did not make, or not for these associated data.
var errForeign = errors.New("wrapped elsewhere, or for something else")

// Unwrap is envelope.KeyWrapper's.
func (k *Token) Unwrap(ctx context.Context, text, aad []byte) ([]byte, error) {
	if err := k.called(ctx, &k.unwraps); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(text) != 8 {
		return nil, errForeign
	}
	w, ok := k.wrapped[binary.BigEndian.Uint64(text)]
	if !ok || !bytes.Equal(w.aad, aad) {
		return nil, errForeign
	}
	return bytes.Clone(w.dek), nil
}
