// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// uses are the requests that use a key, each with a way of its own through the engine.
func uses(mount, key, ciphertext string) []harness.Request {
	use := func(path, body string) harness.Request {
		return harness.Request{Method: http.MethodPost, Path: mount + "/" + path + "/" + key, Body: body}
	}
	sealed, plain := object("ciphertext", ciphertext), object("plaintext", hello)
	return []harness.Request{
		use("encrypt", plain), use("encrypt", items(plain, plain)), use("decrypt", sealed), use("decrypt", items(sealed, sealed)),
		use("rewrap", sealed), use("rewrap", items(sealed, sealed)), use("datakey/plaintext", "{}"), use("datakey/wrapped", "{}"),
	}
}

// succeeded tells whether an answer has the fruit of a key: a ciphertext or a plaintext, alone or in a batch.
func succeeded(r harness.Reply) bool {
	results, _ := r.Data()["batch_results"].([]any)
	for _, result := range append(results, any(r.Data())) {
		member, _ := result.(map[string]any)
		for _, name := range []string{"ciphertext", "plaintext"} {
			if text, _ := member[name].(string); text != "" {
				return true
			}
		}
	}
	return false
}

// drill uses a key without pause, on four goroutines, and holds every request against what was the case when it began.
type drill struct {
	stopped atomic.Bool // the call that stops the key has returned
	over    atomic.Bool
	workers sync.WaitGroup

	mu    sync.Mutex
	wrong []string
	after int // requests that began when the key was stopped
}

func startDrill(s *harness.Server, requests []harness.Request) *drill {
	d := &drill{}
	for worker := range 4 {
		d.workers.Go(func() {
			for n := worker; !d.over.Load(); n++ {
				d.use(s, requests[n%len(requests)])
			}
		})
	}
	return d
}

func (d *drill) use(s *harness.Server, r harness.Request) {
	stopped := d.stopped.Load()
	reply, err := s.Send(r)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err != nil:
		d.wrong = append(d.wrong, fmt.Sprintf("%s: %v", r.Path, err))
	case stopped && succeeded(reply):
		d.wrong = append(d.wrong, fmt.Sprintf("%s %s succeeded on a stopped key: %v", r.Path, r.Body, reply.Body))
	case stopped:
		d.after++
	case reply.Status >= http.StatusInternalServerError:
		d.wrong = append(d.wrong, fmt.Sprintf("%s: %d %v", r.Path, reply.Status, reply.Body))
	}
}

func (d *drill) used(atLeast int) func() error {
	return func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.after < atLeast {
			return fmt.Errorf("%d requests since the key was stopped", d.after)
		}
		return nil
	}
}

// No request that begins after suspend has returned succeeds, whichever it is.
func TestSuspendTakesEffectOnTheNextRequest(t *testing.T) {
	t.Parallel()
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	key := mount + "/keys/k"
	s.Must(t, http.MethodPost, key, "{}")
	requests := uses(mount, "k", sealAt(t, s, mount, "k", f0(), 1, ""))
	for _, stop := range []string{"suspend", "versions/1/suspend", "soft-delete", "archive"} {
		t.Run(strings.ReplaceAll(stop, "/", " "), func(t *testing.T) {
			for range 5 {
				d := startDrill(s, requests)
				s.Must(t, http.MethodPost, key+"/"+stop, nil)
				d.stopped.Store(true)
				harness.Eventually(t, backAfter, d.used(4*len(requests)))
				d.over.Store(true)
				d.workers.Wait()
				require.Empty(t, d.wrong)
				s.Must(t, http.MethodPost, key+"/"+undo(stop), nil)
				for _, r := range requests {
					reply, err := s.Send(r)
					require.NoError(t, err)
					require.True(t, succeeded(reply), "%s after %s: %v", r.Path, undo(stop), reply.Body)
				}
			}
		})
	}
}

func undo(stop string) string {
	return map[string]string{
		"suspend": "resume", "versions/1/suspend": "versions/1/resume", "soft-delete": "soft-delete-restore", "archive": "recover",
	}[stop]
}

func TestASuspendedKeyIsShownAsSuch(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	key := mount + "/keys/k"
	s.Must(t, http.MethodPost, key, "{}")
	view := s.Must(t, http.MethodDelete, key+"/soft-delete", nil)
	require.Equal(t, "suspended", view["state"])
	require.Equal(t, true, view["soft_deleted"])
	require.Equal(t, "suspended", s.Must(t, http.MethodGet, key+"/versions/1", nil)["state"])
	for _, path := range []string{"/rotate", "/suspend", "/versions/1/promote"} {
		require.Equal(t, http.StatusBadRequest, s.Do(t, http.MethodPost, key+path, nil).Status, path)
	}
	view = s.Must(t, http.MethodPost, key+"/resume", nil)
	require.Equal(t, "enabled", view["state"])
	require.Equal(t, false, view["soft_deleted"])
}

// A policy may let what is suspended still decrypt.
func TestAPolicySaysWhetherSuspendedVersionsDecrypt(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	for rule, status := range map[string]int{"allow": http.StatusOK, "deny": http.StatusBadRequest} {
		s.Must(t, http.MethodPost, mount+"/policies/"+rule, object("owner", "a", "suspended_processing", rule))
		s.Must(t, http.MethodPost, mount+"/keys/"+rule, object("policy", rule))
		sealed := sealAt(t, s, mount, rule, f0(), 1, "")
		require.Equal(t, http.StatusBadRequest, s.Do(t, http.MethodPost, mount+"/keys/"+rule+"/suspend", nil).Status, "without a reason")
		s.Must(t, http.MethodPost, mount+"/keys/"+rule+"/suspend", object("reason", lifeReason))
		require.Equal(t, status, s.Do(t, http.MethodPost, mount+"/decrypt/"+rule, object("ciphertext", sealed)).Status, rule)
		require.Equal(t, http.StatusBadRequest, s.Do(t, http.MethodPost, mount+"/encrypt/"+rule, object("plaintext", hello)).Status)
	}
}
