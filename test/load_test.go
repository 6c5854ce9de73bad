// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	loadKey      = "loaded"
	loadPace     = 10 * time.Millisecond // between two requests of a worker, so that one that fails does not spin
	loadEvidence = 150                   // ciphertexts before and after each disruption
	loadEndures  = 2                     // disruptions
)

// What was answered with 200 must hold, whatever dies meanwhile: every ciphertext opens, no version number comes twice.
func TestEveryAnswerHoldsWhateverDiesUnderLoad(t *testing.T) {
	t.Parallel()
	for _, r := range restarts {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Standard())
			s.Must(t, http.MethodPost, "keylife/keys/"+loadKey, nil)
			l := startLoad(s)
			defer l.stop()
			for range loadEndures {
				harness.Eventually(t, backAfter, l.grewBy(loadEvidence))
				r.act(t, s)
			}
			harness.Eventually(t, backAfter, l.grewBy(loadEvidence))
			l.stop()
			l.verify(t)
		})
	}
}

// load is clients of one key and the ledger of what they were told.
type load struct {
	server  *harness.Server
	quit    chan struct{}
	once    sync.Once
	workers sync.WaitGroup

	mu        sync.Mutex
	ledger    map[string]string // ciphertext to plaintext
	rotations []int             // versions that rotate answered, in order
	wrong     []string          // answers of 200 that cannot be right
}

func startLoad(s *harness.Server) *load {
	l := startClients(s, 5)
	l.run(l.rotate)
	return l
}

// startClients is a load without rotations.
func startClients(s *harness.Server, encrypting int) *load {
	l := &load{server: s, quit: make(chan struct{}), ledger: map[string]string{}}
	for w := range encrypting {
		l.run(l.encrypt(w))
	}
	for range 2 {
		l.run(l.decrypt)
	}
	return l
}

func (l *load) run(work func()) {
	l.workers.Go(func() {
		pace := time.NewTicker(loadPace)
		defer pace.Stop()
		for {
			select {
			case <-l.quit:
				return
			case <-pace.C:
				work()
			}
		}
	})
}

func (l *load) stop() {
	l.once.Do(func() { close(l.quit) })
	l.workers.Wait()
}

// ask sends a request; not getting an answer of 200 is allowed while something is down.
func (l *load) ask(path string, body any) (map[string]any, bool) {
	reply, err := l.server.Send(harness.Request{Method: http.MethodPost, Path: "keylife/" + path, Body: body})
	return reply.Data(), err == nil && reply.Status == http.StatusOK
}

// encrypt is one client; the version it is given never falls.
func (l *load) encrypt(worker int) func() {
	n, newest := 0, 0
	return func() {
		n++
		plaintext := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "worker %d text %d", worker, n))
		data, ok := l.ask("encrypt/"+loadKey, map[string]any{"plaintext": plaintext})
		if !ok {
			return
		}
		version := number(data["key_version"])
		l.mu.Lock()
		defer l.mu.Unlock()
		ciphertext, _ := data["ciphertext"].(string)
		l.ledger[ciphertext] = plaintext
		if version < newest {
			l.wrong = append(l.wrong, fmt.Sprintf("encrypted with version %d after %d", version, newest))
		}
		newest = version
	}
}

// decrypt opens any of the ciphertexts.
func (l *load) decrypt() {
	ciphertext, plaintext := l.any()
	if ciphertext == "" {
		return
	}
	if data, ok := l.ask("decrypt/"+loadKey, map[string]any{"ciphertext": ciphertext}); ok && data["plaintext"] != plaintext {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.wrong = append(l.wrong, fmt.Sprintf("%s opened to %v", ciphertext, data["plaintext"]))
	}
}

func (l *load) any() (ciphertext, plaintext string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ciphertext, plaintext = range l.ledger {
		return ciphertext, plaintext
	}
	return "", ""
}

func (l *load) rotate() {
	if data, ok := l.ask("keys/"+loadKey+"/rotate", nil); ok {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.rotations = append(l.rotations, number(data["latest_version"]))
	}
}

func number(value any) int {
	n, _ := value.(json.Number)
	i, _ := n.Int64() // zero where it is none, which no version is
	return int(i)
}

// encryptedMore tells whether more has been encrypted since it was asked for.
func (l *load) encryptedMore(n int) func() error {
	count := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.ledger)
	}
	before := count()
	return func() error {
		if now := count(); now < before+n {
			return fmt.Errorf("%d encrypted, of %d before", now, before)
		}
		return nil
	}
}

// grewBy tells whether more has been encrypted, and rotated, since it was asked for.
func (l *load) grewBy(n int) func() error {
	count := func() (int, int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.ledger), len(l.rotations)
	}
	encrypted, rotated := count()
	return func() error {
		e, r := count()
		if e < encrypted+n || r == rotated {
			return fmt.Errorf("%d encrypted and %d rotated, of %d before and %d before", e, r, encrypted, rotated)
		}
		return nil
	}
}

func (l *load) verify(t *testing.T) {
	t.Helper()
	require.Empty(t, l.wrong)
	newest := latest(t, l.server, loadKey)
	for i, version := range l.rotations {
		require.LessOrEqual(t, version, newest)
		require.True(t, i == 0 || version > l.rotations[i-1], "rotations answered %v", l.rotations)
	}
	const batch = 100
	var ciphertexts []string
	for ciphertext := range l.ledger {
		ciphertexts = append(ciphertexts, ciphertext)
	}
	for len(ciphertexts) > 0 {
		n := min(batch, len(ciphertexts))
		l.open(t, ciphertexts[:n])
		ciphertexts = ciphertexts[n:]
	}
	t.Logf("%d ciphertexts of %d versions, %d rotations answered", len(l.ledger), newest, len(l.rotations))
}

func (l *load) open(t *testing.T, ciphertexts []string) {
	t.Helper()
	var batch []string
	for _, c := range ciphertexts {
		batch = append(batch, object("ciphertext", c))
	}
	data := l.server.Do(t, http.MethodPost, "keylife/decrypt/"+loadKey, items(batch...)).Data()
	results, _ := data["batch_results"].([]any)
	require.Len(t, results, len(ciphertexts))
	for i, c := range ciphertexts {
		require.Equal(t, l.ledger[c], results[i].(map[string]any)["plaintext"], "%s: %v", c, results[i])
	}
}
