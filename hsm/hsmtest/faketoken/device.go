// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package faketoken

import (
	"bytes"
	"sync"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// GCMMode tells what a device does with the IV of CKM_AES_GCM.
type GCMMode int

// The modes of devices that were met.
const (
	CallerIV   GCMMode = iota // takes the caller's
	WritesIV                  // writes 12 bytes of its own over the caller's, as AWS CloudHSM does
	AppendsIV                 // appends 16 bytes of its own to the ciphertext, as Thales Luna does; Decrypt takes them as IV
	ConstantIV                // writes the same bytes each time: a device that no one should trust
)

// Config is what a device is like. The zero Config is a token without limits that has every mechanism and no PIN.
type Config struct {
	Label, Serial string
	PIN           string                                            // empty: no login is required
	LockAfter     int                                               // wrong PINs until the PIN is locked; 0: never
	MaxSessions   uint                                              // 0: no limit
	GCM           GCMMode                                           //
	Missing       []cryptoki.MechanismType                          // mechanisms that it neither lists nor performs
	Hidden        []cryptoki.MechanismType                          // mechanisms that it lists and does not perform
	Sizes         map[cryptoki.MechanismType]cryptoki.MechanismInfo // of keys; it says nothing of other mechanisms
	NoSHA2OAEP    bool                                              // OAEP is known with SHA-1 only, as to SoftHSM
	RefusedInKeys []cryptoki.AttributeType                          // attributes that it refuses in the template of a new key
	Forced        cryptoki.Template                                 // attributes that new keys have whatever their template says
	Tampered      cryptoki.Error                                    // what Decrypt answers to a wrong tag or padding; 0: CKR_ENCRYPTED_DATA_INVALID
	NoLogin       cryptoki.Error                                    // what is answered to use of a handle without login; 0: CKR_OBJECT_HANDLE_INVALID
	ReuseHandles  bool                                              // handles are small numbers, and name another object after a login or C_Initialize
	Random        func(p []byte)                                    // nil: the operating system's
}

// Device is an HSM: it keeps its objects while libraries come and go. It is safe for concurrent use.
type Device struct {
	config Config

	mu       sync.Mutex
	pin      []byte
	serial   string
	limit    uint // of sessions
	wrong    int  // wrong PINs since the last right one
	locked   bool
	boot     int // counts restarts: sessions and logins of an earlier one are lost
	lost     int // counts what only C_Initialize heals
	away     away
	objects  []*object
	sessions map[*session]bool // of all libraries
}

type away int

const (
	present  away = iota
	vanished      // its files are gone: the library does not notice by itself that they come back
	unplugged
)

// NewDevice returns a device that is present.
func NewDevice(c Config) *Device {
	return &Device{config: c, pin: []byte(c.PIN), serial: c.Serial, limit: c.MaxSessions, sessions: map[*session]bool{}}
}

func (d *Device) change(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// Restart loses sessions and logins, as an HSM does that was switched off and on.
func (d *Device) Restart() { d.change(d.restart) }

func (d *Device) restart() {
	d.boot++
	clear(d.sessions)
}

// Vanish takes the device away as SoftHSM loses the folder of its tokens: sessions open and random bytes come, but objects
// are not found and handles are invalid. Once it is back, only C_Finalize and C_Initialize make a library see it.
func (d *Device) Vanish() { d.change(func() { d.away = vanished; d.lost++ }) }

// Unplug takes the device away as a smart card is taken from its reader: it is seen again as soon as it is back.
func (d *Device) Unplug() { d.change(func() { d.away = unplugged; d.restart() }) }

// Return brings the device back.
func (d *Device) Return() { d.change(func() { d.away = present }) }

// SetPIN changes the PIN, and unlocks it. Logins go on until the next.
func (d *Device) SetPIN(pin string) {
	d.change(func() { d.pin, d.wrong, d.locked = []byte(pin), 0, false })
}

// LockPIN locks the PIN, as other programs do with wrong ones. Logins go on until the next.
func (d *Device) LockPIN() { d.change(func() { d.locked = true }) }

// LimitSessions changes how many sessions there may be; the device does not tell of it.
func (d *Device) LimitSessions(n uint) { d.change(func() { d.limit = n }) }

// Wipe deletes all objects.
func (d *Device) Wipe() { d.change(func() { d.objects = nil }) }

// InitToken makes a new token of the device, with a new serial number, as C_InitToken of SoftHSM does.
func (d *Device) InitToken(serial string) {
	d.change(func() {
		d.objects, d.serial = nil, serial
		d.restart()
	})
}

// Objects returns how many objects the device keeps.
func (d *Device) Objects() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.objects)
}

// Sessions returns how many sessions are open.
func (d *Device) Sessions() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sessions)
}

// info is what C_GetTokenInfo tells, unless the device is away.
func (d *Device) info(slot uint) (cryptoki.Token, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return cryptoki.Token{
		Slot: slot, Label: d.config.Label, Serial: d.serial, Manufacturer: "keylife", Model: "fake",
		LoginRequired: d.config.PIN != "", Initialized: true, PINInitialized: d.config.PIN != "",
		PINLow:      d.wrong > 0,
		PINFinalTry: !d.locked && d.config.LockAfter > 0 && d.wrong == d.config.LockAfter-1,
		PINLocked:   d.locked,
		MaxSessions: d.config.MaxSessions, MaxRWSessions: d.config.MaxSessions,
	}, d.away == present
}

// checkPIN is C_Login of a process that is not logged in yet.
func (d *Device) checkPIN(pin []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.away != present:
		return cryptoki.ErrGeneralError
	case d.locked:
		return cryptoki.ErrPINLocked
	case bytes.Equal(pin, d.pin):
		d.wrong = 0
		return nil
	}
	d.wrong++
	d.locked = d.config.LockAfter > 0 && d.wrong >= d.config.LockAfter
	return cryptoki.ErrPINIncorrect
}

// admit counts a new session in.
func (d *Device) admit(s *session) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.away == unplugged:
		return cryptoki.ErrTokenNotPresent
	case d.limit > 0 && uint(len(d.sessions)) >= d.limit:
		return cryptoki.ErrSessionCount
	}
	s.boot = d.boot
	d.sessions[s] = true
	return nil
}
