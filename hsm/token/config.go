// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Config says which token is meant, and how it is spoken to.
type Config struct {
	// Library names the library in the process: two configurations that name the same one share it.
	Library string
	// Load loads and initialises the library. It is called again after the last user has closed it.
	Load func() (cryptoki.Library, error)

	// Label and Serial select the token. What is empty does not matter, but one of them must be given. Exactly one token must
	// match.
	Label, Serial string

	// PIN is the user's. It may be empty for a token that requires no login.
	PIN []byte
	// Rewritten says that somebody has just written this configuration: a rejection of the same PIN before is forgotten, and
	// the last try before the token locks may be used up, once.
	Rewritten bool
	// Rejected says that the PIN was rejected in an earlier process: no login is tried.
	Rejected bool

	MaxSessions     int           // that are lent at a time; 0: 8. The token's own limit, less one, stands above it.
	CallTimeout     time.Duration // of each call of the library; 0: 5 s
	GenerateTimeout time.Duration // of making keys: RSA keys take some tokens long; 0: 60 s
	AcquireTimeout  time.Duration // of waiting for a session, or for a recovery; 0: as CallTimeout
	MaxBackoff      time.Duration // between recoveries that fail; 0: 2 s
	HealthInterval  time.Duration // of the checks that nobody asks for, from the first use on; 0: there are none

	// Exit ends the process, which has calls that do not return and can do nothing with the token any more; nil: it goes on. It
	// is that of the token's first user.
	Exit func(why error)
}

const (
	defaultSessions = 8
	defaultTimeout  = 5 * time.Second
	generateTimeout = 60 * time.Second
	minBackoff      = 50 * time.Millisecond
	maxBackoff      = 2 * time.Second
	maxMissing      = 30 * time.Second // between recoveries for a key that is missing: they disturb those whose key is there
)

func (c Config) checked() (Config, error) {
	switch {
	case c.Library == "" || c.Load == nil:
		return c, fmt.Errorf("%w: no library is given", hsm.ErrMisconfigured)
	case c.Label == "" && c.Serial == "":
		return c, fmt.Errorf("%w: neither the label nor the serial number of the token is given", hsm.ErrMisconfigured)
	case c.MaxSessions < 0 || min(c.CallTimeout, c.GenerateTimeout, c.AcquireTimeout, c.MaxBackoff, c.HealthInterval) < 0:
		return c, fmt.Errorf("%w: a limit of the token is negative", hsm.ErrMisconfigured)
	}
	c.PIN = append([]byte(nil), c.PIN...)
	c.MaxSessions = orElse(c.MaxSessions, defaultSessions)
	c.CallTimeout = orElse(c.CallTimeout, defaultTimeout)
	c.GenerateTimeout = orElse(c.GenerateTimeout, max(generateTimeout, c.CallTimeout))
	c.AcquireTimeout = orElse(c.AcquireTimeout, c.CallTimeout)
	c.MaxBackoff = orElse(c.MaxBackoff, maxBackoff)
	return c, nil
}

func orElse[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// pick returns the one token that the configuration selects.
func (c Config) pick(tokens []cryptoki.Token) (cryptoki.Token, error) {
	var found []cryptoki.Token
	for _, t := range tokens {
		if t.Initialized && (c.Label == "" || c.Label == t.Label) && (c.Serial == "" || c.Serial == t.Serial) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return cryptoki.Token{}, fmt.Errorf("%w %s", errAbsent, c.selection())
	}
	return cryptoki.Token{}, fmt.Errorf("%w: %d tokens match %s, one must", hsm.ErrMisconfigured, len(found), c.selection())
}

func (c Config) selection() string {
	switch {
	case c.Serial == "":
		return fmt.Sprintf("label %q", c.Label)
	case c.Label == "":
		return fmt.Sprintf("serial number %q", c.Serial)
	}
	return fmt.Sprintf("label %q and serial number %q", c.Label, c.Serial)
}
