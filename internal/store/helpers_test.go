// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/stretchr/testify/require"
)

// start is when the keys of these tests are made.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var ctx = context.Background()

// world is a mount: a storage, and the store of the process that serves it now.
type world struct {
	disk  *storagetest.Storage
	store *store.Store
	log   safeLog
	stored
}

// stored is all that a mount stores.
type stored struct {
	store.Keys
	store.Versions
	store.Relocations
	store.Policies
	store.DueIndex
	store.AlertIndex
	store.Denials
	store.Leases
	store.Settings
	store.KEKs
	store.Tokens
	store.Journals
	store.Signing
	store.Sealed
	store.Objects
	store.Rewraps
	store.Approvers
	store.Reviews
	store.Uses
}

func storedIn(h store.Handle) stored {
	return stored{
		h.Keys(), h.Versions(), h.Relocations(), h.Policies(), h.DueIndex(), h.AlertIndex(), h.Denials(), h.Leases(), h.Settings(),
		h.KEKs(), h.Tokens(), h.Journals(), h.Signing(), h.Sealed(), h.Objects(), h.Rewraps(), h.Approvers(), h.Reviews(), h.Uses(),
	}
}

// DeleteKey deletes as the engine does: it commits, then it erases.
func (w *world) DeleteKey(ctx context.Context, name string, allow func(lifecycle.Key) error, reason string) (lifecycle.Key, error) {
	k, err := w.Keys.DeleteKey(ctx, name, allow, reason)
	if err != nil {
		return k, err
	}
	return k, w.FinishErasure(ctx, name)
}

// What follows does the acts that are not on keys, with an event for custody.

func (w *world) PutPolicy(
	ctx context.Context, name string, revise func(*policy.Policy) (policy.Policy, error),
) (policy.Policy, error) {
	return w.Policies.PutPolicy(ctx, name, func(current *policy.Policy) (policy.Policy, lifecycle.Event, error) {
		p, err := revise(current)
		return p, lifecycle.Event{Act: "write", Policy: name, PolicyRevision: p.Revision}, err
	})
}

func (w *world) DeletePolicy(
	ctx context.Context, name string, allow func(policy.Policy) error, used func(policy.Use) error,
) error {
	return w.Policies.DeletePolicy(ctx, name, lifecycle.Event{Act: "delete"}, func(p policy.Policy, e lifecycle.Event) (lifecycle.Event, error) {
		return e, allow(p)
	}, used)
}

func (w *world) SetGovernance(ctx context.Context, change func(policy.Governance) policy.Governance) (policy.Governance, error) {
	return w.Settings.SetGovernance(ctx, func(g policy.Governance) (policy.Governance, lifecycle.Event, error) {
		return change(g), lifecycle.Event{Act: "configure-engine"}, nil
	})
}

func (w *world) AcknowledgeClock(ctx context.Context, c lifecycle.Clock) error {
	return w.Settings.AcknowledgeClock(ctx, c, func() (lifecycle.Event, error) { return lifecycle.Event{Act: "acknowledge-clock"}, nil })
}

func (w *world) SetCacheSize(ctx context.Context, size int) error {
	return w.Settings.SetCacheSize(ctx, size, func(int) lifecycle.Event { return lifecycle.Event{Act: "configure-cache"} })
}

func (w *world) SetDisableUpsert(ctx context.Context, disable bool) error {
	_, err := w.SetKeysSettings(ctx, func(s lifecycle.KeysSettings) (lifecycle.KeysSettings, lifecycle.Event, error) {
		s.DisableUpsert = disable
		return s, lifecycle.Event{Act: "configure-keys"}, nil
	})
	return err
}

// AddSigningKey adds one whose seed is not sealed, as SigningKeys returns them.
func (w *world) AddSigningKey(
	ctx context.Context, grow func([]custody.SigningKey) (*custody.SigningKey, error),
) ([]custody.SigningKey, error) {
	var failed error
	keys, err := w.Signing.AddSigningKey(ctx, lifecycle.Event{Act: "rotate-signing-key"}, func(keys []custody.StoredKey) *custody.StoredKey {
		var next *custody.SigningKey
		if next, failed = grow(plainOf(keys)); next == nil || failed != nil {
			return nil
		}
		return &custody.StoredKey{Public: next.Public(), Plain: *next}
	})
	return plainOf(keys), errors.Join(err, failed)
}

func (w *world) SigningKeys(ctx context.Context) ([]custody.SigningKey, error) {
	keys, err := w.Signing.SigningKeys(ctx)
	return plainOf(keys), err
}

func plainOf(keys []custody.StoredKey) (plain []custody.SigningKey) {
	for _, k := range keys {
		plain = append(plain, k.Plain)
	}
	return plain
}

// RelocateAsATick relocates as a tick does, which comes again.
func (w *world) RelocateAsATick(ctx context.Context, name string, place func(lifecycle.Key, int) error) error {
	_, err := w.Relocate(ctx, name, place)
	return err
}

// newWorld is a mount that has its keyring.
func newWorld() *world {
	w := emptyWorld()
	if _, err := w.CreateKeyring(ctx, goldenKeyring()); err != nil {
		panic("internal error: " + err.Error())
	}
	w.disk.Reset()
	return w
}

func emptyWorld() *world {
	w := &world{disk: storagetest.New()}
	w.restart()
	return w
}

// who asks for all that these tests do.
var who = store.Caller{
	Actor: custody.Actor{EntityID: "e1", DisplayName: "token-ops", TokenAccessorHMAC: "hmac-1", Address: "192.0.2.1"},
}

// by names the request that what follows is done for; Vault sends each but once, as a rule.
func (w *world) by(request string) *world {
	asked := who
	asked.RequestID = request
	w.stored = storedIn(w.store.On(w.disk, asked))
	return w
}

// restart forgets all that the process remembers.
func (w *world) restart() {
	log := hclog.New(&hclog.LoggerOptions{Output: &w.log, Level: hclog.Warn})
	w.store = store.New(func() time.Time { return start }, log)
	w.on(w.disk)
}

// on serves the mount from another storage.
func (w *world) on(storage logical.Storage) { w.stored = storedIn(w.store.On(storage, who)) }

// load returns a world with the entries, and no others.
func load(t testing.TB, entries map[string]string) *world {
	t.Helper()
	w := emptyWorld()
	for path, value := range entries {
		w.plant(t, path, value)
	}
	w.disk.Reset()
	return w
}

// plant stores an entry behind the store's back.
func (w *world) plant(t testing.TB, path, value string) {
	t.Helper()
	require.NoError(t, w.disk.Put(ctx, &logical.StorageEntry{Key: path, Value: []byte(value)}))
}

// entries returns all that is stored but the barrier, which says nothing.
func (w *world) entries(t testing.TB) map[string]string {
	t.Helper()
	dump, err := w.disk.Dump(ctx)
	require.NoError(t, err)
	all := make(map[string]string, len(dump))
	for path, value := range dump {
		all[path] = string(value)
	}
	delete(all, "config/barrier")
	return all
}

// newKey is a key with one version that is looked at an hour after start.
func newKey(t testing.TB, name, policy string) lifecycle.Key {
	t.Helper()
	k, err := lifecycle.New(lifecycle.Key{
		ID: fmt.Sprintf("%x", "id of "+name), Name: name, Type: keytype.Default, Policy: policy,
	}, start)
	require.NoError(t, err)
	k.Due = start.Add(time.Hour)
	return k
}

// version is the newest of the key; sealed tells apart the attempts to make it.
func version(k lifecycle.Key, sealed string) lifecycle.Version {
	return lifecycle.Version{
		KeyID: k.ID, Number: k.Latest, Created: k.Created, Fingerprint: "fp", Sealed: fmt.Appendf(nil, "%s %d", sealed, k.Latest),
	}
}

// create commits a key.
func (w *world) create(t testing.TB, name, policy string) lifecycle.Key {
	t.Helper()
	k := newKey(t, name, policy)
	require.NoError(t, w.CreateKey(ctx, creation(k, version(k, "first"))))
	return k
}

// creation is the commit of a new key.
func creation(k lifecycle.Key, v lifecycle.Version) lifecycle.Commit {
	return lifecycle.Commit{
		Key: k, Version: &v, Event: lifecycle.Event{Act: "create", Versions: []int{v.Number}, From: "none", To: "active", Policy: k.Policy},
	}
}

// rotate makes the next version, an hour after the one before.
func rotate(sealed string) store.Act {
	return func(k lifecycle.Key) (lifecycle.Commit, error) {
		return rotated(k, sealed, start.Add(time.Duration(k.Latest)*time.Hour))
	}
}

func rotated(k lifecycle.Key, sealed string, at time.Time) (lifecycle.Commit, error) {
	next, err := k.Rotate(lifecycle.ByOperator, "", time.Time{}, at)
	v := version(next, sealed)
	event := lifecycle.Event{Act: "rotate", Versions: []int{next.Latest}, From: "none", To: "active", Policy: k.Policy}
	return lifecycle.Commit{Key: next, Version: &v, Event: event}, err
}

// grow rotates the key until it has the number of versions.
func (w *world) grow(t testing.TB, name string, versions int) lifecycle.Key {
	t.Helper()
	k, err := w.Key(ctx, name)
	for require.NoError(t, err); k.Latest < versions; require.NoError(t, err) {
		k, err = w.UpdateKey(ctx, name, rotate("first"))
	}
	return k
}

// growUnrecorded is grow without custody, so that checking the journal at every crash stays cheap.
func (w *world) growUnrecorded(t testing.TB, name string, versions int) {
	t.Helper()
	k, err := w.Key(ctx, name)
	for require.NoError(t, err); k.Latest < versions; require.NoError(t, err) {
		k, err = w.UpdateKey(ctx, name, func(k lifecycle.Key) (lifecycle.Commit, error) {
			c, err := rotate("first")(k)
			c.Event = lifecycle.Event{}
			return c, err
		})
	}
}

// old commits a key as it is after so many versions, without the versions themselves and the full pages of dates.
func (w *world) old(t testing.TB, name, policy string, versions int) {
	t.Helper()
	k := newKey(t, name, policy)
	k.Latest, k.Primary, k.Revision, k.Recent = versions, versions, versions, nil
	for n := versions - versions%store.PageSize; n < versions; n++ {
		k.Recent = append(k.Recent, start.Add(time.Duration(n)*time.Hour))
	}
	require.NoError(t, w.CreateKey(ctx, creation(k, version(k, "first"))))
}

// configure changes settings of a key.
func configure(change func(*lifecycle.Key)) store.Act {
	return func(k lifecycle.Key) (lifecycle.Commit, error) {
		change(&k)
		k.Revision++
		return lifecycle.Commit{Key: k, Event: lifecycle.Event{Act: "configure"}}, nil
	}
}

// revise is for PutPolicy: the description tells revisions apart.
func revise(name, description string) func(*policy.Policy) (policy.Policy, error) {
	return func(current *policy.Policy) (policy.Policy, error) {
		doc, revision := policy.DefaultDocument(), 1
		if current != nil {
			doc, revision = current.Document, current.Revision+1
		}
		doc.Owner, doc.Description = "payments", description
		return policy.New(name, revision, doc, start)
	}
}

func (w *world) putPolicy(t testing.TB, name, description string) policy.Policy {
	t.Helper()
	p, err := w.PutPolicy(ctx, name, revise(name, description))
	require.NoError(t, err)
	return p
}

// safeLog is a log that several goroutines write.
type safeLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *safeLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *safeLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// unused is a rule by which a policy may be deleted that nothing uses.
func unused(policyName string) func(policy.Use) error {
	return func(u policy.Use) error { return u.CheckDelete(policyName) }
}

// anyKey and anyPolicy allow every deletion.
func anyKey(lifecycle.Key) error    { return nil }
func anyPolicy(policy.Policy) error { return nil }

// finish does what the tick does of deletions and settlements that were cut short.
func (w *world) finish(t testing.TB) {
	t.Helper()
	const mostRounds = 10
	for range mostRounds {
		names, err := w.Erasures(ctx)
		require.NoError(t, err)
		settle, err := w.PendingRelocations(ctx)
		require.NoError(t, err)
		if len(names)+len(settle) == 0 {
			return
		}
		for _, name := range settle {
			require.NoError(t, settleNow(w, name))
		}
		for _, name := range names {
			require.NoError(t, w.FinishErasure(ctx, name))
		}
	}
	t.Fatalf("erasures and settlements go on after %d rounds", mostRounds)
}

// failReads is a storage that cannot be read.
type failReads struct{ logical.Storage }

var errRead = errors.New("injected read failure")

func (failReads) Get(context.Context, string) (*logical.StorageEntry, error) { return nil, errRead }
func (failReads) List(context.Context, string) ([]string, error)             { return nil, errRead }

// of returns the paths of all entries about the key but its journal, which is never deleted.
func (w *world) of(t testing.TB, key string) []string {
	t.Helper()
	var paths []string
	for path := range w.entries(t) {
		if slices.Contains(strings.Split(path, "/"), key) && !strings.HasPrefix(path, "journal/") {
			paths = append(paths, path)
		}
	}
	return paths
}
