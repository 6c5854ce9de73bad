// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"errors"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
)

// batch has the data keys that many messages need, each once.
type batch struct {
	uses []datakeys.Use
	of   []int // of each message, in uses; -1: none
	errs []error
	at   map[string]int
}

func newBatch(n int) *batch {
	return &batch{of: make([]int, n), errs: make([]error, n), at: map[string]int{}}
}

// add takes the EDK of a message, or the error that it has none.
func (b *batch) add(i int, edk []byte, err error) {
	if err != nil {
		b.of[i], b.errs[i] = -1, err
		return
	}
	at, ok := b.at[string(edk)]
	if !ok {
		at = len(b.uses)
		b.at[string(edk)] = at
		b.uses = append(b.uses, datakeys.Use{EDK: string(edk)})
	}
	b.of[i] = at
}

// finish ends each message by the data key it needs, and joins the errors.
func (b *batch) finish(end func(i int, u datakeys.Use, err error) error) error {
	var failed []error
	for i, at := range b.of {
		u, err := datakeys.Use{}, b.errs[i]
		if at >= 0 {
			u, err = b.uses[at], b.uses[at].Err
		}
		if err = end(i, u, err); err != nil {
			failed = append(failed, &ItemError{Index: i, Err: err})
		}
	}
	return errors.Join(failed...)
}
