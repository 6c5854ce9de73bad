// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// guarded is a session as a function gets it: each call has its deadline, and how they went is kept. Functions neither log
// in nor close it.
type guarded struct {
	task    *task
	session cryptoki.Session
	login   bool          // the token requires one
	making  time.Duration // the limit of making keys

	failed     bool // a call failed: the session is not lent again
	decrypting bool // it was C_Decrypt that failed last
	changed    bool // an object was made or destroyed, or may have been
	used       bool // a key was used with success: the token works
}

var _ cryptoki.Session = (*guarded)(nil)

func (g *guarded) call(f func() error) error { return g.callWithin(g.task.limit, f) }

func (g *guarded) callWithin(limit time.Duration, f func() error) error {
	err := g.task.callWithin(limit, f)
	if err != nil {
		g.failed, g.decrypting = true, false
	}
	return err
}

// Login does nothing: the session is logged in, and no function may spend tries of a PIN.
func (g *guarded) Login([]byte) error { return cryptoki.ErrUserAlreadyLoggedIn }

// Close does nothing: the session goes back to where it came from.
func (g *guarded) Close() error { return nil }

func (g *guarded) Find(t cryptoki.Template) (found []cryptoki.Object, err error) {
	err = g.call(func() (err error) {
		found, err = g.session.Find(t)
		return err
	})
	if err == nil && len(found) == 0 {
		err = g.stillIn()
	}
	return found, err
}

func (g *guarded) Attributes(o cryptoki.Object, types ...cryptoki.AttributeType) (values [][]byte, err error) {
	err = g.call(func() (err error) {
		values, err = g.session.Attributes(o, types...)
		return err
	})
	return values, err
}

func (g *guarded) Generate(m cryptoki.Mechanism, templates ...cryptoki.Template) (made []cryptoki.Object, err error) {
	err = g.callWithin(g.making, func() (err error) {
		made, err = g.session.Generate(m, templates...)
		return err
	})
	g.changed = g.changed || err == nil || !didNothing(err)
	return made, err
}

func (g *guarded) Destroy(o cryptoki.Object) error {
	err := g.call(func() error { return g.session.Destroy(o) })
	g.changed = g.changed || err == nil || !didNothing(err)
	return err
}

func (g *guarded) Do(op cryptoki.Operation, o cryptoki.Object, m cryptoki.Mechanism, in []byte) (out []byte, err error) {
	err = g.call(func() (err error) {
		out, err = g.session.Do(op, o, m, in)
		return err
	})
	g.decrypting = g.decrypting || err != nil && op == cryptoki.Decrypt
	g.used = g.used || err == nil
	return out, err
}

func (g *guarded) Random(n int) (random []byte, err error) {
	err = g.call(func() (err error) {
		random, err = g.session.Random(n)
		return err
	})
	return random, err
}

// stillIn is an error where the session is not logged in any more: what was not found may be there. Libraries answer a search
// without login with no objects and no error.
func (g *guarded) stillIn() error {
	state, tells := g.session.(cryptoki.LoginState)
	if !g.login || !tells {
		return nil
	}
	return g.call(func() error {
		in, err := state.LoggedIn()
		if err == nil && !in {
			return cryptoki.ErrUserNotLoggedIn
		}
		return err
	})
}
