// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package faketoken

import "github.com/keylife/vault-plugin-keylife/hsm/cryptoki"

// Func names a function of PKCS#11 that can be made to fail, and is counted.
type Func string

// The functions.
const (
	Initialize      Func = "C_Initialize"   // with C_Finalize: Reinitialize
	Finalize        Func = "C_Finalize"     // Close
	GetTokenInfo    Func = "C_GetTokenInfo" //nolint:gosec // no credentials: the token is a device
	GetMechanisms   Func = "C_GetMechanismList"
	GetMechanism    Func = "C_GetMechanismInfo"
	OpenSession     Func = "C_OpenSession"
	CloseSession    Func = "C_CloseSession"
	GetSessionInfo  Func = "C_GetSessionInfo"
	Login           Func = "C_Login"
	FindObjects     Func = "C_FindObjects"
	GetAttributes   Func = "C_GetAttributeValue"
	GenerateKey     Func = "C_GenerateKey"
	GenerateKeyPair Func = "C_GenerateKeyPair"
	Encrypt         Func = "C_Encrypt"
	Decrypt         Func = "C_Decrypt"
	Sign            Func = "C_Sign"
	GenerateRandom  Func = "C_GenerateRandom"
	DestroyObject   Func = "C_DestroyObject"
)

// fault is what befalls the next left calls of a function.
type fault struct {
	f      Func
	left   int
	rv     cryptoki.Error
	before func() // runs without any lock held
	late   bool   // rv is answered although the call had its effect
}

// Fail makes the next n calls of f answer rv, and do nothing.
func (l *Library) Fail(f Func, rv cryptoki.Error, n int) { l.add(&fault{f: f, left: n, rv: rv}) }

// FailLate makes the next n calls of f that succeed answer rv: what was to be done is done.
func (l *Library) FailLate(f Func, rv cryptoki.Error, n int) {
	l.add(&fault{f: f, left: n, rv: rv, late: true})
}

// Before runs do at the start of each of the next n calls of f, in the goroutine of the call. A do that waits makes the
// function slow.
func (l *Library) Before(f Func, n int, do func()) { l.add(&fault{f: f, left: n, before: do}) }

// Hang makes the next n calls of f hang until they are released, all at once. They then go on.
func (l *Library) Hang(f Func, n int) *Hold {
	h := &Hold{Entered: make(chan struct{}, n), released: make(chan struct{})}
	l.Before(f, n, func() {
		h.Entered <- struct{}{}
		<-h.released
	})
	return h
}

// Hold holds calls that hang.
type Hold struct {
	Entered  chan struct{} // receives once for each call that hangs
	released chan struct{}
}

// Release lets the calls go on. It may be called once.
func (h *Hold) Release() { close(h.released) }

// Heal forgets all faults; calls that hang already go on hanging.
func (l *Library) Heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = nil
}

func (l *Library) add(f *fault) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, f)
}

// Calls returns how often f was called.
func (l *Library) Calls(f Func) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls[f]
}

// BadLogins returns how often C_Login came with a wrong PIN, or to a locked one.
func (l *Library) BadLogins() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.badLogins
}

// Misuse returns what the caller did that no caller may do.
func (l *Library) Misuse() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.misuse...)
}

func (l *Library) misused(how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.misuse = append(l.misuse, how)
}

// call does what every call goes through: it is counted, and it may be faulty.
func (l *Library) call(f Func, effect func() error) error {
	hit := l.enter(f)
	defer l.leave()
	if hit.before != nil {
		hit.before()
	}
	if hit.rv != 0 && !hit.late {
		return hit.rv
	}
	err := effect()
	if err == nil && hit.rv != 0 {
		return hit.rv
	}
	return err
}

func (l *Library) enter(f Func) fault {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls[f]++
	if l.exclusive {
		l.misuse = append(l.misuse, string(f)+" during C_Finalize or C_Initialize")
	}
	if f == Initialize || f == Finalize {
		if l.underWay > 0 {
			l.misuse = append(l.misuse, string(f)+" with calls under way")
		}
		l.exclusive = true
	}
	l.underWay++
	for _, rule := range l.faults {
		if rule.f == f && rule.left > 0 {
			rule.left--
			return *rule
		}
	}
	return fault{}
}

func (l *Library) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.underWay--
	l.exclusive = l.exclusive && l.underWay > 0
}
