//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11

import (
	"errors"
	"fmt"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// library is a hold of a module: a [cryptoki.Library].
type library struct {
	module *module
	drain  time.Duration

	// Changed under the module's gate.
	epoch  uint64 // the initialisation that the holder knows of
	closed bool
}

// Tokens lists what C_GetSlotList tells of slots with a token. A slot whose token does not answer is left out: it is as good as
// empty, and must not hide the others.
func (l *library) Tokens() ([]cryptoki.Token, error) {
	call, err := l.enter()
	if err != nil {
		return nil, err
	}
	defer call.leave()
	slots, err := l.module.control.GetSlotList(true)
	if err != nil {
		return nil, failed("C_GetSlotList", err)
	}
	var tokens []cryptoki.Token
	var unanswered error
	for _, slot := range slots {
		info, err := l.module.control.GetTokenInfo(slot)
		if err != nil {
			unanswered = errors.Join(unanswered, failed("C_GetTokenInfo", err))
			continue
		}
		tokens = append(tokens, token(slot, info))
	}
	if len(tokens) == 0 {
		return nil, unanswered
	}
	return tokens, nil
}

func token(slot uint, info pkcs11.TokenInfo) cryptoki.Token {
	has := func(flag uint) bool { return info.Flags&flag != 0 }
	return cryptoki.Token{
		Slot: slot, Label: info.Label, Serial: info.SerialNumber, Manufacturer: info.ManufacturerID, Model: info.Model,
		LoginRequired: has(pkcs11.CKF_LOGIN_REQUIRED), Initialized: has(pkcs11.CKF_TOKEN_INITIALIZED),
		PINInitialized: has(pkcs11.CKF_USER_PIN_INITIALIZED), PINLow: has(pkcs11.CKF_USER_PIN_COUNT_LOW),
		PINFinalTry: has(pkcs11.CKF_USER_PIN_FINAL_TRY), PINLocked: has(pkcs11.CKF_USER_PIN_LOCKED),
		MaxSessions: limit(info.MaxSessionCount), MaxRWSessions: limit(info.MaxRwSessionCount),
	}
}

// limit returns a limit of sessions, and 0 for what means that there is none or that none is known: ^0 is
// CK_UNAVAILABLE_INFORMATION, and openCryptoki says ^1.
func limit(sessions uint) uint {
	if sessions >= ^uint(1) {
		return 0
	}
	return sessions
}

// Mechanisms is C_GetMechanismList.
func (l *library) Mechanisms(slot uint) ([]cryptoki.MechanismType, error) {
	call, err := l.enter()
	if err != nil {
		return nil, err
	}
	defer call.leave()
	list, err := l.module.control.GetMechanismList(slot)
	if err != nil {
		return nil, failed("C_GetMechanismList", err)
	}
	types := make([]cryptoki.MechanismType, 0, len(list))
	for _, mechanism := range list {
		types = append(types, cryptoki.MechanismType(mechanism.Mechanism))
	}
	return types, nil
}

// MechanismInfo is C_GetMechanismInfo.
func (l *library) MechanismInfo(slot uint, m cryptoki.MechanismType) (cryptoki.MechanismInfo, error) {
	call, err := l.enter()
	if err != nil {
		return cryptoki.MechanismInfo{}, err
	}
	defer call.leave()
	info, err := l.module.control.GetMechanismInfo(slot, []*pkcs11.Mechanism{pkcs11.NewMechanism(uint(m), nil)})
	return cryptoki.MechanismInfo{MinKeySize: info.MinKeySize, MaxKeySize: info.MaxKeySize}, failed("C_GetMechanismInfo", err)
}

// Open is C_OpenSession. The session reads and writes: some libraries know no other (AWS CloudHSM).
func (l *library) Open(slot uint) (cryptoki.Session, error) {
	call, err := l.enter()
	if err != nil {
		return nil, err
	}
	defer call.leave()
	handle, err := l.module.control.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return nil, failed("C_OpenSession", err)
	}
	return &session{module: l.module, epoch: call.epoch, handle: handle}, nil
}

// Reinitialize finalizes and initialises the library, unless another holder did since this one last knew of it: then it takes
// over what the other one made.
func (l *library) Reinitialize() error {
	m := l.module
	m.closeGate()
	defer m.openGate()
	if l.closed {
		return cryptoki.ErrNotInitialized
	}
	if m.up && m.epoch != l.epoch {
		l.epoch = m.epoch
		return nil
	}
	if err := m.drainFor(l.drain); err != nil {
		return err
	}
	unfinished := m.finalize()
	if err := m.initialize(m.reserved); err != nil {
		return errors.Join(unfinished, err)
	}
	l.epoch = m.epoch
	return nil
}

// Close gives the library up. A second Close does nothing.
func (l *library) Close() error {
	m := l.module
	m.closeGate()
	defer m.openGate()
	if l.closed {
		return nil
	}
	l.closed = true
	m.holders--
	if m.holders > 0 || !m.up {
		return nil
	}
	if err := m.drainFor(l.drain); err != nil {
		return err // it stays initialised, for who opens it next
	}
	return m.finalize()
}

// enter begins a call in the initialisation that the holder knows of.
func (l *library) enter() (call, error) {
	m := l.module
	m.mu.Lock()
	defer m.mu.Unlock()
	m.awaitGate()
	if l.closed {
		return call{}, cryptoki.ErrNotInitialized
	}
	return m.begin(l.epoch)
}

// failed says which function returned what: an error that matches the [cryptoki.Error], or nil for nil.
func failed(function string, err error) error {
	if err == nil {
		return nil
	}
	var rv pkcs11.Error
	if errors.As(err, &rv) {
		return fmt.Errorf("%s: %w", function, cryptoki.Error(rv))
	}
	return fmt.Errorf("%s: %w", function, err)
}
