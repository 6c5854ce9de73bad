// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package badclients_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	mount   = "keylife"
	hello   = "aGVsbG8="
	mostRSS = 1 << 30          // bytes of the plugin, once a burst is over
	settles = time.Minute      // until it is down to that
	patient = 30 * time.Second // for which a good client waits at most
)

// TestBadClientsGetAnswersAndHoldUpNobody has all of them at once on one server.
func TestBadClientsGetAnswersAndHoldUpNobody(t *testing.T) {
	t.Parallel()
	b := besiege(t)
	for name, attack := range map[string]func(t *testing.T, b *besieged){
		"too large": requestsTooLargeAreRefused, "malformed": malformedRequestsAreRefused, "types of content": theContentTypeSaysNothing, "names": namesStayInTheirPlace,
		"hostile names": hostileNamesAreKeysOfTheirOwnOrRefused, "tokens": aFloodOfTokensIsBounded, "slow": requestsThatTrickleHoldUpNobody, "given up": requestsThatAreGivenUpLeaveNothing,
		"pipelined": pipelinedRequestsAreAnsweredInTheirOrder,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attack(t, &besieged{b.Server, b.siege, t})
		})
	}
}

// besieged is a server with a bad client, as one test of it sees it.
type besieged struct {
	*harness.Server
	*siege
	t *testing.T
}

// siege is the plugin of the server, and a good client beside the bad ones.
type siege struct {
	plugin []int // its processes at the start
	quit   chan struct{}
	wait   sync.WaitGroup

	mu      sync.Mutex
	served  int
	failed  []string
	longest time.Duration
}

// besiege starts a server and the good client. At the end of the test the plugin has to be the process that it was, and the good
// client to have been served.
func besiege(t *testing.T) *besieged {
	t.Helper()
	b := &besieged{harness.Start(t, harness.Standard()), &siege{quit: make(chan struct{})}, t}
	b.Must(t, http.MethodPost, mount+"/keys/good", nil)
	b.Must(t, http.MethodPost, mount+"/keys/k", nil)
	b.Must(t, http.MethodPost, "transit/keys/k", nil)
	b.plugin = b.PluginPIDs(t)
	before := b.rss()
	b.wait.Go(b.good)
	t.Cleanup(func() {
		close(b.quit)
		b.wait.Wait()
		require.Equal(t, b.plugin, b.PluginPIDs(t), "the plugin has ended")
		require.NotContains(t, b.Log(t), "panic")
		require.Empty(t, b.failed)
		require.Positive(t, b.served)
		require.Less(t, b.longest, patient)
		harness.Eventually(t, settles, func() error {
			if rss := b.rss(); rss > mostRSS {
				return fmt.Errorf("the plugin has %d MiB, and had %d", rss>>20, before>>20)
			}
			return nil
		})
		t.Logf("the good client: %d requests, the longest took %s; the plugin has %d MiB, and had %d", b.served, b.longest.Round(time.Millisecond), b.rss()>>20, before>>20)
	})
	return b
}

// good is a client like any other.
func (b *besieged) good() {
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-b.quit:
			return
		case <-pace.C:
		}
		begun := time.Now()
		r, err := b.Send(harness.Request{Method: http.MethodPost, Path: mount + "/encrypt/good", Body: `{"plaintext":"` + hello + `"}`})
		b.mu.Lock()
		b.longest = max(b.longest, time.Since(begun))
		if err != nil || r.Status != http.StatusOK {
			b.failed = append(b.failed, fmt.Sprint(r.Status, r.Body, err))
		}
		b.served++
		b.mu.Unlock()
	}
}

// rss is the memory of the plugin's process, in bytes.
func (b *besieged) rss() (bytes int) {
	b.t.Helper()
	for _, pid := range b.plugin {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		require.NoError(b.t, err)
		_, after, found := strings.Cut(string(status), "VmRSS:")
		require.True(b.t, found)
		kib, err := strconv.Atoi(strings.Fields(after)[0])
		require.NoError(b.t, err)
		bytes += kib << 10
	}
	return bytes
}

// post sends a body as it stands.
func (b *besieged) post(path, body string) harness.Reply {
	b.t.Helper()
	return b.Do(b.t, http.MethodPost, mount+"/"+path, body)
}

// refused demands an answer of 4xx that says something.
func (b *besieged) refused(r harness.Reply, what string, says ...string) {
	b.t.Helper()
	require.GreaterOrEqual(b.t, r.Status, 400, "%s: %.300v", what, r.Body)
	require.Less(b.t, r.Status, 500, "%s: %.300v", what, r.Body)
	for _, part := range says {
		require.Contains(b.t, fmt.Sprint(r.Body["errors"]), part, what)
	}
}

// refusedByVault demands that a body does not get past Vault's listener, whose answer, also of 5xx, is the one that Transit's clients get.
func (b *besieged) refusedByVault(body, what string) {
	b.t.Helper()
	ours, transit := b.post("encrypt/k", body), b.Do(b.t, http.MethodPost, "transit/encrypt/k", body)
	require.GreaterOrEqual(b.t, ours.Status, 400, what)
	require.Equal(b.t, transit, ours, what)
}
