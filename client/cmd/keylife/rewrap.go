// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// batchSize is how many encrypted data keys one request takes.
const batchSize = 256

type rewrapFlagSet struct {
	vaultFlags
	dryRun, verbose bool
}

func rewrapFlags(flags *flag.FlagSet) action {
	r := &rewrapFlagSet{}
	r.register(flags)
	flags.BoolVar(&r.dryRun, "dry-run", false, "change no file; one request tells the newest version")
	flags.BoolVar(&r.verbose, "v", false, "name each file that is passed over")
	return r.run
}

func (r *rewrapFlagSet) run(ctx context.Context, a *app, args []string) (err error) {
	if len(args) == 0 {
		return usagef("rewrap: no file or folder")
	}
	s, err := a.open(r.vaultFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	run := &rewrapRun{rewrapFlagSet: r, app: a, engine: s.key, progress: newProgress(a.stderr, a.now)}
	err = walk(ctx, args, func(f found) error { return run.see(ctx, f) })
	if err == nil {
		err = run.flush(ctx)
	}
	run.summary(err)
	if err == nil && run.failed > 0 {
		return errToldAlready
	}
	return err
}

// rewrapRun is one run over files. Its state is in the files: those under the newest version are passed over, so that a run
// that broke off goes on when it is started again.
type rewrapRun struct {
	*rewrapFlagSet
	*app
	engine   key
	progress *progress
	newest   int // version of the key; 0: not known yet
	batch    []found

	rewrapped, already, others, failed int
}

// see decides about one file by its header.
func (r *rewrapRun) see(ctx context.Context, f found) error {
	switch {
	case f.err != nil && f.failure():
		r.fail(f, errors.New(f.told()))
	case f.err != nil:
		r.passOver(f, f.told())
	case f.key != "" && f.key != r.key: // where it is empty the engine decides
		r.passOver(f, fmt.Sprintf("of key %s", f.key))
	case f.version == r.newest:
		r.already++
	default:
		r.batch = append(r.batch, f)
	}
	r.progress.show(r.counts())
	if len(r.batch) == batchSize || r.newest == 0 && len(r.batch) > 0 { // the first file tells the newest version
		return r.flush(ctx)
	}
	return nil
}

// flush puts what has been collected under the newest version. An error is about the run; what concerns one file is counted.
func (r *rewrapRun) flush(ctx context.Context) error {
	batch := r.batch
	r.batch = nil
	if len(batch) == 0 {
		return nil
	}
	if r.dryRun && r.newest != 0 {
		r.rewrapped += len(batch)
		return nil
	}
	heads, err := r.ask(ctx, batch)
	if err != nil {
		return err
	}
	for i, f := range batch {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.finish(f, heads[i])
		r.progress.show(r.counts())
	}
	return nil
}

// head is the new beginning of a message, or why there is none.
type head struct {
	bytes   []byte
	version int
	err     error
}

// ask asks for new headers in one request. Bodies take no part: the engine is asked about messages that have the headers of
// the files and a body of zeros.
func (r *rewrapRun) ask(ctx context.Context, batch []found) ([]head, error) {
	messages := make([][]byte, len(batch))
	heads := make([]head, len(batch))
	for i := range batch {
		messages[i] = batch[i].stub()
	}
	rewrapped, err := r.engine.Rewrap(ctx, messages)
	refused, whole := items(err)
	if whole != nil {
		return nil, whole
	}
	for i := range heads {
		if heads[i].err = refused[i]; heads[i].err == nil {
			heads[i] = newHead(rewrapped[i])
		}
	}
	return heads, nil
}

func newHead(message []byte) head {
	m, err := kle1.Parse(message)
	return head{bytes: message[:len(message)-len(m.Body)], version: m.Version, err: err}
}

// finish puts one file under its new header.
func (r *rewrapRun) finish(f found, h head) {
	if h.err != nil {
		r.fail(f, h.err)
		return
	}
	r.newest = h.version
	switch {
	case h.version == f.version:
		r.already++
	case r.dryRun:
		r.rewrapped++
	default:
		if err := f.replace(r.fs, h.bytes); err != nil {
			r.fail(f, err)
			return
		}
		r.rewrapped++
	}
}

func (r *rewrapRun) fail(f found, err error) {
	r.failed++
	r.progress.say("%s: %v", f.path, err)
}

func (r *rewrapRun) passOver(f found, why string) {
	r.others++
	if r.verbose {
		r.progress.say("%s: passed over: %s", f.path, why)
	}
}

// items takes apart what a request over many messages says: of single ones, or of all.
func items(err error) (each map[int]error, whole error) {
	each = map[int]error{}
	if err == nil {
		return each, nil
	}
	var item *client.ItemError
	var joined interface{ Unwrap() []error }
	switch {
	case errors.As(err, &joined):
		for _, one := range joined.Unwrap() {
			if !errors.As(one, &item) {
				return nil, err
			}
			each[item.Index] = item.Err
		}
	case errors.As(err, &item):
		each[item.Index] = item.Err
	default:
		return nil, err
	}
	for _, one := range each {
		if errors.Is(one, client.ErrUnavailable) || errors.Is(one, client.ErrAccessDenied) {
			return nil, one // the next batch would be told the same
		}
	}
	return each, nil
}
