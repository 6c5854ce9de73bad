// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/test/apps/worker"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	goWorkers       = 4
	gunicornWorkers = 4
)

// soak is how long a key is rotated, and how often.
func soak(t testing.TB) (whole, every time.Duration) {
	t.Helper()
	text := os.Getenv("KEYLIFE_SOAK")
	if text == "" {
		return 15 * time.Second, time.Second
	}
	whole, err := time.ParseDuration(text)
	require.NoError(t, err, "KEYLIFE_SOAK")
	return whole, 10 * time.Second
}

// fleet is applications that read what the others wrote.
type fleet struct {
	key  string
	apps []*application
	over chan struct{}
	busy sync.WaitGroup

	mu       sync.Mutex
	messages map[string]string // to plaintexts
	failed   []error
}

// traffic has one application encrypt, and the next one decrypt that, until the end.
func (f *fleet) traffic(n int) {
	tick := time.NewTicker(useEvery)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-f.over:
			return
		case <-tick.C:
			f.pass(n+i, fmt.Sprintf("message %d of %d", i, n))
		}
	}
}

func (f *fleet) pass(writer int, plaintext string) {
	message, outcome, err := f.apps[writer%len(f.apps)].encrypt(f.key, plaintext)
	if err = unlessOK(message, outcome, err); err == nil {
		var read string
		read, outcome, err = f.apps[(writer+1)%len(f.apps)].decrypt(f.key, message)
		if err = unlessOK(read, outcome, err); err == nil && read != plaintext {
			err = fmt.Errorf("%q was read as %q", plaintext, read)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed = append(f.failed, err)
		return
	}
	f.messages[message] = plaintext
}

// TestRotationUnderLoad rotates a key while four programs in Go and four processes of gunicorn, forked from one that had used the key,
// read what the others wrote.
func TestRotationUnderLoad(t *testing.T) {
	t.Parallel()
	s := server(t)
	f := &fleet{key: createKey(t, s, "keylife"), over: make(chan struct{}), messages: map[string]string{}}
	in, settings := placed{address: s.Address(), token: s.Client().Token()}, worker.Settings{
		Mount: "keylife", Warm: f.key,
		// A Vault that is slow, as on a machine that has much else to do, is no error here.
		Bounds: map[string]float64{"ttl": ttl.Seconds(), "stale_protect": 600, "max_stale": 3600}, Timeout: (useTimeout / 2).Seconds(),
	}
	gunicorn := startPython(t, in, settings, "--preload", "-w", fmt.Sprint(gunicornWorkers), "--threads", "4")
	for range goWorkers {
		f.apps = append(f.apps, startGo(t, in, settings), gunicorn)
	}
	for n := range f.apps {
		f.busy.Go(func() { f.traffic(n) })
	}
	version := f.rotate(t, s)
	done := time.Now()
	pause(ttl)
	f.requireVersion(t, version, done)
	close(f.over)
	f.busy.Wait()
	require.Empty(t, f.failed)
	f.requireAllOpen(t, s)
}

// rotate rotates the key for the time of the soak and returns its newest version.
func (f *fleet) rotate(t testing.TB, s *harness.Server) (version int) {
	t.Helper()
	whole, every := soak(t)
	tick := time.NewTicker(every)
	defer tick.Stop()
	version = 1
	for begun := time.Now(); time.Since(begun) < whole; version++ {
		<-tick.C
		rotate(t, s, "keylife", f.key)
	}
	return version
}

// requireVersion wants each application to encrypt with the version, in a message or more of each of its processes.
func (f *fleet) requireVersion(t testing.TB, version int, since time.Time) {
	t.Helper()
	for _, app := range f.apps {
		for range 2 * gunicornWorkers {
			begun := time.Now()
			info, err := client.Inspect([]byte(app.mustEncrypt(t, f.key, "newest?")))
			require.NoError(t, err)
			if slow := slowness(t, app); begun.After(since.Add(ttl + slow)) {
				require.Equal(t, version, info.Version, "%s after the last rotation", begun.Sub(since))
			}
		}
	}
}

// requireAllOpen opens all messages with a client that has no data key yet.
func (f *fleet) requireAllOpen(t testing.TB, s *harness.Server) {
	t.Helper()
	c, err := client.New(client.Config{Vault: s.Client()})
	require.NoError(t, err)
	defer c.Close()
	var messages [][]byte
	versions := map[int]int{}
	for message := range f.messages {
		messages = append(messages, []byte(message))
		info, err := client.Inspect([]byte(message))
		require.NoError(t, err)
		versions[info.Version]++
	}
	plaintexts, err := c.Key(f.key).DecryptMany(t.Context(), messages, client.Context{"application": "worker"})
	require.NoError(t, err)
	for i, message := range messages {
		require.Equal(t, f.messages[string(message)], string(plaintexts[i]))
	}
	t.Logf("%d messages of %d versions", len(messages), len(versions))
}
