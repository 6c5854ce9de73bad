// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Registry has the libraries and the tokens that a process uses. C_Initialize and C_Login are the process's, so there should be
// one. It is safe for concurrent use.
type Registry struct {
	clock  Clock
	chance func() float64

	epochs atomic.Uint64 // of all devices: what is known of handles must not be taken for that of another token

	mu      sync.Mutex
	modules map[string]*module
}

// NewRegistry returns an empty registry. Deadlines and pauses go by clock; chance, from [0, 1), shortens the pauses between
// recoveries, and must be safe for concurrent use.
func NewRegistry(clock Clock, chance func() float64) *Registry {
	return &Registry{clock: clock, chance: chance, modules: map[string]*module{}}
}

// Open returns a user of the token that c selects. It only looks at c: the library is loaded, and the token looked for, with the
// first call of [Token.Run].
func (r *Registry) Open(c Config) (*Token, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.modules[c.Library]
	if m == nil {
		m = newModule(r.clock)
		r.modules[c.Library] = m
	}
	m.users++
	t := &Token{
		registry: r, module: m, config: c, pinHash: sha256.Sum256(c.PIN),
		search: flight{clock: r.clock, chance: r.chance, longest: c.MaxBackoff, since: r.clock.Now()},
	}
	t.checks.interval = c.HealthInterval
	return t, nil
}

// attach makes t a user of the device with a token, which is made up unless another user has it.
func (r *Registry) attach(t *Token, info cryptoki.Token) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.isClosed() { // Close wipes the PIN with the registry's lock
		return errClosed
	}
	key := keyOf(info)
	d := t.module.devices[key]
	if d == nil {
		d = newDevice(r, t, key, info)
		t.module.devices[key] = d
	}
	c, _ := d.connection()
	opened, err := d.credential.admit(t, c.epoch > 0)
	if err != nil {
		return err
	}
	if opened {
		d.recovery.reset()
		d.note(func() { d.failing = false })
	}
	d.note(func() {})
	d.users[t] = true
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attached = d
	return nil
}

// keyOf tells the tokens of a library apart. Those of NSS have one serial number, and labels are not unique anywhere.
func keyOf(info cryptoki.Token) string { return info.Serial + "\x00" + info.Label }

// detach ends the use of the device, and the device with its last user.
func (r *Registry) detach(t *Token) {
	r.mu.Lock()
	t.mu.Lock()
	d := t.attached
	t.attached = nil
	t.mu.Unlock()
	last := false
	if d != nil {
		delete(d.users, t)
		last = len(d.users) == 0
		if last && t.module.devices[d.key] == d {
			delete(t.module.devices, d.key)
		}
	}
	r.mu.Unlock()
	if last {
		d.close()
	}
}

// users returns those who use the device.
func (r *Registry) users(d *device) []*Token {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Keys(d.users))
}

// find looks for the token of t, and attaches t to it. Libraries list the tokens that were there at C_Initialize: where no
// other token of the library is in use, that is done again for a token that is absent.
func (r *Registry) find(k *task, t *Token) error {
	m := t.module
	if err := m.begin(t.config.AcquireTimeout); err != nil {
		return err
	}
	defer m.end()
	_, before := m.state()
	if err := m.load(k, t.config.Load); err != nil {
		return err
	}
	_, round := m.state()
	info, err := t.locate(k)
	if err != nil && !errors.Is(err, hsm.ErrMisconfigured) && round == before && !r.inUse(m) {
		if _, err := m.reinitialize(k, round); err != nil {
			return err
		}
		info, err = t.locate(k)
	}
	if err != nil {
		return err
	}
	return r.attach(t, info)
}

func (r *Registry) inUse(m *module) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(m.devices) > 0
}

func (t *Token) locate(k *task) (cryptoki.Token, error) {
	tokens, err := t.module.tokens(k)
	if err != nil {
		return cryptoki.Token{}, err
	}
	return t.config.pick(tokens)
}

// tokens lists the tokens of the library.
func (m *module) tokens(k *task) (tokens []cryptoki.Token, err error) {
	if err := m.enter(context.Background(), k.limit); err != nil {
		return nil, err
	}
	defer m.leave()
	library, _ := m.state()
	if library == nil {
		return nil, cryptoki.ErrNotInitialized
	}
	err = k.call(func() (err error) {
		tokens, err = library.Tokens()
		return err
	})
	return tokens, err
}
