// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package check_test

import (
	"compress/gzip"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos/check"
	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/chaos/work"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

var update = flag.Bool("update", false, "write the history of the run to testdata, for the tests that need no Vault")

const (
	mount = "keylife"
	busy  = 400 // requests, half before the clock is moved and half after
	keys  = 6   // one of each kind, and another
)

// A real run is clean. Then what storage holds is changed behind the engine's back, and each change is found.
func TestWhatStorageHasLostIsFound(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Mounts: map[string]string{mount: harness.PluginName}, Clock: true})
	people, err := work.Gather(s)
	require.NoError(t, err)
	load, err := work.Start([]work.Node{s}, work.Options{Mount: mount, Seed: 14, Keys: keys, People: people})
	require.NoError(t, err)
	sent := func(n int) {
		harness.Eventually(t, time.Minute, func() error { return load.Sent(n) })
	}
	sent(busy / 2)
	s.Advance(t, 24*time.Hour) // what is retired is destroyed, and much rotates
	s.Tick(t, mount)
	sent(busy)
	h := load.Stop()
	look := func() *history.Final {
		s.Tick(t, mount)
		final, err := load.Look(s, s.Now(), true)
		require.NoError(t, err)
		return final
	}
	final := look()
	if *update {
		record(t, h, final)
	}
	require.Empty(t, check.Check(h, final))

	made := opened(t, h, final)
	older := s.Stored(t, mount, "keys/"+made.Key)
	rotate(t, s, load, made.Key)
	final = look()
	require.Empty(t, check.Check(h, final))
	for _, loss := range []struct {
		kind  string
		entry string
		value []byte // nil: it is gone
	}{
		{check.LostAct, journal(made.Key, final, 2), nil}, // the beginning of the rotation
		{check.WrongState, "keys/" + made.Key, older},
		{check.Unopened, fmt.Sprintf("versions/%s/%d", made.Key, made.Version), nil},
	} {
		t.Run(loss.kind, func(t *testing.T) {
			was := s.Stored(t, mount, loss.entry)
			put(t, s, loss.entry, loss.value)
			requireFound(t, check.Check(h, look()), loss.kind)
			put(t, s, loss.entry, was)
		})
	}
}

// put changes storage behind the engine's back, which is then made to read it.
func put(t *testing.T, s *harness.Server, entry string, value []byte) {
	t.Helper()
	if value == nil {
		s.Must(t, http.MethodDelete, "sys/raw/logical/"+s.MountUUID(t, mount)+"/"+entry, nil)
	} else {
		s.Store(t, mount, entry, value)
	}
	s.ReloadPlugin(t)
}

func requireFound(t *testing.T, findings []check.Finding, kind string) {
	t.Helper()
	for _, f := range findings {
		t.Log(f)
	}
	require.True(t, slices.ContainsFunc(findings, func(f check.Finding) bool { return f.Kind == kind }), "%s is not found", kind)
}

// rotate is an act of the history.
func rotate(t *testing.T, s *harness.Server, load *work.Load, key string) {
	t.Helper()
	o := history.Operation{ID: load.History.Next(), Act: "rotate", Key: key, Reason: "rotated behind the last look", Outcome: history.Done}
	o.Sent = load.History.Since(time.Now())
	s.Must(t, http.MethodPost, mount+"/keys/"+key+"/rotate", map[string]any{"reason": o.Reason})
	o.Answered = load.History.Since(time.Now())
	load.History.Append(o)
}

// opened is a ciphertext that opened in the last look, of a version that is in use.
func opened(t *testing.T, h *history.History, final *history.Final) history.Operation {
	t.Helper()
	for _, o := range h.Operations {
		key := final.Keys[o.Key]
		if o.Act == "encrypt" && o.Outcome == history.Done && key.Policy == "" && key.State == "enabled" && key.Staged == 0 && o.Version == key.Primary && key.Versions[o.Version].State == "active" {
			return o
		}
	}
	t.Fatal("nothing opens: the run was too short")
	return history.Operation{}
}

// journal is the entry of a record of the key, counted from its last.
func journal(key string, final *history.Final, fromLast int) string {
	n := 0
	for _, line := range final.Export {
		if strings.Contains(line, fmt.Sprintf("%q:%q", "key", key)) {
			n++
		}
	}
	return fmt.Sprintf("journal/%s/%010d", key, n-fromLast+1)
}

// record writes testdata.
func record(t *testing.T, h *history.History, final *history.Final) {
	t.Helper()
	file, err := os.Create("testdata/run.jsonl.gz")
	require.NoError(t, err)
	packed := gzip.NewWriter(file)
	require.NoError(t, h.Write(packed, final))
	require.NoError(t, packed.Close())
	require.NoError(t, file.Close())
}
