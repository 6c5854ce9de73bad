// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package proxy_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/apps/proxy"
)

// visitor asks a server through a proxy, on a connection that stays open.
type visitor struct {
	proxy  *proxy.Proxy
	client *http.Client
}

func visit(t *testing.T) visitor {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	v := visitor{proxy: proxy.Start(t, server.Listener.Addr().String()), client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(v.client.CloseIdleConnections)
	require.NoError(t, v.ask(t.Context()))
	return v
}

func (v visitor) ask(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+v.proxy.Address(), nil)
	if err != nil {
		return err
	}
	answer, err := v.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.ReadAll(answer.Body)
	return err
}

func TestRefusedConnectionsAreReset(t *testing.T) {
	v := visit(t)
	v.proxy.Set(proxy.Fault{Refuse: true})
	require.Error(t, v.ask(t.Context()), "on the connection that was open")
	require.ErrorIs(t, v.ask(t.Context()), syscall.ECONNRESET, "on a new one")
	v.proxy.Set(proxy.Fault{})
	require.NoError(t, v.ask(t.Context()))
}

func TestWhatIsHeldIsPassedOnLater(t *testing.T) {
	v := visit(t)
	v.proxy.Set(proxy.Fault{Hold: true})
	impatient, giveUp := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer giveUp()
	require.ErrorIs(t, v.ask(impatient), context.DeadlineExceeded)
	answered := make(chan error, 1)
	go func() { answered <- v.ask(t.Context()) }()
	v.proxy.Set(proxy.Fault{})
	require.NoError(t, <-answered)
}

func TestAnswersAreDelayed(t *testing.T) {
	v := visit(t)
	const delay = 200 * time.Millisecond
	v.proxy.Set(proxy.Fault{Delay: delay})
	begun := time.Now()
	require.NoError(t, v.ask(t.Context()))
	require.GreaterOrEqual(t, time.Since(begun), delay)
}

func TestACutEndsOnlyTheConnectionsThereAre(t *testing.T) {
	v := visit(t)
	v.proxy.Set(proxy.Fault{Hold: true})
	answered := make(chan error, 1)
	go func() { answered <- v.ask(t.Context()) }()
	for len(answered) == 0 {
		v.proxy.Cut()
	}
	require.Error(t, <-answered)
	v.proxy.Set(proxy.Fault{})
	require.NoError(t, v.ask(t.Context()))
}
