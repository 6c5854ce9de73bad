// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package faketoken

import (
	"slices"
	"sync/atomic"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// maxFound is how many objects Find returns at most.
const maxFound = 10

// session is a session. Its objects live in the device: those that are no token objects are removed with it.
type session struct {
	library *Library
	slot    *slot
	round   int
	boot    int
	own     []*object // session objects
	busy    atomic.Bool
	closed  atomic.Bool
	half    bool // an operation failed, and is not known to have ended
}

// call runs effect as a call of this session, if the session is one still.
func (s *session) call(f Func, effect func() error) error {
	if !s.busy.CompareAndSwap(false, true) {
		s.library.misused(string(f) + " in a session that is in use")
	}
	defer s.busy.Store(false)
	if s.closed.Load() && f != CloseSession {
		s.library.misused(string(f) + " in a session that was closed")
	}
	err := s.library.call(f, func() error {
		if err := s.check(); err != nil {
			return err
		}
		if s.half && f != CloseSession {
			return cryptoki.ErrOperationActive
		}
		return effect()
	})
	s.half = s.half || err != nil && f != CloseSession
	return err
}

// check tells a session that is lost.
func (s *session) check() error {
	s.library.mu.Lock()
	defer s.library.mu.Unlock()
	d := s.slot.device
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case s.library.closed:
		return cryptoki.ErrNotInitialized
	case d.away == unplugged:
		return cryptoki.ErrDeviceRemoved
	case s.closed.Load() || s.round != s.library.round || s.boot != d.boot:
		return cryptoki.ErrSessionHandleInvalid
	}
	return nil
}

// Login implements [cryptoki.Session].
func (s *session) Login(pin []byte) error {
	return s.call(Login, func() error {
		l := s.library
		l.mu.Lock()
		defer l.mu.Unlock()
		if s.slot.loggedIn() {
			return cryptoki.ErrUserAlreadyLoggedIn // whatever the PIN
		}
		if err := s.slot.device.checkPIN(pin); err != nil {
			l.badLogins++
			return err
		}
		s.slot.logout() // handles of before are gone
		s.slot.login = true
		s.slot.device.change(func() { s.slot.boot = s.slot.device.boot })
		return nil
	})
}

// LoggedIn implements [cryptoki.LoginState].
func (s *session) LoggedIn() (in bool, err error) {
	err = s.call(GetSessionInfo, func() error {
		s.library.mu.Lock()
		defer s.library.mu.Unlock()
		in = s.slot.loggedIn()
		return nil
	})
	return in, err
}

func (s *slot) loggedIn() bool {
	s.device.mu.Lock()
	defer s.device.mu.Unlock()
	return s.login && s.boot == s.device.boot
}

// visible reports whether a session may see private objects.
func (s *slot) visible() bool { return s.device.config.PIN == "" || s.loggedIn() }

// Find implements [cryptoki.Session].
func (s *session) Find(t cryptoki.Template) (found []cryptoki.Object, err error) {
	err = s.call(FindObjects, func() error {
		s.library.mu.Lock()
		defer s.library.mu.Unlock()
		if s.slot.stale() {
			return nil
		}
		visible := s.slot.visible()
		for _, o := range s.slot.device.all() {
			if o.has(t) && (visible || !o.is(cryptoki.AttrPrivate)) && len(found) < maxFound {
				found = append(found, s.slot.handle(o))
			}
		}
		return nil
	})
	return found, err
}

func (d *Device) all() []*object {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.objects)
}

// object resolves a handle.
func (s *session) object(handle cryptoki.Object) (*object, error) {
	s.library.mu.Lock()
	defer s.library.mu.Unlock()
	o, ok := s.slot.handles[handle]
	switch {
	case s.slot.stale():
		return nil, cryptoki.ErrObjectHandleInvalid
	case !s.slot.visible():
		return nil, orElse(s.slot.device.config.NoLogin, cryptoki.ErrObjectHandleInvalid)
	case !ok || !slices.Contains(s.slot.device.all(), o):
		return nil, cryptoki.ErrObjectHandleInvalid
	}
	return o, nil
}

func orElse(rv, otherwise cryptoki.Error) cryptoki.Error {
	if rv == 0 {
		return otherwise
	}
	return rv
}

// Attributes implements [cryptoki.Session].
func (s *session) Attributes(handle cryptoki.Object, types ...cryptoki.AttributeType) (values [][]byte, err error) {
	err = s.call(GetAttributes, func() error {
		o, err := s.object(handle)
		if err != nil {
			return err
		}
		for _, t := range types {
			values = append(values, slices.Clone(o.attributes[t]))
		}
		return nil
	})
	return values, err
}

// Generate implements [cryptoki.Session].
func (s *session) Generate(m cryptoki.Mechanism, templates ...cryptoki.Template) (handles []cryptoki.Object, err error) {
	f := GenerateKey
	if len(templates) == 2 {
		f = GenerateKeyPair
	}
	err = s.call(f, func() error {
		d := s.slot.device
		if err := s.usable(m.Type); err != nil {
			return err
		}
		made, err := d.generate(m, templates)
		if err != nil {
			return err
		}
		for _, o := range made {
			if !o.is(cryptoki.AttrToken) {
				s.own = append(s.own, o)
			}
		}
		d.change(func() { d.objects = append(d.objects, made...) })
		s.library.mu.Lock()
		defer s.library.mu.Unlock()
		if d.config.ReuseHandles {
			s.slot.handles = nil // a new object renumbers the others
		}
		for _, o := range made {
			handles = append(handles, s.slot.handle(o))
		}
		return nil
	})
	return handles, err
}

// usable tells whether keys can be made and used at all.
func (s *session) usable(m cryptoki.MechanismType) error {
	s.library.mu.Lock()
	defer s.library.mu.Unlock()
	c := s.slot.device.config
	switch {
	case !slices.Contains(mechanisms, m) || slices.Contains(c.Missing, m) || slices.Contains(c.Hidden, m):
		return cryptoki.ErrMechanismInvalid
	case s.slot.stale():
		return cryptoki.ErrGeneralError
	case !s.slot.visible():
		return cryptoki.ErrUserNotLoggedIn
	}
	return nil
}

// Random implements [cryptoki.Session].
func (s *session) Random(n int) (random []byte, err error) {
	err = s.call(GenerateRandom, func() error {
		random = s.slot.device.random(n)
		return nil
	})
	return random, err
}

// Destroy implements [cryptoki.Session].
func (s *session) Destroy(handle cryptoki.Object) error {
	return s.call(DestroyObject, func() error {
		o, err := s.object(handle)
		if err != nil {
			return err
		}
		s.slot.device.remove(o)
		return nil
	})
}

func (d *Device) remove(gone ...*object) {
	d.change(func() {
		d.objects = slices.DeleteFunc(d.objects, func(o *object) bool { return slices.Contains(gone, o) })
	})
}

// Close implements [cryptoki.Session].
func (s *session) Close() error {
	return s.call(CloseSession, func() error {
		if s.closed.Swap(true) {
			return cryptoki.ErrSessionHandleInvalid
		}
		s.library.mu.Lock()
		defer s.library.mu.Unlock()
		d := s.slot.device
		d.remove(s.own...)
		others := 0
		d.change(func() {
			delete(d.sessions, s)
			for one := range d.sessions {
				if one.slot == s.slot {
					others++
				}
			}
		})
		if others == 0 { // section 5.6.1: the login ends with the last session
			s.slot.logout()
		}
		return nil
	})
}
