// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// current returns the use of the token that is configured; nil: none is. It goes on as long as the connection is the same.
func (k *Keyring) current(stored HSM) (*tokens.Use, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, errClosed
	}
	if !stored.Configured {
		return nil, k.endUse()
	}
	if k.use != nil && k.use.Settings() == stored.Settings.Connection() {
		k.use.SetHealthInterval(stored.Settings.HealthInterval)
		return k.use, k.setProbe(k.use, stored)
	}
	if err := k.endUse(); err != nil {
		return nil, err
	}
	use := k.Tokens.Use(stored.Settings, false)
	if k.attempts > 0 {
		return use, use.Close() // who comes now is told to come again
	}
	k.use, k.probed = use, [16]byte{}
	return use, k.setProbe(use, stored)
}

// setProbe makes the active key show whether the token works. The caller holds the lock.
func (k *Keyring) setProbe(use *tokens.Use, stored HSM) error {
	active, ok := stored.ActiveOf(envelope.PurposeOnline)
	if !ok || active.ID == k.probed {
		return nil
	}
	w, err := hsm.NewWrapper(use, active.KEK, k.Rand)
	if err == nil {
		use.SetProbe(w.Probe)
		k.probed = active.ID
	}
	return err
}

// endUse ends the use of the token. The caller holds the lock.
func (k *Keyring) endUse() error {
	use := k.use
	k.use = nil
	if use == nil {
		return nil
	}
	return use.Close()
}

// Token returns the use of the token that is configured; nil: none is.
func (k *Keyring) Token(stored HSM) (*tokens.Use, error) { return k.current(stored) }

// Try returns a use of the token by settings that somebody has just written, until the attempt is ended. A process uses one PIN
// for a token: where the settings are others than those in force, the token's use ends first, and what needs it has to come
// again until the attempt is over.
func (k *Keyring) Try(s tokens.Settings) (attempt *tokens.Use, end func() error, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, nil, errClosed
	}
	if k.use != nil && k.use.Settings() == s.Connection() && k.use.Health().State != token.PINRejected {
		return k.use, func() error { return nil }, nil
	}
	if err := k.endUse(); err != nil {
		return nil, nil, err
	}
	k.attempts++
	attempt = k.Tokens.Use(s, true)
	return attempt, func() error {
		err := attempt.Close()
		k.mu.Lock()
		k.attempts--
		k.mu.Unlock()
		k.Forget()
		return err
	}, nil
}
