// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package load

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// inFlight is how many requests an open loop has unanswered at most. One that comes when all are is sent late, and late is counted
// from when it came.
const inFlight = 64

// Open sends requests at a rate a second that does not depend on the answers, at random distances (a Poisson process; the seed
// fixes it), and returns how long each took, from the moment it was due to the end of its answer. Those due within warm do not count.
func (c *Client) Open(r Request, rate float64, warm, slice time.Duration, seed uint64) ([]time.Duration, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.NumCPU()))) // pace keeps one busy with sleeping
	o := &open{free: make(chan *opened, inFlight), failed: make(chan struct{})}
	defer o.readers.Wait()
	for range inFlight {
		connection, err := dial(c.host)
		if err != nil {
			o.closing.Store(true)
			return nil, err
		}
		defer connection.Close()
		one := &opened{conn: connection}
		o.readers.Go(func() { o.read(one) })
		o.free <- one
	}
	o.pace(r, arrivals(rate, warm+slice, seed), warm)
	for range inFlight {
		o.take()
	}
	o.closing.Store(true)
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.took, o.err
}

// arrivals are the moments at which requests are due, from the begin.
func arrivals(rate float64, length time.Duration, seed uint64) (due []time.Duration) {
	chance := rand.New(rand.NewPCG(seed, 0))
	for at := 0.0; ; {
		at += chance.ExpFloat64() / rate
		if at >= length.Seconds() {
			return due
		}
		due = append(due, time.Duration(at*float64(time.Second)))
	}
}

// open is an open loop while it runs.
type open struct {
	free    chan *opened  // connections without a request
	failed  chan struct{} // closed where a request failed: nothing is sent any more
	readers sync.WaitGroup
	closing atomic.Bool // what reading says then does not matter

	mu   sync.Mutex
	took []time.Duration
	err  error // what failed first
}

// opened is a connection that is read all the time, and written when a request is due.
type opened struct {
	*conn
	due atomic.Int64 // nanoseconds since epoch; 0: it does not count
}

// epoch is what times are counted from, on a clock that does not leap.
var epoch = time.Now()

// pace writes each request when it is due. It sleeps in the kernel: the timers of the runtime are late by up to a millisecond.
func (o *open) pace(r Request, due []time.Duration, warm time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := time.Since(epoch)
	for _, at := range due {
		for left := begin + at - time.Since(epoch); left > 0; left = begin + at - time.Since(epoch) {
			sleep(left)
		}
		one := o.take()
		if one == nil {
			return
		}
		one.due.Store(0)
		if at >= warm {
			one.due.Store(int64(begin + at))
		}
		if _, err := one.Write(r); err != nil {
			o.fail(err)
		}
	}
}

// take waits for a connection without a request. It returns none once a request has failed.
func (o *open) take() *opened {
	select {
	case one := <-o.free:
		return one
	case <-o.failed:
		return nil
	}
}

// read takes answers until the connection ends.
func (o *open) read(one *opened) {
	for {
		if err := one.success(); err != nil {
			o.fail(err)
			return
		}
		if due := one.due.Load(); due != 0 {
			took := time.Since(epoch) - time.Duration(due)
			o.mu.Lock()
			o.took = append(o.took, took)
			o.mu.Unlock()
		}
		o.free <- one
	}
}

func (o *open) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil && !o.closing.Load() {
		o.err = err
		close(o.failed)
	}
}
