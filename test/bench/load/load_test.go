// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package load_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/load"
)

// server answers with what it is asked for by the path, and counts.
func server(t *testing.T) (host string, asked *atomic.Int64) {
	t.Helper()
	asked = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("X-Vault-Token") != "token" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		switch r.URL.Path {
		case "/echo":
			_, _ = w.Write(body)
		case "/long": // longer than what net/http sends without chunks
			_, _ = io.WriteString(w, strings.Repeat(string(body), 10_000))
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/third":
			if asked.Load()%3 == 0 {
				http.Error(w, "the third", http.StatusTeapot)
			}
		}
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

func dial(t *testing.T, host string, connections int) *load.Client {
	t.Helper()
	c, err := load.Dial(host, connections)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestAnswersAreReadToTheirEnd(t *testing.T) {
	host, _ := server(t)
	c := dial(t, host, 1)
	for range 2 { // over one connection, of which nothing may be left
		for path, want := range map[string]string{"/echo": "hello", "/long": strings.Repeat("hello", 10_000), "/empty": ""} {
			status, body, err := c.Ask(load.NewRequest(http.MethodPut, host, path, "token", []byte("hello")))
			require.NoError(t, err)
			require.Less(t, status, 300)
			require.Equal(t, want, string(body), path)
		}
	}
	status, _, err := c.Ask(load.NewRequest(http.MethodPut, host, "/echo", "another", nil))
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, status)
}

func TestAClosedLoopCountsWhatItAsked(t *testing.T) {
	host, asked := server(t)
	c := dial(t, host, 4)
	const slice = 50 * time.Millisecond
	got, err := c.Closed(load.NewRequest(http.MethodPut, host, "/long", "token", []byte("x")), 0, slice, os.Getpid(), 0)
	require.NoError(t, err)
	require.Positive(t, got.Rate)
	// The server saw those, and one a connection of the warm-up; a connection may ask for longer than the slice, by one answer.
	require.LessOrEqual(t, got.Rate*slice.Seconds(), float64(asked.Load()))
	require.Len(t, got.CPU, 2)
	require.Zero(t, got.CPU[1], "of no process")
	_, err = c.Closed(load.NewRequest(http.MethodPut, host, "/echo", "token", nil), 0, time.Millisecond, 1<<30)
	require.Error(t, err, "of a process that is not there")
}

func TestAnOpenLoopSendsWhatIsDue(t *testing.T) {
	host, asked := server(t)
	c := dial(t, host, 1)
	request := load.NewRequest(http.MethodPut, host, "/long", "token", []byte("x"))
	took, err := c.Open(request, 1000, 100*time.Millisecond, 100*time.Millisecond, 7)
	require.NoError(t, err)
	all := asked.Swap(0)
	require.Greater(t, all, int64(len(took)), "the warm-up does not count")
	require.InDelta(t, 200, all, 80)
	require.InDelta(t, 100, len(took), 60)
	for _, d := range took {
		require.Positive(t, d)
	}
	again, err := c.Open(request, 1000, 100*time.Millisecond, 100*time.Millisecond, 7)
	require.NoError(t, err)
	require.Len(t, again, len(took), "the same seed, the same moments")
	require.Equal(t, all, asked.Load())
}

// A server that stalls delays what comes meanwhile, and that counts: requests are due whether or not others were answered.
func TestLatencyCountsFromWhenARequestIsDue(t *testing.T) {
	const stall = 200 * time.Millisecond
	gate, first := make(chan struct{}), &atomic.Bool{}
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if first.CompareAndSwap(false, true) {
			time.AfterFunc(stall, func() { close(gate) })
		}
		<-gate
	}))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	took, err := dial(t, host, 1).Open(load.NewRequest(http.MethodGet, host, "/", "token", nil), 1000, 0, stall, 1)
	require.NoError(t, err)
	late := 0
	for _, d := range took {
		if d > stall/4 {
			late++
		}
	}
	require.Greater(t, late, len(took)/2, "of %d", len(took))
}

func TestWhatIsNoSuccessEndsAMeasurement(t *testing.T) {
	host, _ := server(t)
	c := dial(t, host, 2)
	third := load.NewRequest(http.MethodPut, host, "/third", "token", nil)
	_, err := c.Closed(third, 0, time.Minute)
	require.ErrorContains(t, err, "418: the third")
	_, err = dial(t, host, 1).Open(third, 1000, 0, time.Minute, 1)
	require.ErrorContains(t, err, "418: the third")
	_, err = load.Dial("127.0.0.1:1", 1)
	require.Error(t, err)
}

func TestCPUOfAProcessGrows(t *testing.T) {
	before, err := load.CPU(os.Getpid())
	require.NoError(t, err)
	for used := before; used == before; { // ends when the next tick is counted
		used, err = load.CPU(os.Getpid())
		require.NoError(t, err)
	}
}
