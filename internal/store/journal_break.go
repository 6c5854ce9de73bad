// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// ChainBrokenError reports that the end of a chain was altered or lost behind our back. Acts stop there, as going on would hide
// it; but what stops a key in an emergency must not be stopped by whoever can damage the journal.
type ChainBrokenError struct {
	error
	chain string
}

func (b ChainBrokenError) Error() string {
	text := b.error.Error() + "; the custody of the "
	switch policy, isPolicy := custody.PolicyOf(b.chain); {
	case b.chain == custody.MountChain:
		return text + "mount's settings was altered or lost: restore journal/ from a snapshot"
	case isPolicy:
		return text + fmt.Sprintf("policy %q was altered or lost: restore journal/ from a snapshot", policy)
	default:
		return text + "key was altered or lost: restore journal/ from a snapshot, or suspend the key, which records the break and goes on behind it"
	}
}

func (b ChainBrokenError) Unwrap() error { return b.error }

func (b ChainBrokenError) Is(target error) bool { return target == custody.ErrBroken }

// asChainBroken marks an error that says of the journal itself that it is damaged.
func asChainBroken(name string, err error) error {
	if errors.Is(err, ErrCorrupt) || errors.Is(err, custody.ErrMalformed) {
		return ChainBrokenError{err, name}
	}
	return err
}

// judged is asChainBroken, and tells who observes the mount: that a chain is sound only where it was read from storage.
func (r *conn) judged(name string, err error, read bool) error {
	err = asChainBroken(name, err)
	if broken := errors.Is(err, custody.ErrBroken); broken || err == nil && read {
		r.s.observe.JudgeChain(name, observe.ChainEnd, !broken)
	}
	return err
}

// custodyBreak is the detail that names a break behind which a chain goes on.
const custodyBreak = "custody_break"

// headForAct returns the end of the journal that an act adds to, and the event as it is recorded there: behind a break it
// names the break. What stops a key goes on behind one.
func (r Journals) headForAct(ctx context.Context, c change, exists bool) (chain, lifecycle.Event, error) {
	at, err := r.chainHead(ctx, c.Key.Name, c.head, exists)
	var broken ChainBrokenError
	if !errors.As(err, &broken) || !acts.Name(c.Event.Act).Emergency() {
		return at, c.Event, err
	}
	c.Event = c.Event.With(custodyBreak, broken.error.Error())
	at, err = r.headPastBreak(ctx, c.Key.Name, c.head)
	return at, c.Event, err
}

// headPastBreak returns where a chain goes on that is broken: behind all that is stored of it, and behind the end of the act
// that the key's record names. No number is used twice; a record that is missing is a gap for ever, and verification
// reports it, as it does one that was altered.
func (r Journals) headPastBreak(ctx context.Context, name string, known custody.Head) (chain, error) {
	seqs, err := r.seqs(ctx, name)
	if err != nil || len(seqs) == 0 && known.Count == 0 {
		return chain{}, err
	}
	at := chain{head: custody.Head{Count: roomBehind(seqs, known.Count+1), Hash: known.Hash}}
	line, err := r.Line(ctx, name, at.head.Count)
	if line != nil {
		at.head.Hash = custody.Hash(line)
	}
	return at, err
}

// roomBehind returns the highest stored number, but at least so much, behind which an act has room. A record under the
// last number there is leaves none behind it, so the act goes before it.
func roomBehind(seqs []int, least int) int {
	end := custody.MaxSeq
	for _, seq := range slices.Backward(seqs) {
		if at := max(seq, least); at+custody.ActRecords <= end {
			return at
		}
		end = seq - 1
	}
	return least
}
