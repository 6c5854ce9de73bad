// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package clients is a module of its own for clients of Transit that other projects keep: sigstore's, Tink's and the wrapper by which
// Vault unseals itself. They run unchanged against keylife, and against built-in Transit beside it.
package clients
