// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package work

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// Node is one server of the cluster.
type Node interface {
	Send(r harness.Request) (harness.Reply, error)
	Address() string
}

// Options say who uses what. The zero value of a number takes what the comment says.
type Options struct {
	Mount     string
	Seed      uint64
	Keys      int           // 20
	Pace      time.Duration // between two requests of a client, half to once and a half: 40ms
	Impatient time.Duration // how long a client waits for an answer: 10s
	People    *People       // who asks and consents; nil: nobody
}

func (o Options) orDefaults() Options {
	if o.Keys == 0 {
		o.Keys = 20
	}
	if o.Pace == 0 {
		o.Pace = 40 * time.Millisecond
	}
	if o.Impatient == 0 {
		o.Impatient = 10 * time.Second
	}
	return o
}

// Load is clients at work.
type Load struct {
	Options
	History *history.History

	nodes   []Node
	context context.Context
	cancel  context.CancelFunc
	clients sync.WaitGroup

	mu   sync.Mutex
	made []history.Operation // acknowledged, with a ciphertext or a signature
	sent func(history.Operation)
}

// Start sets the mount up, which has to answer, and starts the clients.
func Start(nodes []Node, o Options) (*Load, error) {
	l := &Load{Options: o.orDefaults(), History: history.New(time.Now()), nodes: nodes}
	l.context, l.cancel = context.WithCancel(context.Background())
	if err := l.setUp(); err != nil {
		return nil, err
	}
	for i, role := range l.roles() {
		c := l.client(role.name, uint64(i)+1)
		l.clients.Go(func() { c.work(role.act) })
	}
	return l, nil
}

// Stop ends the clients, each behind its request, and returns what they have seen.
func (l *Load) Stop() *history.History {
	l.cancel()
	l.clients.Wait()
	return l.History
}

// Watch has a function told of each act of operators when it is sent, for faults that are to hit it. It must be set at once after
// Start and must not block.
func (l *Load) Watch(sent func(history.Operation)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = sent
}

// Sent is an error as long as fewer requests than that were answered.
func (l *Load) Sent(least int) error {
	count := l.History.Count()
	if n := count[history.Done] + count[history.Refused] + count[history.Unknown]; n < least {
		return fmt.Errorf("%d requests of %d were answered", n, least)
	}
	return nil
}

type role struct {
	name string
	act  func(*client)
}

func (l *Load) roles() []role {
	all := []role{
		{"application-1", (*client).useData},
		{"application-2", (*client).useData},
		{"operator-1", (*client).operate},
		{"operator-2", (*client).operate},
	}
	if l.People != nil {
		all = append(all, role{"people", (*client).consent})
	}
	return all
}

func (l *Load) client(name string, stream uint64) *client {
	return &client{load: l, name: name, chance: rand.New(rand.NewPCG(l.Seed, stream))}
}

func (l *Load) keep(o history.Operation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made = append(l.made, o)
}

// pick returns one of the things that were made of a key.
func (l *Load) pick(c *client, key string) (history.Operation, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range 8 {
		if len(l.made) == 0 {
			break
		}
		if o := l.made[c.chance.IntN(len(l.made))]; o.Key == key {
			return o, true
		}
	}
	return history.Operation{}, false
}
