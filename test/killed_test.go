// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	kills     = 20
	killEvery = time.Second // and up to a second more
	cycled    = 8           // keys, with an operator each
)

// Vault sends a request again when the plugin dies under it.
func TestEveryActIsDoneOnceHoweverOftenThePluginDies(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Standard())
	s.Must(t, http.MethodPost, "keylife/keys/"+loadKey, nil)
	l := startClients(s, 2)
	defer l.stop()
	o := &operators{server: s, asked: map[string]fate{}}
	for i := range cycled {
		key := fmt.Sprintf("cycled-%d", i)
		s.Must(t, http.MethodPost, "keylife/keys/"+key, nil)
		l.run(func() { o.cycle(key) })
	}
	length, begun := torture(t), time.Now()
	for n := 0; n < kills || time.Since(begun) < length; n++ {
		more := l.encryptedMore(1)
		<-time.After(killEvery + rand.N(time.Second))
		if more() != nil {
			s.RevivePlugin(t)
		}
		s.KillPlugin(t)
	}
	s.RevivePlugin(t)
	harness.Eventually(t, backAfter, l.encryptedMore(loadEvidence))
	l.stop()
	l.verify(t)
	all := stories(t, s, "keylife")
	o.requireOnce(t, all, func(string) bool { return false })
	for key, story := range all {
		story.requireLeadsTo(t, s, key)
	}
	for reason, told := range o.asked {
		require.NotEqual(t, refused, told, "%s: nothing speaks against it", reason)
	}
	t.Logf("%d acts", o.count())
}

// cycle does one act that the states of the key allow. Nobody else acts on it.
func (o *operators) cycle(key string) {
	view, ok := o.look("keys/" + key)
	first, ok1 := o.look("keys/" + key + "/versions/1")
	if !ok || !ok1 {
		return // not back yet
	}
	post := func(path, op string, namesAndValues ...any) {
		o.ask(context.Background(), http.MethodPost, "keys/"+key+path, op, namesAndValues...)
	}
	on := view["legal_hold"] != true
	switch n := rand.IntN(8); {
	case n < 2 || first["state"] == "active":
		post("/rotate", "rotate")
	case n == 2:
		post("/rotate", "rotate if unchanged", "cas", view["revision"])
	case n == 3:
		post("/hold", map[bool]string{true: "hold", false: "lift"}[on], "hold", on)
	case first["state"] == "suspended":
		post("/versions/1/resume", "resume")
	case first["state"] == "archived":
		post("/versions/1/recover", "recover")
	default:
		op := []string{"suspend", "archive"}[rand.IntN(2)]
		post("/versions/1/"+op, op)
	}
}

func (o *operators) look(path string) (map[string]any, bool) {
	reply, err := o.server.Send(harness.Request{Method: http.MethodGet, Path: "keylife/" + path})
	return reply.Data(), err == nil && reply.Status == http.StatusOK
}
