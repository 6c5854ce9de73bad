// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package main

import (
	"io/fs"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
)

// keepOwner does nothing: a new file has the owner that its folder gives it.
func keepOwner(atomicfile.Handle, fs.FileInfo) error { return nil }
