// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// device is the connection of the process with a token.
type device struct {
	registry *Registry
	module   *module
	key      string // in the module
	config   Config // of the first user: limits
	clock    Clock
	users    map[*Token]bool // guarded by the registry's lock
	pool     pool
	recovery flight

	credential credential

	mu        sync.Mutex
	closed    bool
	connected bool
	failing   bool   // the last recovery failed
	epoch     uint64 // of the connection, or of the last try to connect
	round     uint64 // of the module, that the connection is of
	tried     uint64 // of the module, that the last try to connect was of
	info      cryptoki.Token
	sentinel  cryptoki.Session // keeps the login (section 5.6.1)
	rung      rung             // the highest that was climbed since the token was seen to work
	troubled  bool             // an error of the device came since
	lastErr   string
	state     State
	since     time.Time
	counters  Counters

	exit exit
}

func newDevice(r *Registry, t *Token, key string, info cryptoki.Token) *device {
	d := &device{
		registry: r, module: t.module, key: key, config: t.config, clock: r.clock, users: map[*Token]bool{}, info: info,
		pool:       pool{clock: r.clock},
		recovery:   flight{clock: r.clock, chance: r.chance, longest: t.config.MaxBackoff, since: r.clock.Now()},
		credential: credential{pin: slices.Clone(t.config.PIN), hash: t.pinHash, lastTry: t.config.Rewritten},
		state:      Unknown, since: r.clock.Now(),
	}
	d.exit.d = d
	return d
}

// hang counts a call that hangs outside of a session of the pool.
func (d *device) hang(n int) {
	d.module.hang(n)
	d.note(func() {
		d.counters.Stuck += n
		if n > 0 {
			d.counters.Timeouts++
			d.lastErr = errDeadline.Error()
		}
	})
	d.exit.watch()
}

// open opens a session.
func (d *device) open(k *task, l cryptoki.Library, slot uint) (s cryptoki.Session, err error) {
	err = k.call(func() (err error) {
		s, err = l.Open(slot)
		return err
	})
	if err == nil {
		d.note(func() { d.counters.Sessions++ })
	}
	return s, err
}

func (d *device) closeSessions(k *task, sessions ...cryptoki.Session) {
	k.closeAll(sessions...)
	d.note(func() { d.counters.Sessions = max(0, d.counters.Sessions-len(sessions)) })
}

// connect begins an epoch: it closes the sessions of the last one, finds the token, logs in and has verify look at it.
func (d *device) connect(k *task, verify func(*guarded, uint64) error) error {
	if err := d.module.enter(context.Background(), k.limit); err != nil {
		return err
	}
	defer d.module.leave()
	library, round := d.module.state()
	epoch, old := d.disconnect(round)
	d.closeSessions(k, old...)
	if library == nil {
		return cryptoki.ErrNotInitialized
	}
	info, err := d.locate(k, library)
	if err != nil {
		return err
	}
	size, err := poolSize(d.config.MaxSessions, info)
	if err != nil {
		return err
	}
	s, err := d.open(k, library, info.Slot)
	if err != nil {
		return err
	}
	if err = d.login(k, s, info); err == nil {
		err = verify(d.guard(k, s, info), epoch)
	}
	if err == nil && k.isLeft() {
		err = errDeadline
	}
	if err == nil && !d.commit(epoch, round, info, s) {
		err = errClosed
	}
	if err != nil {
		d.closeSessions(k, s)
		return err
	}
	d.pool.begin(epoch, size)
	return nil
}

func (d *device) guard(k *task, s cryptoki.Session, info cryptoki.Token) *guarded {
	return &guarded{task: k, session: s, login: info.LoginRequired, making: d.config.GenerateTimeout}
}

// disconnect ends the epoch, and begins another. It returns the sessions to be closed: C_Finalize has closed those of another
// round.
func (d *device) disconnect(round uint64) (epoch uint64, old []cryptoki.Session) {
	d.note(func() {
		d.connected = false
		d.tried = round
		epoch = d.registry.epochs.Add(1)
		d.epoch = epoch
		if d.sentinel != nil {
			old = append(old, d.sentinel)
		}
		d.sentinel = nil
	})
	old = append(old, d.pool.flush()...)
	d.note(func() {
		if d.round != round {
			d.counters.Sessions = max(0, d.counters.Sessions-len(old))
			old = nil
		}
	})
	return epoch, old
}

func (d *device) locate(k *task, l cryptoki.Library) (cryptoki.Token, error) {
	var tokens []cryptoki.Token
	err := k.call(func() (err error) {
		tokens, err = l.Tokens()
		return err
	})
	if err != nil {
		return cryptoki.Token{}, err
	}
	why := errAbsent
	for _, info := range tokens {
		switch {
		case keyOf(info) == d.key:
			return info, nil
		case info.Label == d.info.Label, info.Serial == d.info.Serial:
			why = errReplaced
		}
	}
	return cryptoki.Token{}, fmt.Errorf("%w label %q and serial number %q", why, d.info.Label, d.info.Serial)
}

// poolSize leaves one session of those that the token allows for the login.
func poolSize(size int, info cryptoki.Token) (int, error) {
	for _, limit := range []uint{info.MaxSessions, info.MaxRWSessions} {
		if limit > 0 && limit <= uint(size) {
			size = int(limit) - 1
		}
	}
	if size < 1 {
		return 0, errFew
	}
	return size, nil
}

func (d *device) login(k *task, s cryptoki.Session, info cryptoki.Token) error {
	tried, err := d.credential.login(k, s, info)
	d.note(func() {
		if tried {
			d.counters.Logins++
		}
	})
	return err
}

func (d *device) commit(epoch, round uint64, info cryptoki.Token, s cryptoki.Session) (ok bool) {
	d.note(func() {
		if ok = !d.closed; ok {
			if d.counters.Connections++; d.counters.Connections > 1 {
				d.counters.Relogins++
			}
			d.connected, d.epoch, d.round, d.info, d.sentinel = true, epoch, round, info, s
		}
	})
	return ok
}

// close ends the connection. The login ends with the last session.
func (d *device) close() {
	var sessions []cryptoki.Session
	var round uint64
	d.note(func() {
		d.closed, d.connected = true, false
		if d.sentinel != nil {
			sessions = append(sessions, d.sentinel)
		}
		d.sentinel = nil
		round = d.round
	})
	d.credential.wipe()
	sessions = append(sessions, d.pool.close()...)
	k := newTask(d.clock, d.config.CallTimeout, d.hang)
	_, _ = launch(context.Background(), k, func() struct{} {
		if d.module.enter(context.Background(), k.limit) == nil {
			defer d.module.leave()
			if _, now := d.module.state(); now == round {
				d.closeSessions(k, sessions...)
			}
		}
		return struct{}{}
	})
}

// isCurrent reports that the connection of an epoch stands.
func (d *device) isCurrent(epoch uint64) bool {
	c, ok := d.connection()
	return ok && c.epoch == epoch
}
