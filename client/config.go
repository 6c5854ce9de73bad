// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"time"

	"github.com/hashicorp/vault/api"
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
