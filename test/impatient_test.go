// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	impatientActs = 800             // given up, and asked for again
	actsAllowed   = 5 * time.Minute // for them
)

// Without Vault's cache a read does not wait for the write of a client that has given up.
func TestClientsThatGiveUpLoseNothingAndCustodyIsTrue(t *testing.T) {
	t.Parallel()
	options := harness.Standard()
	options.Uncached = true
	s := harness.Start(t, options)
	for _, key := range []string{loadKey, "held", "leaked"} {
		s.Must(t, http.MethodPost, "keylife/keys/"+key, nil)
	}
	l := startClients(s, 1)
	defer l.stop()
	o := &operators{server: s, asked: map[string]fate{}}
	for _, work := range []func(){o.rotateImpatiently, o.rotateImpatiently, o.holdImpatiently(), o.compromiseImpatiently, o.deleteImpatiently} {
		l.run(work)
	}
	if length := torture(t); length > 0 {
		<-time.After(length)
	} else {
		harness.Eventually(t, actsAllowed, func() error {
			if n := o.count(); n < impatientActs {
				return fmt.Errorf("%d acts of %d", n, impatientActs)
			}
			return nil
		})
	}
	l.stop()
	l.verify(t)
	all := stories(t, s, "keylife")
	o.requireOnce(t, all, func(reason string) bool { // hold, lift, delete
		return !strings.HasPrefix(reason, "rotate") && !strings.HasPrefix(reason, "compromise")
	})
	for key, story := range all {
		story.requireLeadsTo(t, s, key)
	}
}

// impatiently asks for an act, gives up at any of its writes, and asks again, half the time after a checkpoint has settled what became of it.
func (o *operators) impatiently(method, path, op string, namesAndValues ...any) {
	patience := rand.N(time.Duration(o.lasted.Load()) + time.Millisecond)
	ctx, giveUp := context.WithTimeout(context.Background(), patience)
	o.ask(ctx, method, path, op, namesAndValues...)
	giveUp()
	if rand.IntN(2) == 0 {
		key := strings.Split(path, "/")[1]
		_, _ = o.server.Send(harness.Request{Method: http.MethodPost, Path: "keylife/custody/checkpoint", Body: object("key", key)})
	}
	begun := time.Now()
	if told, _ := o.ask(context.Background(), method, path, op, namesAndValues...); told == done {
		o.lasted.Store(int64(time.Since(begun)))
	}
}

func (o *operators) rotateImpatiently() {
	o.impatiently(http.MethodPost, "keys/"+loadKey+"/rotate", "rotate")
}

func (o *operators) holdImpatiently() func() {
	on := false
	return func() {
		on = !on
		o.impatiently(http.MethodPost, "keys/held/hold", map[bool]string{true: "hold", false: "lift"}[on], "hold", on)
	}
}

// compromiseImpatiently reports the newest version; there are as many of them as a key record has room for.
func (o *operators) compromiseImpatiently() {
	reply, err := o.server.Send(harness.Request{Method: http.MethodGet, Path: "keylife/keys/leaked"})
	if newest := number(reply.Data()["latest_version"]); err == nil && 0 < newest && newest < 500 {
		o.impatiently(http.MethodPost, fmt.Sprintf("keys/leaked/versions/%d/compromise", newest), "compromise")
	}
}

func (o *operators) deleteImpatiently() {
	for _, path := range []string{"", "/config"} {
		_, _ = o.server.Send(harness.Request{Method: http.MethodPost, Path: "keylife/keys/doomed" + path, Body: object("deletion_allowed", true)})
	}
	o.impatiently(http.MethodDelete, "keys/doomed", "delete")
}
