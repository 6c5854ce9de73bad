// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package enginetest is a mount in memory: fakes of the ports of dataplane, engine and scheduler, and a [World] that wires
// these packages as the root package does. Their tests run on it without Vault and without a storage format.
//
// The fakes complain: a commit that breaks an invariant of keys fails the test, wherever the test looks. They can fail, too
// ([Mount.Fail]), be watched ([Mount.Before]) and count how often each of them was called ([Mount.Calls]).
package enginetest

import (
	"context"
	"errors"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Mount is what a mount stores. It is safe for concurrent use.
type Mount struct {
	t testing.TB

	acting   sync.Mutex // held for one act on policies or on the mount; taken before mu
	mu       sync.Mutex
	writing  map[string]*keyLock
	anyone   bool // requests may run at once, see [Mount.AtOnce]
	keys     map[string]lifecycle.Key
	versions map[place]lifecycle.Version
	archive  map[place]lifecycle.Version
	chains   map[string][][]byte        // by name and digest
	policies map[string][]policy.Policy // all revisions
	leases   map[lease]policy.Usage
	denied   map[string]map[int]lifecycle.Denials
	due      map[time.Time]map[string]bool
	alerts   map[lifecycle.Status]map[string]time.Time
	moves    map[string]lifecycle.Range
	erasures map[string]bool
	cursors  map[string]string // of policies to reindex
	rewraps  map[string]lifecycle.Rewrapping
	objects  map[string]lifecycle.Object // keys on the token that may belong to no version
	clock    lifecycle.Clock
	governed policy.Governance

	approvals  consent.Settings
	approvers  map[string]consent.Enrolment
	identities map[string]consent.Person
	requests   map[string]consent.Request
	reviews    map[string]consent.Review
	caller     engine.Caller

	keysSettings lifecycle.KeysSettings
	cacheSize    int

	broken map[string]string // chains of custody, and what is wrong with them

	calls  map[string]int
	faults map[string]error
	before map[string]func()
	acts   []Done

	census  census.Snapshot
	watcher watcher // of the process that runs
}

// watcher is told of commits, as that of the store is.
type watcher interface {
	Committed(name string, was, is *lifecycle.Key)
}

// inAct locks the mount for an act that is not on a key.
func (m *Mount) inAct() (end func()) {
	m.acting.Lock()
	m.mu.Lock()
	return func() {
		m.mu.Unlock()
		m.acting.Unlock()
	}
}

// within asks the engine within an act. It may ask the mount in its turn.
func (m *Mount) within(do func()) {
	m.mu.Unlock()
	defer m.mu.Lock()
	do()
}

// keyLock is held for one act on a key.
type keyLock struct {
	sync.Mutex
	held    bool // guarded by the mount's
	writers int  // how many have had it; guarded by itself
}

type place struct {
	key string
	n   int
}

type lease struct {
	id string
	n  int
}

// Done is an act that was committed.
type Done struct {
	Key    string
	System bool // nobody asked for it
	lifecycle.Event
}

// NewMount returns an empty one.
func NewMount(t testing.TB) *Mount {
	return &Mount{
		t: t, writing: map[string]*keyLock{}, keys: map[string]lifecycle.Key{}, versions: map[place]lifecycle.Version{},
		archive: map[place]lifecycle.Version{}, chains: map[string][][]byte{}, policies: map[string][]policy.Policy{}, leases: map[lease]policy.Usage{},
		denied: map[string]map[int]lifecycle.Denials{}, due: map[time.Time]map[string]bool{},
		alerts: map[lifecycle.Status]map[string]time.Time{}, moves: map[string]lifecycle.Range{}, erasures: map[string]bool{},
		cursors: map[string]string{}, rewraps: map[string]lifecycle.Rewrapping{}, objects: map[string]lifecycle.Object{}, approvals: consent.DefaultSettings(), approvers: map[string]consent.Enrolment{},
		identities: map[string]consent.Person{}, requests: map[string]consent.Request{}, reviews: map[string]consent.Review{}, broken: map[string]string{}, calls: map[string]int{}, faults: map[string]error{}, before: map[string]func(){},
	}
}

// Fail makes calls of a method fail, from now on; with nil they succeed again. A call for one key is named "UpdateKey k".
func (m *Mount) Fail(call string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults[call] = err
}

// Before runs do before each call of a method, from now on.
func (m *Mount) Before(call string, do func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.before[call] = do
}

// Calls returns how often each method was called since the last time that somebody asked.
func (m *Mount) Calls() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = map[string]int{}
	return calls
}

// Acts returns what was committed since the last time that somebody asked.
func (m *Mount) Acts() []Done {
	m.mu.Lock()
	defer m.mu.Unlock()
	acts := m.acts
	m.acts = nil
	return acts
}

// called counts a call and returns the error that it is to have.
func (m *Mount) called(ctx context.Context, method, about string) error {
	m.mu.Lock()
	m.calls[method]++
	do := m.before[method]
	if one := m.before[method+" "+about]; one != nil {
		do = one
	}
	m.mu.Unlock()
	if do != nil {
		do()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, call := range []string{method, method + " " + about} {
		if err := m.faults[call]; err != nil {
			return err
		}
	}
	return ctx.Err()
}

// lock keeps other writers of the key out.
func (m *Mount) lock(name string) (unlock func()) {
	_, unlock = m.holdOf(name)
	return unlock
}

func (m *Mount) holdOf(name string) (held *keyLock, unlock func()) {
	m.mu.Lock()
	l := m.writing[name]
	if l == nil {
		l = new(keyLock)
		m.writing[name] = l
	}
	m.mu.Unlock()
	l.Lock()
	l.writers++
	m.hold(l, true)
	return l, func() {
		m.hold(l, false)
		l.Unlock()
	}
}

func (m *Mount) hold(l *keyLock, held bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l.held = held
}

// AtOnce says that the test has several requests run at once: one may hold a lock while another one asks the token.
func (m *Mount) AtOnce() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.anyone = true
}

// asked complains of a wrapper that is asked for something while the lock of a key is held.
func (m *Mount) asked() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, l := range m.writing {
		if l.held && !m.anyone {
			m.t.Errorf("a wrapper is called while the lock of key %q is held:\n%s", name, debug.Stack())
		}
	}
}

// unprepared is the error of an act that has to be prepared; see engine.KeyStore.
type unprepared interface {
	Prepare(ctx context.Context) error
	Overtaken()
}

// prepared runs an act under the lock of a key, again and again until it is prepared. Anew: the key is to be read.
func (m *Mount) prepared(ctx context.Context, name string, act func(anew bool) error) error {
	var last unprepared
	for writers := -1; ; {
		l, unlock := m.holdOf(name)
		anew := l.writers != writers+1
		writers = l.writers
		if anew && last != nil {
			last.Overtaken()
		}
		err := func() error {
			defer unlock()
			return act(anew)
		}()
		if !errors.As(err, &last) {
			return err
		}
		if err := last.Prepare(ctx); err != nil {
			return err
		}
	}
}

// check complains of a commit that no storage should be asked for.
func (m *Mount) check(was lifecycle.Key, c lifecycle.Commit) {
	m.t.Helper()
	k := c.Key
	what := "commit of " + k.Name + " by " + c.Event.Act
	if was.ID != "" {
		assert.Equal(m.t, was.ID, k.ID, what)
		assert.GreaterOrEqual(m.t, k.Revision, was.Revision, what)
		assert.GreaterOrEqual(m.t, k.Latest, was.Latest, what)
	}
	for n := 1; n <= was.Latest; n++ {
		typed := n < was.MinAvailable || lifecycle.TypesOf(&was).Of(n) == lifecycle.TypesOf(&k).Of(n)
		assert.True(m.t, typed, "%s: version %d has another type", what, n)
		assert.False(m.t, was.IsDestroyed(n) && !k.IsDestroyed(n), "%s: version %d was destroyed", what, n)
	}
	if len(c.Restored) > 0 {
		m.checkRestored(was, c)
		return
	}
	if k.Latest > was.Latest {
		assert.NotEmpty(m.t, c.Event.Act, "%s: a new version is kept by custody", what)
		assert.NotNil(m.t, c.Version, "%s: no version", what)
	}
	if v := c.Version; v != nil && v.Number <= was.Latest {
		assert.True(m.t, was.IsPublicOnly(v.Number) && !k.IsPublicOnly(v.Number), "%s: a version is made anew for its private half only", what)
	} else if v != nil {
		assert.Equal(m.t, k.Latest, v.Number, what)
		assert.Equal(m.t, k.ID, v.KeyID, what)
		assert.NotEmpty(m.t, v.Sealed, what)
		assert.NotContains(m.t, m.versions, place{k.Name, v.Number}, "%s: what is stored is overwritten", what)
		assert.Equal(m.t, v.Created, k.Recent[len(k.Recent)-1], "%s: the version has two dates", what)
	}
	if c.KeyStays {
		assert.Equal(m.t, was, k, "%s: the key was to stay as it is", what)
		assert.NotEmpty(m.t, c.Event.Act, "%s: custody keeps the act", what)
	}
	assert.Equal(m.t, lifecycle.Displaced(was, k), c.Relocate, "%s: material is left where it does not belong", what)
}

// checkRestored complains of a restored key that lacks something.
func (m *Mount) checkRestored(was lifecycle.Key, c lifecycle.Commit) {
	m.t.Helper()
	k := c.Key
	assert.Empty(m.t, was.ID, "%s is restored over another key", k.Name)
	assert.NotEmpty(m.t, c.Event.Act)
	assert.Len(m.t, k.Recent, k.Latest)
	assert.Len(m.t, c.Restored, k.Latest-max(k.MinAvailable, 1)+1)
	for _, v := range c.Restored {
		assert.Equal(m.t, k.ID, v.KeyID)
		assert.Equal(m.t, k.IsDestroyed(v.Number), len(v.Sealed) == 0)
		assert.Equal(m.t, k.Recent[v.Number-1], v.Created, "version %d has two dates", v.Number)
	}
	assert.Equal(m.t, lifecycle.DisplacedAtFirst(k), c.Relocate)
}

// put stores the key of a commit and lists it.
func (m *Mount) put(was lifecycle.Key, c lifecycle.Commit, system bool) {
	k := c.Key
	m.keys[k.Name] = k
	if c.Version != nil {
		m.versions[place{k.Name, c.Version.Number}] = *c.Version
	}
	for _, chain := range c.Chains {
		m.chains[k.Name+"/"+chain.Digest] = chain.DER
	}
	for _, v := range c.Restored {
		m.versions[place{k.Name, v.Number}] = v
	}
	if c.Relocate != (lifecycle.Range{}) {
		r := c.Relocate
		if open, ok := m.moves[k.Name]; ok {
			r = lifecycle.Range{From: min(r.From, open.From), To: max(r.To, open.To)}
		}
		m.moves[k.Name] = r
	}
	m.unlist(was)
	m.index(k)
	if was.ID == "" {
		m.watcher.Committed(k.Name, nil, &k)
	} else {
		m.watcher.Committed(k.Name, &was, &k)
	}
	if c.Event.Act != "" {
		m.consented(c.Event)
		m.reviewed(c.Event)
		m.acts = append(m.acts, Done{k.Name, system, c.Event})
	}
}

// index lists a key where its record says.
func (m *Mount) index(k lifecycle.Key) {
	if !k.Due.IsZero() {
		m.list(k.Due, k.Name)
	}
	for _, alert := range k.Alerts {
		m.alert(k.Name, alert)
	}
}

func (m *Mount) unlist(k lifecycle.Key) {
	delete(m.due[minute(k.Due)], k.Name)
	for _, alert := range k.Alerts {
		delete(m.alerts[alert.Status], k.Name)
	}
}

func (m *Mount) alert(name string, alert lifecycle.Alert) {
	if m.alerts[alert.Status] == nil {
		m.alerts[alert.Status] = map[string]time.Time{}
	}
	m.alerts[alert.Status][name] = alert.Since
}

func (m *Mount) list(at time.Time, name string) {
	if m.due[minute(at)] == nil {
		m.due[minute(at)] = map[string]bool{}
	}
	m.due[minute(at)][name] = true
}

func minute(t time.Time) time.Time { return t.UTC().Truncate(time.Minute) }

func sorted[V any](all map[string]V) []string { return slices.Sorted(maps.Keys(all)) }
