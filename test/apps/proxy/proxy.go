// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package proxy stands between clients and a server and spoils their connections. It knows bytes and no protocol.
package proxy

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Fault is what the proxy does to connections. The zero value does nothing to them.
type Fault struct {
	Refuse bool          // resets connections, old and new
	Hold   bool          // takes connections and bytes and passes none on, as a network does that drops packets
	Delay  time.Duration // before bytes of the server are passed on
}

// Proxy passes bytes on between whoever connects to it and one server. Its methods may be called from many goroutines.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu          sync.Mutex
	fault       Fault
	changed     chan struct{} // closed when fault is replaced, or the proxy ends
	ended       bool
	connections map[net.Conn]struct{}
}

// Start runs a proxy in front of host:port for one test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{target: target, listener: listener, changed: make(chan struct{}), connections: map[net.Conn]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(p.end)
	return p
}

// Address is the host:port to connect to.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Set replaces the fault. What a proxy held back is passed on when it does not hold any more.
func (p *Proxy) Set(f Fault) {
	p.mu.Lock()
	p.fault = f
	p.announceLocked()
	p.mu.Unlock()
	if f.Refuse {
		p.Cut()
	}
}

// Cut resets the connections there are.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.connections {
		reset(c)
	}
}

func (p *Proxy) end() {
	p.mu.Lock()
	p.ended = true
	p.announceLocked()
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Cut()
	p.running.Wait()
}

func (p *Proxy) announceLocked() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return // closed by end
		}
		p.running.Go(func() { p.serve(c) })
	}
}

// serve owns a client's connection, and the server's that belongs to it.
func (p *Proxy) serve(from net.Conn) {
	defer from.Close()
	if !p.enter(from) {
		return
	}
	defer p.leave(from)
	if !p.admitted(false) {
		return
	}
	to, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(from)
		return
	}
	defer to.Close()
	if !p.enter(to) {
		return
	}
	defer p.leave(to)
	var answers sync.WaitGroup
	answers.Go(func() { p.pass(from, to, true) })
	p.pass(to, from, false)
	answers.Wait()
}

// pass copies until one side ends, and then ends both.
func (p *Proxy) pass(to, from net.Conn, answer bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !p.admitted(answer) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// admitted returns when bytes may be passed on, and false where they must not be any more.
func (p *Proxy) admitted(answer bool) bool {
	if fault, changed, _ := p.state(); answer && fault.Delay > 0 {
		select {
		case <-time.After(fault.Delay):
		case <-changed:
		}
	}
	for {
		fault, changed, ended := p.state()
		if ended || fault.Refuse {
			return false
		}
		if !fault.Hold {
			return true
		}
		<-changed
	}
}

func (p *Proxy) state() (fault Fault, changed <-chan struct{}, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fault, p.changed, p.ended
}

// enter keeps a connection for Cut. Where none are wanted, it resets it instead.
func (p *Proxy) enter(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.fault.Refuse {
		reset(c)
		return false
	}
	p.connections[c] = struct{}{}
	return true
}

func (p *Proxy) leave(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.connections, c)
}

// reset closes a connection without a word.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
