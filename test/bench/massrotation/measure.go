// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	lookEvery = 250 * time.Millisecond // at the rotations that were done
	tellEvery = 40                     // looks
	beforeDue = 40 * time.Second       // of peace that is measured before anything is done
	afterDone = 70 * time.Second       // and after: a minute of the tick
	reindexed = 5000                   // keys that a tick puts on the due index again
	mostTime  = time.Hour
)

// request is one encryption.
type request struct {
	due     time.Time     // when it was to be sent
	latency time.Duration // from then on: a request that waits for its turn has waited
	busy    bool          // by a key that rotates
}

// look is what the plugin said at a time.
type look struct {
	at        time.Time
	rotations float64
}

// measured is a whole mass rotation.
type measured struct {
	due      time.Time // when the keys were to rotate
	requests []request
	looks    []look
}

// measure sets the schedule under load, and waits until all keys have rotated.
func (m *mount) measure(ctx context.Context, rate float64) (r measured, err error) {
	ctx, end := context.WithTimeout(ctx, mostTime)
	defer end()
	load := &load{mount: m}
	var running sync.WaitGroup
	running.Go(func() { load.run(ctx, rate) })
	r.looks, r.due, err = m.rotate(ctx)
	end()
	running.Wait()
	r.requests = load.done
	if err == nil {
		err = load.err
	}
	return r, err
}

// rotate has all keys rotate, and looks on.
func (m *mount) rotate(ctx context.Context) (looks []look, due time.Time, err error) {
	var done time.Time
	begun, pace := time.Now(), time.NewTicker(lookEvery)
	defer pace.Stop()
	for done.IsZero() || time.Since(done) < afterDone {
		select {
		case <-ctx.Done():
			return looks, due, fmt.Errorf("%d looks: %w", len(looks), ctx.Err())
		case <-pace.C:
		}
		n, err := m.rotations()
		if err != nil {
			return looks, due, err
		}
		looks = append(looks, look{time.Now(), n})
		if len(looks)%tellEvery == 0 {
			fmt.Fprintf(os.Stderr, "%s: %.0f keys of %d have rotated\n", time.Since(begun).Round(time.Second), n, m.keys)
		}
		if due.IsZero() && time.Since(begun) > beforeDue {
			due = time.Now().Add(m.notice()).Truncate(time.Minute)
			if err := m.schedule(at(due)); err != nil {
				return looks, due, err
			}
		}
		if done.IsZero() && n >= float64(m.keys) {
			done = time.Now()
		}
	}
	return looks, due, nil
}

// notice is from the write of the schedule to its time: the ticks that put all keys on the due index again, and a minute more.
func (m *mount) notice() time.Duration {
	return time.Duration(1+(m.keys+reindexed-1)/reindexed) * time.Minute
}

// load is encryptions at a fixed rate, however long each takes, until so many are on their way: what is due then waits for its turn.
type load struct {
	mount *mount

	mu   sync.Mutex
	done []request
	err  error // the first
}

const atOnce = 64

func (l *load) run(ctx context.Context, rate float64) {
	var running sync.WaitGroup
	defer running.Wait()
	begun := time.Now()
	turns := make(chan struct{}, atOnce)
	for i := 0; ; i++ {
		due := begun.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		turns <- struct{}{}
		running.Go(func() {
			l.encrypt(i, due)
			<-turns
		})
	}
}

func (l *load) encrypt(i int, due time.Time) {
	key, busyKey := quietKey(i/2%quiet), i%2 == 1
	if busyKey {
		key = rotating(i / 2 % busy * (l.mount.keys / busy))
	}
	_, err := l.mount.send(http.MethodPost, "encrypt/"+key, body{"plaintext": "aGVsbG8="})
	latency := time.Since(due)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = append(l.done, request{due, latency, busyKey})
	if err != nil && l.err == nil {
		l.err = err
	}
}
