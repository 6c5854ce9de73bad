// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// A write outlives the request that it is for. Vault goes on with a write whose caller has given up, and it lands when
// nobody waits for it any more. So a write has a time limit of its own, and whoever holds a lock while it writes keeps
// the lock until the write has come back.
//
// A write that fails may land all the same, and later. Until another write has come back that was begun after it, what is
// read may be older than what is stored: the storage applies writes in their order, and a later one that came back proves
// that the earlier one has landed or never will. A writer therefore asks [conn.certain] before it reads.

// writeTime bounds a write, and what an act reads between its writes.
const writeTime = 30 * time.Second

// barrierPath is an entry that is written to learn what of the writes before has landed. It says nothing.
const barrierPath = "config/barrier"

// outlive returns a context that the end of the request does not end.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeTime)
}

// write runs one write to its end. What has not begun when the request ends does not begin.
func (r *conn) write(ctx context.Context, verb, path string, do func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return storageError(verb, path, err)
	}
	ctx, cancel := outlive(ctx)
	defer cancel()
	began := r.s.doubts.raised()
	err := storageError(verb, path, do(ctx))
	switch {
	case err == nil:
		r.s.doubts.settle(began)
	case !errors.Is(err, logical.ErrReadOnly): // which wrote nothing
		r.s.doubts.raise()
	}
	return err
}

func (r *conn) putEntry(ctx context.Context, path string, value []byte) error {
	return r.write(ctx, "put", path, func(ctx context.Context) error {
		return r.timed(ctx, &r.s.observe.Storage.Put, func() error { return r.storage.Put(ctx, &logical.StorageEntry{Key: path, Value: value}) })
	})
}

// mark puts an entry that says all by being there.
func (r *conn) mark(ctx context.Context, path string) error {
	return r.putEntry(ctx, path, []byte("{}"))
}

func (r *conn) delete(ctx context.Context, path string) error {
	return r.write(ctx, "delete", path, func(ctx context.Context) error {
		return r.timed(ctx, &r.s.observe.Storage.Delete, func() error { return r.storage.Delete(ctx, path) })
	})
}

// dropped logs a failure that ends nothing: what it leaves a later act overwrites, or a tick removes.
func (r *conn) dropped(what string, err error) {
	if err != nil {
		r.s.log.Warn(what, "error", err)
	}
}

// deleteFolder deletes the entries below the prefix, as many as the limit still allows.
func (r *conn) deleteFolder(ctx context.Context, prefix string, limit *int) (left bool, err error) {
	names, err := r.list(ctx, prefix)
	if err != nil {
		return true, err
	}
	for _, name := range names {
		if *limit == 0 {
			return true, nil
		}
		*limit--
		if err := r.delete(ctx, prefix+strings.TrimSuffix(name, "/")); err != nil {
			return true, err
		}
	}
	return false, nil
}

// certain makes sure that what is read from now on is what is stored, whatever became of the writes that failed before.
// After one that did it costs a write, otherwise nothing.
func (r *conn) certain(ctx context.Context) error {
	if r.s.doubts.none() {
		return nil
	}
	return r.mark(ctx, barrierPath)
}

// lock locks a name for a writer, who may trust what it reads. What a process before this one has begun to write, and told
// nobody of, matters for keys alone: a ciphertext may depend on it.
func (r *conn) lock(ctx context.Context, l *locks, name string) (unlock func(), err error) {
	if unlock, err = l.exclusive(ctx, name); err != nil {
		return nil, err
	}
	if l != &r.s.keys && r.s.doubts.inherited() {
		return unlock, nil
	}
	if err := r.certain(ctx); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// unprepared is the error of an act that has to ask somebody who may take long, before it can be decided. The act has written
// nothing.
type unprepared interface {
	// Prepare asks. Its error ends the act.
	Prepare(ctx context.Context) error
	// Overtaken says that another writer had the lock meanwhile: what was read under it may be another now.
	Overtaken()
}

// prepared runs an act under the lock of a key, and runs it again for as long as it is unprepared. The lock is not held while
// it is prepared. Anew means that what was read under the lock before, if anything was, does not count any more.
func (r *conn) prepared(ctx context.Context, name string, act func(anew bool) error) error {
	t := r.s.keys.turn(name)
	defer t.end()
	var last unprepared
	for {
		alone, err := t.hold(ctx)
		if err != nil {
			return err
		}
		if !alone {
			if err := r.certain(ctx); err != nil {
				return err
			}
			if last != nil {
				last.Overtaken()
			}
		}
		if err := act(!alone); !errors.As(err, &last) {
			return err
		}
		t.pause()
		if err := last.Prepare(ctx); err != nil {
			return err
		}
	}
}

// decided decides an act that is not on a key: write says whether there is anything to do. Where a process before this one may
// have begun to write what lands only now, it learns what did, and decides anew: the custody of the act has to know.
func (r *conn) decided(ctx context.Context, decide func() (write bool, err error)) (write bool, err error) {
	write, err = decide()
	if err != nil || !write || r.s.doubts.none() {
		return write, err
	}
	if err := r.certain(ctx); err != nil {
		return false, err
	}
	return decide()
}

// doubts counts the writes that failed, and up to which of them it is known what became of them. A new process starts
// with one: the writes of the process before it.
type doubts struct {
	mu            sync.Mutex
	count, solved uint64
}

func newDoubts() *doubts { return &doubts{count: 1} }

func (d *doubts) raise() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
}

func (d *doubts) raised() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count
}

func (d *doubts) settle(count uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.solved = max(d.solved, count)
}

// inherited reports that there is only the doubt that a new process starts with.
func (d *doubts) inherited() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count == 1 && d.solved == 0
}

func (d *doubts) none() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.solved == d.count
}
