// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package cryptoki has the words of PKCS#11 that keylife speaks with a token, without its C: what a library and a session
// do, mechanisms, attributes and return values. Its names and numbers are those of PKCS#11 Specification Version 3.1.
//
// Package p11 implements it with a library in C, and hsmtest with a token in memory, so that all that stands on it builds
// and is tested without cgo.
package cryptoki
