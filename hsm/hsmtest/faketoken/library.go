// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package faketoken

import (
	"maps"
	"slices"
	"sync"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

var _ cryptoki.Library = (*Library)(nil)

// Library is a library that is initialised, with a device in each slot. Faults, counters and Misuse may be used at any time.
type Library struct {
	mu        sync.Mutex
	slots     []*slot
	round     int // counts C_Initialize: sessions of an earlier round are lost
	closed    bool
	faults    []*fault
	calls     map[Func]int
	badLogins int
	misuse    []string
	underWay  int
	exclusive bool // C_Finalize or C_Initialize is under way
}

// slot is what the library knows of the device in a slot.
type slot struct {
	device  *Device
	absent  bool // at C_Initialize
	login   bool
	boot    int                         // of the device at the login
	lost    int                         // of the device at C_Initialize
	handles map[cryptoki.Object]*object // of this login
	next    cryptoki.Object
	turn    int // counts what makes handles invalid
}

// NewLibrary returns a library of devices, in slots that count from 0.
func NewLibrary(devices ...*Device) *Library {
	l := &Library{calls: map[Func]int{}}
	for _, d := range devices {
		l.slots = append(l.slots, &slot{device: d})
	}
	l.initialize()
	return l
}

func (l *Library) initialize() {
	l.round++
	for _, s := range l.slots {
		s.device.change(func() {
			maps.DeleteFunc(s.device.sessions, func(one *session, _ bool) bool { return one.slot == s })
			s.lost, s.absent = s.device.lost, s.device.away == vanished
		})
		s.logout()
	}
}

// logout forgets the login and the handles.
func (s *slot) logout() {
	if s.handles != nil {
		s.turn++
	}
	s.login, s.handles = false, nil
}

// Tokens implements [cryptoki.Library].
func (l *Library) Tokens() (tokens []cryptoki.Token, err error) {
	err = l.call(GetTokenInfo, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed {
			return cryptoki.ErrNotInitialized
		}
		for i, s := range l.slots {
			info, ok := s.device.info(uint(i))
			if ok && !s.stale() {
				tokens = append(tokens, info)
			}
		}
		return nil
	})
	return tokens, err
}

// Mechanisms implements [cryptoki.Library].
func (l *Library) Mechanisms(number uint) (list []cryptoki.MechanismType, err error) {
	err = l.call(GetMechanisms, func() error {
		s, err := l.slot(number)
		if err != nil {
			return err
		}
		for _, m := range mechanisms {
			if !slices.Contains(s.device.config.Missing, m) {
				list = append(list, m)
			}
		}
		return nil
	})
	return list, err
}

// MechanismInfo implements [cryptoki.Library].
func (l *Library) MechanismInfo(number uint, m cryptoki.MechanismType) (info cryptoki.MechanismInfo, err error) {
	err = l.call(GetMechanism, func() error {
		s, err := l.slot(number)
		if err != nil {
			return err
		}
		config := s.device.config
		if !slices.Contains(mechanisms, m) || slices.Contains(config.Missing, m) {
			return cryptoki.ErrMechanismInvalid
		}
		info = config.Sizes[m]
		return nil
	})
	return info, err
}

// Open implements [cryptoki.Library].
func (l *Library) Open(number uint) (cryptoki.Session, error) {
	var opened *session
	err := l.call(OpenSession, func() error {
		s, err := l.slot(number)
		if err != nil {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		opened = &session{library: l, slot: s, round: l.round}
		return s.device.admit(opened)
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// Reinitialize implements [cryptoki.Library].
func (l *Library) Reinitialize() error {
	return l.call(Initialize, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.closed {
			return cryptoki.ErrNotInitialized
		}
		l.initialize()
		return nil
	})
}

// Close implements [cryptoki.Library].
func (l *Library) Close() error {
	return l.call(Finalize, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.initialize() // sessions are gone
		l.closed = true
		return nil
	})
}

// Logout logs the process out of the device in a slot, as C_Logout of other code in it does.
func (l *Library) Logout(number uint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots[number].logout()
}

func (l *Library) slot(number uint) (*slot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, cryptoki.ErrNotInitialized
	case number >= uint(len(l.slots)) || l.slots[number].absent:
		return nil, cryptoki.ErrSlotIDInvalid
	}
	return l.slots[number], nil
}

// stale reports a device that was away since C_Initialize in a way that the library does not see.
func (s *slot) stale() bool {
	s.device.mu.Lock()
	defer s.device.mu.Unlock()
	return s.absent || s.lost != s.device.lost || s.device.away == vanished
}
