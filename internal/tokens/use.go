// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package tokens

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

var _ hsm.Token = (*Use)(nil)

// Use is a mount's use of a token, which begins with its first call. It is safe for concurrent use.
type Use struct {
	host      *Host
	settings  Settings
	rewritten bool

	mu       sync.Mutex
	interval time.Duration // of health checks
	token    *token.Token
	probe    token.Func
	closed   bool
}

// Use returns a use of the token that the settings select. With rewritten somebody has just written them: a PIN that was
// rejected is tried again.
func (h *Host) Use(s Settings, rewritten bool) *Use {
	return &Use{host: h, settings: s.Connection(), interval: s.HealthInterval, rewritten: rewritten}
}

// Settings are those of the connection.
func (u *Use) Settings() Settings { return u.settings }

// errOver reports a use that was closed, because the mount was or the token is configured anew.
var errOver = fmt.Errorf("%w: its configuration is being changed", hsm.ErrUnavailable)

func (u *Use) opened() (*token.Token, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil, errOver
	}
	if u.token == nil {
		s := u.settings
		s.HealthInterval = u.interval
		t, err := u.host.open(s, u.rewritten)
		if err != nil {
			return nil, err
		}
		t.SetProbe(u.probe)
		u.token = t
	}
	return u.token, nil
}

// Run is [hsm.Token]'s.
func (u *Use) Run(ctx context.Context, f func(s cryptoki.Session, epoch uint64) error) error {
	t, err := u.opened()
	if err != nil {
		return err
	}
	return t.Run(ctx, f)
}

// RunOnce is [hsm.Token]'s.
func (u *Use) RunOnce(ctx context.Context, f func(s cryptoki.Session, epoch uint64) error) error {
	t, err := u.opened()
	if err != nil {
		return err
	}
	return t.RunOnce(ctx, f)
}

// Mechanisms is [hsm.Token]'s.
func (u *Use) Mechanisms(ctx context.Context) ([]cryptoki.MechanismType, error) {
	t, err := u.opened()
	if err != nil {
		return nil, err
	}
	return t.Mechanisms(ctx)
}

// MechanismInfo is [hsm.Token]'s.
func (u *Use) MechanismInfo(ctx context.Context, m cryptoki.MechanismType) (cryptoki.MechanismInfo, error) {
	t, err := u.opened()
	if err != nil {
		return cryptoki.MechanismInfo{}, err
	}
	return t.MechanismInfo(ctx, m)
}

// Info returns what the token says of itself.
func (u *Use) Info(ctx context.Context) (cryptoki.Token, error) {
	t, err := u.opened()
	if err != nil {
		return cryptoki.Token{}, err
	}
	return t.Info(ctx)
}

// Check finds out whether the token works, by the probe.
func (u *Use) Check(ctx context.Context) error {
	t, err := u.opened()
	if err != nil {
		return err
	}
	return t.Check(ctx)
}

// SetProbe sets what shows that the token works with the keys that it should have.
func (u *Use) SetProbe(probe token.Func) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.probe = probe
	if u.token != nil {
		u.token.SetProbe(probe)
	}
}

// SetHealthInterval sets how often the token is seen to work.
func (u *Use) SetHealthInterval(d time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.interval = d
	if u.token != nil {
		u.token.SetHealthInterval(d)
	}
}

// Away says why the token is known to work for nobody at the moment, or returns nil. It does not ask the token.
func (u *Use) Away() error {
	t, err := u.opened()
	if err != nil {
		return err
	}
	return t.Away()
}

// Health tells how the token is, without asking it.
func (u *Use) Health() token.Health {
	t, err := u.opened()
	if err != nil {
		return token.Health{State: token.Unavailable, LastError: err.Error()}
	}
	return t.Health()
}

// Close ends the use.
func (u *Use) Close() error {
	u.mu.Lock()
	t := u.token
	u.closed, u.token = true, nil
	u.mu.Unlock()
	if t != nil {
		t.Close()
	}
	return nil
}
