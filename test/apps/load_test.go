// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
)

// useEvery is the pause between two uses of one goroutine.
const useEvery = 40 * time.Millisecond

// use is one that an application was asked for.
type use struct {
	op           string
	begun, ended time.Time
	outcome      client.Outcome
	said         string // the message or the plaintext, or the error
}

func (u use) String() string {
	return fmt.Sprintf("%s at %s, %s long: %s %s", u.op, u.begun.Format("05.000"), u.ended.Sub(u.begun), u.outcome, u.said)
}

// load uses a key of an application all the time: it encrypts, and it decrypts one message.
type load struct {
	app          *application
	key, message string
	over         chan struct{}
	users        sync.WaitGroup

	mu      sync.Mutex
	uses    []use
	unheard error // of an application that did not answer, or with what it must not
}

// startLoad puts a load on the application until the end of the test.
func startLoad(t testing.TB, a *application, key, message string) *load {
	l := &load{app: a, key: key, message: message, over: make(chan struct{})}
	l.users.Go(func() { l.repeat(l.encrypts) })
	l.users.Go(func() { l.repeat(l.decrypts) })
	t.Cleanup(func() {
		close(l.over)
		l.users.Wait()
	})
	return l
}

func (l *load) encrypts() use {
	return l.ask("encrypt", "some plaintext")
}

func (l *load) decrypts() use {
	return l.ask("decrypt", l.message)
}

func (l *load) ask(op, body string) use {
	u := use{op: op, begun: time.Now()}
	var err error
	u.said, u.outcome, err = l.app.use(l.key, op, body)
	u.ended = time.Now()
	if err != nil {
		l.mu.Lock()
		l.unheard = err
		l.mu.Unlock()
	}
	return u
}

func (l *load) repeat(one func() use) {
	tick := time.NewTicker(useEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.over:
			return
		case <-tick.C:
			u := one()
			l.mu.Lock()
			l.uses = append(l.uses, u)
			l.mu.Unlock()
		}
	}
}

// of lists the uses of an op in their order so far; the test fails where one was answered with what it must not be.
func (l *load) of(t testing.TB, op string) []use {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.NoError(t, l.unheard)
	var found []use
	for _, u := range l.uses {
		if u.op == op {
			found = append(found, u)
		}
	}
	return found
}

// requireOK fails the test with the first use between the times that did not succeed. It needs one that was.
func requireOK(t testing.TB, uses []use, from, to time.Time, why string) {
	t.Helper()
	some := 0
	for _, u := range uses {
		if u.begun.Before(from) || u.begun.After(to) || u.ended.IsZero() {
			continue
		}
		some++
		require.Equal(t, client.OK, u.outcome, "%s: %v", why, u)
	}
	require.Positive(t, some, "%s: nothing was used", why)
}

// pause lets what runs go on for a time.
func pause(d time.Duration) { <-time.After(d) }

func unlessOK(said string, outcome client.Outcome, err error) error {
	if err == nil && outcome != client.OK {
		err = fmt.Errorf("%s: %s", outcome, said)
	}
	return err
}
