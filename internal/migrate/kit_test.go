// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/migrate"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// side is a mount in memory. As Transit it has no paths, fields and members that Transit has not.
type side struct {
	*mounttest.Mount
	transit bool
	wire    *wire
}

// wire is between migrate and both mounts.
type wire struct {
	requests int
	writes   []string // paths of requests that write keys
	secrets  []string // that went over it
	at       func(n int, s *side, r *migrate.Request) fate
}

// fate is what becomes of a request.
type fate int

const (
	answered fate = iota
	lost          // is not done, and not answered
	unheard       // is done, and not answered
	broken        // is not done, and answered with a fault
	failed        // is done, and answered with a fault
)

var errCut = errors.New("the wire is cut")

// ours are the fields of a key that Transit does not show.
var ours = strings.Fields(`policy protection owner labels allowed_uses state soft_deleted legal_hold primary_version staged_version destroy_time
	revision next_rotation_time rotation_status`)

func (s *side) Send(ctx context.Context, r migrate.Request) (migrate.Reply, error) {
	s.wire.requests++
	what := answered
	if s.wire.at != nil {
		what = s.wire.at(s.wire.requests, s, &r)
	}
	if what == lost {
		return migrate.Reply{}, errCut
	}
	reply := migrate.Reply{Status: http.StatusInternalServerError, Errors: []string{"a fault"}}
	if what != broken {
		done := s.do(ctx, r)
		if what == answered {
			reply = done
		}
	}
	if what == unheard {
		return migrate.Reply{}, errCut
	}
	return reply, nil
}

func (s *side) do(ctx context.Context, r migrate.Request) migrate.Reply {
	if s.transit && r.Path == "config/clock" {
		return migrate.Reply{Status: http.StatusNotFound, Errors: []string{"1 error occurred:\n\t* unsupported path\n\n"}}
	}
	data := mounttest.AsJSON(s.T, r.Data)
	if s.transit {
		delete(data, "reason")
		asTransitRestores(s.T, data)
	}
	s.keep(data)
	op := map[migrate.Operation]logical.Operation{migrate.Read: logical.ReadOperation, migrate.List: logical.ListOperation, migrate.Write: logical.UpdateOperation}[r.Operation]
	if first, _, _ := strings.Cut(r.Path, "/"); op == logical.UpdateOperation && (first == "keys" || first == "restore") {
		s.wire.writes = append(s.wire.writes, r.Path)
	}
	answer := s.DoWith(ctx, op, r.Path, data)
	if s.transit && strings.HasPrefix(r.Path, "keys/") {
		for _, field := range ours {
			delete(answer.Data, field)
		}
	}
	text, err := json.Marshal(answer.Data)
	require.NoError(s.T, err)
	var seen map[string]any
	require.NoError(s.T, json.Unmarshal(text, &seen))
	s.keep(seen)
	reply := migrate.Reply{Status: answer.Status, Data: text}
	if answer.Err != "" {
		reply.Errors = []string{answer.Err}
	}
	return reply
}

// asTransitRestores drops what Transit does not look at.
func asTransitRestores(t testing.TB, data map[string]any) {
	t.Helper()
	text, there := data["backup"].(string)
	if !there {
		return
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	var backup map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &backup))
	delete(backup, "keylife")
	raw, err = json.Marshal(backup)
	require.NoError(t, err)
	data["backup"] = base64.StdEncoding.EncodeToString(raw)
}

// secret are the fields of what nobody may be told.
var secret = strings.Fields("plaintext input context backup ciphertext signature hmac cmac")

// keep collects them.
func (s *side) keep(value any) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			if text, is := member.(string); is && slices.Contains(secret, name) {
				s.wire.secrets = append(s.wire.secrets, text)
			}
			s.keep(member)
		}
	case []any:
		for _, item := range v {
			s.keep(item)
		}
	}
}

// bench is two mounts and what a run says.
type bench struct {
	t        *testing.T
	from, to *side
	wire     *wire
	lines    []string
	entries  map[string]*migrate.Entry
	options  migrate.Options
}

// newBench is from a mount like Transit to one of keylife.
func newBench(t *testing.T) *bench {
	t.Helper()
	w := &wire{}
	return &bench{t: t, wire: w, from: &side{mounttest.New(t), true, w}, to: &side{mounttest.New(t), false, w}}
}

// turned has the keys go the other way.
func (b *bench) turned() *bench {
	b.from, b.to = b.to, b.from
	return b
}

func (b *bench) run() (migrate.Summary, error) {
	b.t.Helper()
	b.lines, b.entries, b.wire.requests, b.wire.secrets = nil, map[string]*migrate.Entry{}, 0, nil
	o := b.options
	o.Rand, o.Now = rand.Reader, func() time.Time { return mounttest.Start }
	if o.Report == nil {
		o.Report = func(line any) error {
			text, err := json.Marshal(line)
			b.lines = append(b.lines, string(text))
			return err
		}
	}
	o.Tell = func(_, _ int, e *migrate.Entry) { b.entries[e.Key] = e }
	sum, err := migrate.Run(b.t.Context(), b.from, b.to, o)
	for _, secret := range b.wire.secrets {
		if secret == "" {
			continue
		}
		require.False(b.t, strings.Contains(strings.Join(b.lines, "\n")+fmt.Sprint(err), secret), "a secret was told")
	}
	return sum, err
}

// outcome runs, and returns what became of key k.
func (b *bench) outcome() *migrate.Entry {
	b.t.Helper()
	_, err := b.run()
	require.NoError(b.t, err)
	require.Contains(b.t, b.entries, "k")
	return b.entries["k"]
}

func (b *bench) requireOutcome(want migrate.Outcome, parts ...string) *migrate.Entry {
	b.t.Helper()
	e := b.outcome()
	require.Equal(b.t, want, e.Outcome, "%s %v", e.Reason, e.Notes)
	for _, part := range parts {
		require.Contains(b.t, e.Reason+strings.Join(e.Notes, "\n"), part)
	}
	return e
}

// key makes a key at the source that may leave, with so many versions.
func (b *bench) key(name string, versions int, kv ...any) {
	b.t.Helper()
	b.from.Must(b.from.Write("keys/"+name, append([]any{"exportable", true, "allow_plaintext_backup", true}, kv...)...))
	for range versions - 1 {
		b.from.Must(b.from.Write("keys/" + name + "/rotate"))
	}
}

// mixed is a backup with version 1 of another key's.
func mixed(t testing.TB, backup, other string) string {
	t.Helper()
	read := func(text string) (all map[string]any) {
		raw, err := base64.StdEncoding.DecodeString(text)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &all))
		return all
	}
	mine, theirs := read(backup), read(other)
	version := theirs["policy"].(map[string]any)["keys"].(map[string]any)["1"]
	mine["policy"].(map[string]any)["keys"].(map[string]any)["1"] = version
	mine["archived_keys"].(map[string]any)["keys"].([]any)[1] = version
	delete(mine, "keylife") // it has fingerprints
	raw, err := json.Marshal(mine)
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(raw)
}
