// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/sealed"
)

// Config is what a client works with. Vault alone is required.
type Config struct {
	Vault    *api.Client    // address, TLS and namespace; its token too, where Auth is nil
	Auth     api.AuthMethod // logs in, and again when a token ends; its credentials are read anew each time if it does so
	Mount    string         // of the engine; default "keylife"
	Consumer string         // names the application in the User-Agent of its requests
	Bounds   Bounds
	Offline  Offline
	Timeout  time.Duration // of a call whose context has no deadline; default 10s
	Wait     time.Duration // how long New waits for Vault to answer; 0: not at all, the first use asks
	Metrics  Metrics       // nil: none
}

// Bounds hold how long a client trusts what the engine said, and how much it does with one data key. A zero field is the
// default.
type Bounds struct {
	TTL          time.Duration // of a proof, while Vault answers; default 5m
	StaleProtect time.Duration // of a proof, to encrypt while Vault does not answer; default 15m, not below TTL
	MaxStale     time.Duration // of a proof, to decrypt while Vault does not answer; default 1h, not below StaleProtect
	DataKeyAge   time.Duration // after which a data key does not encrypt any more, while Vault answers; default 1h, at most 24h
	MaxMessages  int64         // that one data key encrypts; default and at most 2^20
	MaxBytes     int64         // that one data key encrypts; default and at most 64 GiB
}

// Offline lets a client start while Vault cannot be reached, from data keys in a sealed file. The zero value does not.
type Offline struct {
	Path   string                 // of the file; empty: none
	For    time.Duration          // of a proof, to decrypt after such a start; at most 7 days
	Sealer func() ([]byte, error) // gives the 32 bytes that seal the file; they must not lie beside it
}

const (
	minTTL     = time.Second
	maxAge     = 24 * time.Hour
	maxOffline = 7 * 24 * time.Hour
	maxCount   = 1 << 20
	maxBytes   = 64 << 30
)

// checked returns the configuration with its defaults, or says what is wrong with it. Mount and Consumer are the engine's to check.
func (c Config) checked() (Config, error) {
	if c.Vault == nil {
		return c, fmt.Errorf("config: Vault: no client: %w", ErrInput)
	}
	c.Mount = strings.Trim(cmp.Or(c.Mount, "keylife"), "/")
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	if err := (rules{
		{"Timeout", c.Timeout, c.Timeout > 0, "above 0"},
		{"Wait", c.Wait, c.Wait >= 0, "not below 0"},
	}).check(); err != nil {
		return c, err
	}
	var err error
	if c.Bounds, err = c.Bounds.checked(); err != nil {
		return c, err
	}
	return c, c.Offline.check()
}

func (b Bounds) checked() (Bounds, error) {
	b = Bounds{
		TTL: cmp.Or(b.TTL, 5*time.Minute), StaleProtect: cmp.Or(b.StaleProtect, 15*time.Minute), MaxStale: cmp.Or(b.MaxStale, time.Hour),
		DataKeyAge: cmp.Or(b.DataKeyAge, time.Hour), MaxMessages: cmp.Or(b.MaxMessages, maxCount), MaxBytes: cmp.Or(b.MaxBytes, maxBytes),
	}
	return b, rules{
		{"Bounds.TTL", b.TTL, b.TTL >= minTTL, fmt.Sprintf("at least %v", minTTL)},
		{"Bounds.StaleProtect", b.StaleProtect, b.StaleProtect >= b.TTL, fmt.Sprintf("not below TTL, which is %v", b.TTL)},
		{"Bounds.MaxStale", b.MaxStale, b.MaxStale >= b.StaleProtect, fmt.Sprintf("not below StaleProtect, which is %v", b.StaleProtect)},
		{"Bounds.DataKeyAge", b.DataKeyAge, b.DataKeyAge >= minTTL && b.DataKeyAge <= maxAge, fmt.Sprintf("%v to %v", minTTL, maxAge)},
		{"Bounds.MaxMessages", b.MaxMessages, b.MaxMessages >= 1 && b.MaxMessages <= maxCount, fmt.Sprintf("1 to %d", maxCount)},
		{"Bounds.MaxBytes", b.MaxBytes, b.MaxBytes >= 1 && b.MaxBytes <= maxBytes, fmt.Sprintf("1 to %d", int64(maxBytes))},
	}.check()
}

func (o Offline) check() error {
	if o.Path == "" && o.For == 0 && o.Sealer == nil {
		return nil
	}
	return rules{
		{"Offline.Path", `""`, o.Path != "", "the name of a file"},
		{"Offline.Sealer", "nil", o.Sealer != nil, "set where Path is"},
		{"Offline.For", o.For, o.For > 0 && o.For <= maxOffline, fmt.Sprintf("above 0, at most %v", maxOffline)},
	}.check()
}

// rules are what the fields of a configuration have to be.
type rules []struct {
	field string
	value any
	holds bool
	rule  string
}

func (r rules) check() error {
	for _, one := range r {
		if !one.holds {
			return fmt.Errorf("config: %s: %v, want %s: %w", one.field, one.value, one.rule, ErrInput)
		}
	}
	return nil
}

// file is where data keys are kept; nil: nowhere.
func (c Config) file() *sealed.File {
	if c.Offline.Path == "" {
		return nil
	}
	return &sealed.File{
		Path: c.Offline.Path, Sealer: c.Offline.Sealer, For: c.Offline.For,
		Binding: sealed.Binding{Address: c.Vault.Address(), Namespace: c.Vault.Namespace(), Mount: c.Mount},
	}
}
