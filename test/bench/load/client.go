// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package load

import (
	"bytes"
	"errors"
	"sync"
	"time"
)

// Client has connections to one server.
type Client struct {
	host  string // and port
	conns []*conn
}

// Dial opens connections for [Client.Closed]; each asks for one thing at a time.
func Dial(host string, connections int) (*Client, error) {
	c := &Client{host: host}
	for range connections {
		next, err := dial(host)
		if err != nil {
			c.Close()
			return nil, err
		}
		c.conns = append(c.conns, next)
	}
	return c, nil
}

// Close ends the connections.
func (c *Client) Close() {
	for _, one := range c.conns {
		_ = one.Close() // nothing is lost with it
	}
}

// Ask sends a request once and returns status and body of the answer.
func (c *Client) Ask(r Request) (status int, body []byte, err error) {
	if _, err = c.conns[0].Write(r); err != nil {
		return 0, nil, err
	}
	var kept bytes.Buffer
	status, _, err = c.conns[0].answer(&kept)
	return status, kept.Bytes(), err
}

// Throughput is what a closed loop found.
type Throughput struct {
	Rate float64   // requests a second
	CPU  []float64 // seconds a request, of each of the processes that were asked about
}

// Closed asks over all connections at once, for the length of warm and then for the length of a slice, which counts. CPU is of the
// processes given, over exactly the requests that count; 0 stands for no process, and uses nothing.
func (c *Client) Closed(r Request, warm, slice time.Duration, processes ...int) (Throughput, error) {
	if _, _, err := c.run(r, warm); err != nil {
		return Throughput{}, err
	}
	before, err := used(processes)
	if err != nil {
		return Throughput{}, err
	}
	rate, answered, err := c.run(r, slice)
	if err != nil {
		return Throughput{}, err
	}
	after, err := used(processes)
	found := Throughput{Rate: rate, CPU: make([]float64, len(processes))}
	for i := range processes {
		found.CPU[i] = (after[i] - before[i]).Seconds() / float64(answered)
	}
	return found, err
}

// used is the CPU time of processes so far.
func used(processes []int) ([]time.Duration, error) {
	all := make([]time.Duration, len(processes))
	for i, pid := range processes {
		if pid == 0 {
			continue
		}
		var err error
		if all[i], err = CPU(pid); err != nil {
			return all, err
		}
	}
	return all, nil
}

// run asks over all connections until each has been answered once at least and the time is over. The rate is the sum of those of the
// connections, each to the end of its last answer: that some end later than others does not lower it.
func (c *Client) run(r Request, length time.Duration) (rate float64, answered int, err error) {
	var (
		group sync.WaitGroup
		runs  = make([]loop, len(c.conns))
		begin = time.Now()
	)
	for i, one := range c.conns {
		group.Go(func() { runs[i] = one.loop(r, begin.Add(length)) })
	}
	group.Wait()
	var errs []error
	for _, run := range runs {
		rate += float64(run.answered) / run.took.Seconds()
		answered += run.answered
		errs = append(errs, run.err)
	}
	return rate, answered, errors.Join(errs...)
}

// loop is what one connection did.
type loop struct {
	answered int
	took     time.Duration
	err      error
}

func (c *conn) loop(r Request, ends time.Time) (l loop) {
	begin := time.Now()
	for now := begin; l.answered == 0 || now.Before(ends); now = time.Now() {
		if l.err = c.do(r); l.err != nil {
			break
		}
		l.answered++
	}
	l.took = time.Since(begin)
	return l
}
