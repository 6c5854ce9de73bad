//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// Built says whether this binary speaks with PKCS#11 libraries.
const Built = true

const defaultDrain = 5 * time.Second

// registry has the libraries of this process: C_Initialize is once a process, whoever calls it, so this is the one table of
// its kind that is global.
var registry struct {
	sync.Mutex
	modules map[string]*module // by the path without symbolic links
}

// Open initialises a library, or joins those that hold it already, which works with the same Reserved only.
func Open(options Options) (cryptoki.Library, error) {
	m, err := find(options.Path)
	if err != nil {
		return nil, err
	}
	if options.Drain == 0 {
		options.Drain = defaultDrain
	}
	return m.open(options)
}

// find returns the module of a path. It loads a library that is seen for the first time. Loading runs code of the library's,
// so who names paths is trusted as the program is.
func find(path string) (*module, error) {
	if !filepath.IsAbs(path) {
		return nil, errors.New("the path of a PKCS#11 library must be absolute") // dlopen would search for it
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("find PKCS#11 library: %w", err)
	}
	registry.Lock()
	defer registry.Unlock()
	if m := registry.modules[path]; m != nil {
		return m, nil
	}
	m, err := load(path)
	if err != nil {
		return nil, err
	}
	for _, other := range registry.modules {
		if other.functions == m.functions { // a file of two names
			m = other
		}
	}
	if registry.modules == nil {
		registry.modules = map[string]*module{}
	}
	registry.modules[path] = m
	return m, nil
}
