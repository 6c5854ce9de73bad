// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package harness runs a real Vault server for the acceptance tests: one raft node on loopback, or a cluster of them,
// initialised with one unseal share, the keylife plugin registered. It knows processes, HTTP and Vault's sys paths and
// nothing about keys.
//
// Invariants: a server never outlives the test binary, whatever way that ends, and its plugin processes never outlive
// the test; requests are sent once and never retried, so that a test sees what a client sees; everything a server
// writes is under one directory.
package harness
