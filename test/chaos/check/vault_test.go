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
	made := protected(t, s, load)
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

// act sends a request that the history has, and is done.
func act(t *testing.T, s *harness.Server, load *work.Load, o history.Operation, path string, body map[string]any) (history.Operation, map[string]any) {
	t.Helper()
	o.ID, o.Outcome = load.History.Next(), history.Done
	if o.Reason != "" {
		body["reason"] = o.Reason
	}
	o.Sent = load.History.Since(time.Now())
	data := s.Must(t, http.MethodPost, mount+"/"+path, body)
	o.Answered = load.History.Since(time.Now())
	return o, data
}

func rotate(t *testing.T, s *harness.Server, load *work.Load, key string) {
	t.Helper()
	o, _ := act(t, s, load, history.Operation{Act: "rotate", Key: key, Reason: "rotated behind the last look"}, "keys/"+key+"/rotate", map[string]any{})
	load.History.Append(o)
}

// protected makes a key, and returns the encryption of a text with it: the keys of clients are left as chance has it.
func protected(t *testing.T, s *harness.Server, load *work.Load) history.Operation {
	t.Helper()
	const key, text = "planted", "cGxhbnRlZA=="
	o, _ := act(t, s, load, history.Operation{Act: "create", Key: key, Reason: "to be lost"}, "keys/"+key, map[string]any{})
	load.History.Append(o)
	o, data := act(t, s, load, history.Operation{Act: "encrypt", Key: key, Version: 1, Text: history.Digest(text)}, "encrypt/"+key, map[string]any{"plaintext": text})
	o.Ciphertext, _ = data["ciphertext"].(string)
	load.History.Append(o)
	return o
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
