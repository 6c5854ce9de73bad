// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package upgrade_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
	"github.com/keylife/vault-plugin-keylife/test/upgrade/fixture"
)

const (
	mount  = "keylife"
	reason = "CHG-4711: made for a fixture, long enough for any rule"
)

// body is a request's.
type body = map[string]any

// writer sends requests, and remembers what has to hold of what was made.
type writer struct {
	t       *testing.T
	s       *harness.Server
	lenient bool // requests may be refused
	tokens  map[string]string
	made    fixture.Mount
}

// do sends a request of the root, and returns the data of the answer; ok: it succeeded. An earlier build that refuses it is sent
// the others in turn.
func (w *writer) do(path string, with body, earlier ...body) (data map[string]any, ok bool) {
	w.t.Helper()
	data, ok = w.as("", path, with)
	for i := 0; i < len(earlier) && !ok; i++ {
		data, ok = w.as("", path, earlier[i])
	}
	return data, ok
}

// as is do as a person.
func (w *writer) as(who, path string, with body) (data map[string]any, ok bool) {
	w.t.Helper()
	r := w.send(who, path, with)
	if r.Status < 300 {
		return r.Data(), true
	}
	w.refused(path, r)
	return nil, false
}

func (w *writer) refused(path string, r harness.Reply) {
	w.t.Helper()
	require.True(w.t, w.lenient, "%s: %d %v", path, r.Status, r.Body)
	w.made.Refused = append(w.made.Refused, fmt.Sprintf("%s: %d", path, r.Status))
}

func (w *writer) send(who, path string, with body) harness.Reply {
	w.t.Helper()
	r, err := w.s.Send(harness.Request{Method: http.MethodPost, Path: mount + "/" + path, Body: with, Token: w.tokens[who]})
	require.NoError(w.t, err)
	return r
}

func (w *writer) get(path string) harness.Reply {
	w.t.Helper()
	return w.s.Do(w.t, http.MethodGet, mount+"/"+path, nil)
}

// op does operations on a key.
func (w *writer) op(key string, paths ...string) {
	w.t.Helper()
	for _, path := range paths {
		w.do("keys/"+key+"/"+path, body{"reason": reason})
	}
}

// prove remembers a request, for finish to send and every later build to answer alike in these fields.
func (w *writer) prove(path string, with body, fields ...string) {
	want := map[string]any{}
	for _, f := range fields {
		want[f] = nil
	}
	w.made.Proofs = append(w.made.Proofs, fixture.Proof{Path: path, Body: with, Want: want})
}

// protect encrypts, with more fields such as a context.
func (w *writer) protect(key string, more body) {
	w.t.Helper()
	with := body{"plaintext": b64(fmt.Sprintf("text %d of %s", len(w.made.Proofs), key))}
	for name, value := range more {
		with[name] = value
	}
	if data, ok := w.do("encrypt/"+key, with); ok {
		opens := body{"ciphertext": data["ciphertext"]}
		for name, value := range more {
			opens[name] = value
		}
		w.prove("decrypt/"+key, opens, "plaintext")
	}
}

// sign signs, and authenticates by a path such as hmac/k.
func (w *writer) sign(path, answer, key string, more body) {
	w.t.Helper()
	with := body{"input": b64("signed by " + key)}
	for name, value := range more {
		with[name] = value
	}
	if data, ok := w.do(path+"/"+key, with); ok {
		with[answer] = data[answer]
		w.prove("verify/"+key, with, "valid")
	}
}

// later lets time go by that the clock guard is told of, and ticks.
func (w *writer) later(d time.Duration) {
	w.t.Helper()
	w.s.Advance(w.t, d)
	w.do("config/clock", body{"acknowledge": true, "reason": reason}, body{"acknowledge": true})
	w.s.Tick(w.t, mount)
}

// finish has the build say last how things are, and reads what it stored.
func (w *writer) finish() {
	w.t.Helper()
	for i, p := range w.made.Proofs {
		r := w.send("", p.Path, p.Body)
		for field := range p.Want {
			w.made.Proofs[i].Want[field] = r.Data()[field]
		}
		if r.Status != http.StatusOK {
			w.made.Proofs[i].Want = nil
		}
	}
	w.s.Tick(w.t, mount) // stores what was counted
	listed := w.s.Must(w.t, "LIST", mount+"/keys", nil)
	for _, key := range listed["keys"].([]any) {
		w.made.States[key.(string)] = w.states(key.(string))
	}
	w.made.Written = w.s.Now().UTC()
	for path, value := range w.s.AllStored(w.t, mount) {
		w.made.Entries[path] = string(value)
	}
}

func (w *writer) states(key string) (states []string) {
	w.t.Helper()
	data := w.s.Must(w.t, "LIST", mount+"/keys/"+key+"/versions", nil)
	for _, number := range data["keys"].([]any) {
		one := w.get(fmt.Sprintf("keys/%s/versions/%v", key, number))
		require.Equal(w.t, http.StatusOK, one.Status, "%v", one.Body)
		states = append(states, one.Data()["state"].(string))
	}
	return states
}

// people are entities of Vault that may do everything on the mount.
func (w *writer) people(groups map[string][]string) {
	w.t.Helper()
	w.tokens = map[string]string{}
	w.s.Must(w.t, http.MethodPut, "sys/policies/acl/all", body{"policy": `path "` + mount + `/*" { capabilities = ["create", "read", "update", "delete", "list"] }`})
	ids := map[string]string{}
	for _, who := range []string{"alice", "bob", "carol", "dave", "erin"} {
		w.s.Must(w.t, http.MethodPost, "auth/token/roles/"+who, body{"allowed_entity_aliases": who, "allowed_policies": "all"})
		r := w.s.Do(w.t, http.MethodPost, "auth/token/create/"+who, body{"entity_alias": who, "policies": []string{"all"}})
		auth, _ := r.Body["auth"].(map[string]any)
		require.NotNil(w.t, auth, "%v", r.Body)
		w.tokens[who], ids[who] = auth["client_token"].(string), auth["entity_id"].(string)
		person := fixture.Person{Name: who, ID: ids[who]}
		for group, members := range groups {
			if slices.Contains(members, who) {
				person.Groups = append(person.Groups, group)
			}
		}
		w.made.People = append(w.made.People, person)
	}
	for group, members := range groups {
		var in []string
		for _, who := range members {
			in = append(in, ids[who])
		}
		w.s.Must(w.t, http.MethodPost, "identity/group", body{"name": group, "member_entity_ids": in})
	}
}

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func number(value any) int {
	n, _ := value.(json.Number)
	i, _ := n.Int64() // zero where it is none, which no version is
	return int(i)
}
