// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package link is the network between the nodes of a cluster: a proxy before each, through which the others reach it, and which can
// be cut. It needs no rights. It knows TCP and which process a connection comes from, and nothing about what is said.
package link

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// Cut is what becomes of what passes between a node and the others.
type Cut int

const (
	Whole  Cut = iota // all passes
	Silent            // nothing passes, and nobody is told: connections stay, and what was sent arrives when the cut is mended
	Broken            // connections end, and new ones end at once
)

// Network is the proxies of a cluster. Its methods may be called from many goroutines.
type Network struct {
	whence func(net.Conn) string // the node that a connection comes from, by its name; empty: none of them

	mu      sync.Mutex
	mended  *sync.Cond // a node's cut has changed, or all is over
	cuts    map[string]Cut
	over    bool
	live    map[*passage]bool
	doors   []net.Listener
	workers sync.WaitGroup
}

// New makes a network of no nodes. A connection's origin is asked once, when it begins.
func New(whence func(net.Conn) string) *Network {
	n := &Network{whence: whence, cuts: map[string]Cut{}, live: map[*passage]bool{}}
	n.mended = sync.NewCond(&n.mu)
	return n
}

// Join puts a proxy before the address that a node listens at, and returns where the others reach it.
func (n *Network) Join(node, listens string) (string, error) {
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("a proxy for %s: %w", node, err)
	}
	n.mu.Lock()
	n.doors = append(n.doors, door)
	n.mu.Unlock()
	n.workers.Go(func() { n.serve(door, node, listens) })
	return door.Addr().String(), nil
}

// Set cuts a node from all others, or mends that.
func (n *Network) Set(node string, cut Cut) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts[node] = cut
	if cut == Broken {
		for p := range n.live {
			if p.from == node || p.to == node {
				p.close()
			}
		}
	}
	n.mended.Broadcast()
}

// Close ends all connections and waits for what serves them.
func (n *Network) Close() {
	n.mu.Lock()
	n.over = true
	for _, door := range n.doors {
		_ = door.Close()
	}
	for p := range n.live {
		p.close()
	}
	n.mended.Broadcast()
	n.mu.Unlock()
	n.workers.Wait()
}

func (n *Network) serve(door net.Listener, node, listens string) {
	for {
		came, err := door.Accept()
		if err != nil {
			return // closed
		}
		n.workers.Go(func() { n.pass(&passage{from: n.whence(came), to: node, near: came}, listens) })
	}
}

// passage is one connection from a node to another: to the proxy, and from there on.
type passage struct {
	from, to  string
	near, far net.Conn
	closed    bool
}

func (p *passage) close() {
	p.closed = true
	_ = p.near.Close()
	if p.far != nil {
		_ = p.far.Close()
	}
}

// pass keeps a connection until one side ends it or it is cut.
func (n *Network) pass(p *passage, listens string) {
	n.mu.Lock()
	n.live[p] = true
	n.mu.Unlock()
	defer n.end(p)
	if !n.open(p) {
		return
	}
	far, err := net.Dial("tcp", listens)
	if err != nil {
		return // nobody listens: the node is down
	}
	n.mu.Lock()
	p.far = far
	closed := p.closed
	n.mu.Unlock()
	if closed {
		_ = far.Close()
		return
	}
	n.workers.Go(func() { n.carry(p, p.far, p.near) })
	n.carry(p, p.near, p.far)
}

func (n *Network) end(p *passage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p.close()
	delete(n.live, p)
	n.mended.Broadcast() // the other direction may be waiting
}

// open waits while the passage is silent, and reports whether it may go on.
func (n *Network) open(p *passage) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		cut := max(n.cuts[p.from], n.cuts[p.to])
		if n.over || p.closed || cut == Broken {
			return false
		}
		if cut == Whole {
			return true
		}
		n.mended.Wait()
	}
}

// carry copies one direction. What was read when the cut came waits for its end.
func (n *Network) carry(p *passage, from io.Reader, to io.Writer) {
	defer n.end(p)
	buffer := make([]byte, 64<<10)
	for {
		read, err := from.Read(buffer)
		if read > 0 {
			if !n.open(p) {
				return
			}
			if _, err := to.Write(buffer[:read]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
