// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// module is a library of the process, and the gate before it: tasks go through it side by side, C_Finalize and C_Initialize
// alone.
type module struct {
	clock   Clock
	users   int                // guarded by the registry's lock: tokens that are open
	devices map[string]*device // guarded by the registry's lock
	setup   chan struct{}      // holds a value while a token is being searched for

	mu      sync.Mutex
	library cryptoki.Library // nil: not loaded
	round   uint64           // counts initialisations: sessions of another round are gone
	running int              // tasks inside
	hung    int              // calls that outlived their deadline
	gate    chan struct{}    // not nil: closed for tasks, until the channel is
	changed chan struct{}    // closed with the next change of running or hung
}

func newModule(c Clock) *module {
	return &module{clock: c, devices: map[string]*device{}, setup: make(chan struct{}, 1), changed: make(chan struct{})}
}

// begin begins a search for a token. There is one at a time; one that hangs is not waited for.
func (m *module) begin(limit time.Duration) error {
	timeout, stop := after(m.clock, limit)
	defer stop()
	for {
		m.mu.Lock()
		hung, changed := m.hung, m.changed
		m.mu.Unlock()
		select {
		case m.setup <- struct{}{}:
			return nil
		default:
		}
		if hung > 0 {
			return errHung
		}
		select {
		case m.setup <- struct{}{}:
			return nil
		case <-changed:
		case <-timeout:
			return errWaiting
		}
	}
}

func (m *module) end() { <-m.setup }

// enter lets a task in.
func (m *module) enter(ctx context.Context, limit time.Duration) error {
	for {
		m.mu.Lock()
		gate, hung := m.gate, m.hung
		if gate == nil {
			m.running++
			m.mu.Unlock()
			return nil
		}
		m.mu.Unlock()
		if hung > 0 { // the one who closed the gate
			return errHung
		}
		if err := await(ctx, m.clock, limit, gate, errWaiting); err != nil {
			return err
		}
	}
}

func (m *module) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	m.change()
}

func (m *module) hang(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hung += n
	m.change()
}

func (m *module) change() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *module) state() (library cryptoki.Library, round uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.library, m.round
}

// alone runs f with no task inside. It waits until those inside have left; a call that hangs never leaves, so it is refused.
func (m *module) alone(limit time.Duration, f func() error) error {
	timeout, stop := after(m.clock, limit)
	defer stop()
	if err := m.shut(timeout); err != nil {
		return err
	}
	err := f()
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.gate)
	m.gate = nil
	return err
}

// shut closes the gate and waits until all have left.
func (m *module) shut(timeout <-chan struct{}) error {
	m.mu.Lock()
	for m.gate != nil { // somebody else is alone
		other := m.gate
		m.mu.Unlock()
		select {
		case <-other:
		case <-timeout:
			return errWaiting
		}
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	m.gate = make(chan struct{})
	err := m.drain(timeout)
	if err != nil {
		close(m.gate)
		m.gate = nil
	}
	return err
}

// drain waits until nothing runs. It unlocks the module meanwhile.
func (m *module) drain(timeout <-chan struct{}) error {
	for {
		switch {
		case m.hung > 0:
			return errHung
		case m.running == 0:
			return nil
		}
		changed := m.changed
		m.mu.Unlock()
		var late bool
		select {
		case <-changed:
		case <-timeout:
			late = true
		}
		m.mu.Lock()
		if late {
			return errWaiting
		}
	}
}

// load loads the library if it is not.
func (m *module) load(k *task, load func() (cryptoki.Library, error)) error {
	if library, _ := m.state(); library != nil {
		return nil
	}
	return m.alone(k.limit, func() error {
		var loaded cryptoki.Library
		err := k.call(func() (err error) {
			loaded, err = load()
			return err
		})
		if err != nil {
			return fmt.Errorf("load the library: %w", err)
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.library = loaded
		m.round++
		return nil
	})
}

// reinitialize has the library look at the world anew, unless that was done after the round seen. It reports whether it did.
func (m *module) reinitialize(k *task, seen uint64) (did bool, err error) {
	err = m.alone(k.limit, func() error {
		library, round := m.state()
		if library == nil || round != seen {
			return nil
		}
		did = true
		err := k.call(library.Reinitialize)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.round++ // C_Finalize may have been the half that worked
		return err
	})
	return did, err
}

// unload closes the library if it has no more users and nothing hangs in it. If something does, it stays, for the next user.
func (m *module) unload(k *task, users func() int) {
	_ = m.alone(k.limit, func() error {
		library, _ := m.state()
		if library == nil || users() > 0 {
			return nil
		}
		err := k.timed(library.Close)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.library = nil
		return err
	})
}
