// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package soak lets a Vault server with the plugin live for a while as mounts do, and tells whether the plugin's process stays as it
// was: its memory, goroutines, file descriptors and threads, what it gets done, and at what cost.
//
// Hundreds of keys of several types rotate every minute by their policy; old versions are archived and retired by it.
// Versions are destroyed with their keys: each key is compromised now and then, detached, deleted and made anew, so that the mount
// has as many versions after an hour as after the first [Config.Turnover]. (A policy destroys a day after retiring at the
// soonest.) Clients encrypt, decrypt, rewrap, sign, verify, authenticate, read, list, act, ask for consent and verify custody,
// and some of what they send is refused; any other answer than the one that is due is a failure. What grows is the record of it all: custody
// and requests for consent, in storage.
package soak

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Config says how long, and how much. [Standard] fills it in.
type Config struct {
	Length   time.Duration `json:"length"`   // of the load
	WarmUp   time.Duration `json:"warm_up"`  // of it; what is sampled meanwhile is not judged
	Turnover time.Duration `json:"turnover"` // how long a key lives
	Every    time.Duration `json:"every"`    // between two samples
	Keys     int           `json:"keys"`
	Rate     float64       `json:"rate"` // requests a second, besides those of acts
	Seed     uint64        `json:"seed"` // of what is chosen by chance

	Progress func(Sample) `json:"-"` // is told of each sample
}

// Standard is what a load of a length takes. Of an hour the warm-up is long enough for each key to have been replaced once, and for the
// mount to have as many versions as it will ever have.
func Standard(length time.Duration) Config {
	turnover := min(max(length/6, 90*time.Second), 10*time.Minute)
	return Config{
		Length: length, WarmUp: min(turnover+turnover/2, length/3), Turnover: turnover,
		Every: min(max(length/720, time.Second), 5*time.Second), Keys: 300, Rate: 50, Seed: 1, Progress: func(Sample) {},
	}
}

// Run puts a mount of the plugin under load. The error is of the set-up, of the context, or says that the plugin's process has
// ended; what was sampled until then is returned with it.
func Run(ctx context.Context, s *harness.Server, c Config) (Report, error) {
	r := Report{Config: c, Machine: result.ThisMachine(), Begun: time.Now().UTC()}
	m, err := newMount(s, c)
	if err != nil {
		return r, fmt.Errorf("set up: %w", err)
	}
	ctx, end := context.WithTimeout(ctx, c.Length)
	defer end()
	var loops sync.WaitGroup
	defer loops.Wait()
	for _, loop := range m.loops() {
		loops.Go(func() { loop.run(ctx) })
	}
	r.Samples, err = m.sample(ctx, c)
	end()
	loops.Wait()
	r.Requests, r.Failures = m.counted()
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	if err == nil {
		r.Consent, err = m.consent()
	}
	return r, err
}

// loop is something that is done again and again.
type loop struct {
	every time.Duration
	do    func()
}

func (l loop) run(ctx context.Context) {
	pace := time.NewTicker(l.every)
	defer pace.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
			l.do()
		}
	}
}
