//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/miekg/pkcs11"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// module is a library in this process. Calls enter and leave it; who initialises or finalizes it holds the gate, and waits
// until the calls that are under way have ended.
type module struct {
	functions *C.CK_FUNCTION_LIST // for the shim
	control   *pkcs11.Ctx         // for all else; the same library

	mu      sync.Mutex
	gate    chan struct{} // closed when the one that holds the gate is done; nil: nobody does
	drained chan struct{} // closed with the last call that ends; nil: nobody waits for it
	calls   int           // under way
	stuck   int           // of these, what did not end while somebody waited for it
	waits   uint64        // how often somebody waited in vain

	// Changed by the holder of the gate only.
	up       bool           // initialised
	epoch    uint64         // initialisations so far
	holders  int            // libraries that are open
	reserved string         // what it is initialised with
	argument unsafe.Pointer // reserved for C; never freed, as the library may keep it
}

func load(path string) (*module, error) {
	name := append([]byte(path), 0)
	var handle unsafe.Pointer
	var why *C.char
	functions := C.keylife_load((*C.char)(unsafe.Pointer(&name[0])), &handle, &why) //nolint:gocritic // what cgo makes of it
	if functions == nil {
		return nil, fmt.Errorf("load PKCS#11 library: %s", C.GoString(why))
	}
	control := pkcs11.New(path) // the library is loaded already: this counts one more holder of it
	if control == nil {
		return nil, errors.New("load PKCS#11 library: it cannot be loaded twice")
	}
	return &module{functions: functions, control: control}, nil
}

func (m *module) open(options Options) (*library, error) {
	m.closeGate()
	defer m.openGate()
	if m.up && m.reserved != options.Reserved {
		return nil, errors.New("the PKCS#11 library is in use with another argument of its initialisation")
	}
	if !m.up {
		if err := m.initialize(options.Reserved); err != nil {
			return nil, err
		}
	}
	m.holders++
	return &library{module: m, epoch: m.epoch, drain: options.Drain}, nil
}

// initialize is C_Initialize, with locking by the operating system: calls come from many threads.
func (m *module) initialize(reserved string) error {
	if reserved != m.reserved || m.argument == nil {
		m.reserved, m.argument = reserved, nil
		if reserved != "" {
			m.argument = unsafe.Pointer(C.CString(reserved))
		}
	}
	err := m.control.Initialize(pkcs11.InitializeWithFlags(pkcs11.CKF_OS_LOCKING_OK), pkcs11.InitializeWithReserved(m.argument))
	if err != nil {
		return failed("C_Initialize", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.up = true
	m.epoch++
	return nil
}

// finalize is C_Finalize. Whatever it returns, nothing of before is used any more.
func (m *module) finalize() error {
	m.mu.Lock()
	m.up = false
	m.mu.Unlock()
	err := failed("C_Finalize", m.control.Finalize())
	if errors.Is(err, cryptoki.ErrNotInitialized) {
		return nil
	}
	return err
}

// call is a call that is under way.
type call struct {
	module       *module
	epoch, waits uint64 // when it began
}

// begin begins a call of an epoch. The caller holds the mutex.
func (m *module) begin(epoch uint64) (call, error) {
	if !m.up || m.epoch != epoch {
		return call{}, cryptoki.ErrNotInitialized
	}
	m.calls++
	return call{m, epoch, m.waits}, nil
}

func (c call) leave() {
	m := c.module
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls--
	if c.waits < m.waits {
		m.stuck--
	}
	if m.calls == 0 && m.drained != nil {
		close(m.drained)
		m.drained = nil
	}
}

func (m *module) awaitGate() {
	for m.gate != nil {
		gate := m.gate
		m.mu.Unlock()
		<-gate
		m.mu.Lock()
	}
}

// closeGate makes calls that begin wait until openGate.
func (m *module) closeGate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.awaitGate()
	m.gate = make(chan struct{})
}

func (m *module) openGate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.gate)
	m.gate = nil
}

// drainFor waits, with the gate closed, until no call is under way. It waits in vain for a call once: while that does not end,
// the calls of others are not held up again.
func (m *module) drainFor(patience time.Duration) error {
	drained, err := m.awaited()
	if drained == nil || err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-drained:
		return nil
	case <-timer.C:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == 0 {
		return nil
	}
	m.drained = nil
	m.waits++
	m.stuck = m.calls
	return ErrBusy
}

// awaited returns what is closed with the last call that ends, or nil where none is under way.
func (m *module) awaited() (chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.stuck > 0 {
		return nil, ErrBusy
	}
	if m.calls == 0 {
		return nil, nil //nolint:nilnil // nothing to wait for is no error
	}
	m.drained = make(chan struct{})
	return m.drained, nil
}
