// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui"
)

func TestTheLinkWorksOnce(t *testing.T) {
	k := newKit(t)
	require.Len(t, k.secret, 32) // 128 bits, in hex
	for _, wrong := range []string{"", "?secret=", "?secret=" + strings.Repeat("0", 32), "?secret=" + k.secret[:31]} {
		status, body := k.get("/open" + wrong)
		require.Equal(t, http.StatusForbidden, status, wrong)
		require.Contains(t, body, "a link works once")
	}
	status, _, _ := k.send(httptest.NewRequest(http.MethodHead, "/open?secret="+k.secret, nil)) // of what looks at links
	require.Equal(t, http.StatusNoContent, status)
	k.open()
	require.True(t, k.cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, k.cookie.SameSite)
	require.Zero(t, k.cookie.MaxAge)
	require.NotContains(t, k.cookie.Value, k.secret)
	k.ok("/")
	used, _ := k.get("/open?secret=" + k.secret)
	require.Equal(t, http.StatusForbidden, used)
	k.ok("/") // the session goes on
}

func TestWithoutTheCookieThereIsNoPage(t *testing.T) {
	k := newKit(t)
	for _, set := range []*http.Cookie{nil, {Name: "keylife-ui-" + strings.Split(k.host, ":")[1], Value: ""}, {Name: "keylife-ui-" + strings.Split(k.host, ":")[1], Value: strings.Repeat("0", 32)}} {
		k.cookie = set
		for _, page := range append([]string{"/keys.csv", "/none"}, pages...) {
			status, _ := k.get(page)
			require.Equal(t, http.StatusForbidden, status, page)
		}
	}
	k.open()
	k.cookie.Value = strings.Repeat("0", 32)
	status, _ := k.get("/")
	require.Equal(t, http.StatusForbidden, status)
	require.Empty(t, k.asked)
}

func TestAForeignHostIsRefused(t *testing.T) {
	k := opened(t)
	for _, host := range []string{"localhost:" + strings.Split(k.host, ":")[1], "127.0.0.1", "evil.example", "127.0.0.1:1", ""} {
		for _, path := range []string{"/", "/static/style.css", "/open?secret=x"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			status, _, _ := k.send(r)
			require.Equal(t, http.StatusForbidden, status, "%s %s", host, path)
		}
	}
	require.Empty(t, k.asked)
}

func TestAPostOfAnotherOriginIsRefused(t *testing.T) {
	k := opened(t)
	post := func(header, value string) int {
		r := httptest.NewRequest(http.MethodPost, "/policies/pci", strings.NewReader("candidate=owner"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set(header, value)
		status, _, _ := k.send(r)
		return status
	}
	require.Equal(t, http.StatusForbidden, post("Sec-Fetch-Site", "cross-site"))
	require.Equal(t, http.StatusForbidden, post("Sec-Fetch-Site", "same-site")) // another port of this machine
	require.Equal(t, http.StatusForbidden, post("Origin", "http://evil.example"))
	require.Empty(t, k.asked)
	require.Equal(t, http.StatusOK, post("Sec-Fetch-Site", "same-origin"))
	require.Equal(t, http.StatusOK, post("Origin", "http://"+k.host))
}

func TestEveryAnswerHasTheHeaders(t *testing.T) {
	k := opened(t)
	for _, path := range append([]string{"/none", "/static/style.css", "/keys.csv", "/open"}, pages...) {
		_, _, header := k.send(httptest.NewRequest(http.MethodGet, path, nil))
		policy := header.Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'", path)
		require.NotContains(t, policy, "unsafe", path)
		require.Equal(t, []string{"nosniff", "no-referrer", "no-store", "same-origin", "same-origin"}, []string{
			header.Get("X-Content-Type-Options"), header.Get("Referrer-Policy"), header.Get("Cache-Control"), header.Get("Cross-Origin-Opener-Policy"),
			header.Get("Cross-Origin-Resource-Policy"),
		}, path)
	}
}

func TestOnlyTheLoopbackAddressIsListenedAt(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "localhost:0", "[::1]:0", "127.0.0.2:0", "192.0.2.1:0", "127.0.0.1", ""} {
		_, err := ui.New(nil, address, nil, nil)
		require.ErrorContains(t, err, "127.0.0.1 and a port", address)
	}
}

func TestWithoutChanceThereIsNoServer(t *testing.T) {
	_, err := ui.New(nil, "127.0.0.1:0", iotest.ErrReader(errors.New("no entropy")), nil)
	require.ErrorContains(t, err, "no entropy")
}

func TestAServerEndsWithItsContext(t *testing.T) {
	k := newKit(t)
	ctx, stop := contextOf(t)
	ended := make(chan error, 1)
	go func() { ended <- k.server.Serve(ctx) }()
	answer, err := http.Get(k.server.Link()) //nolint:noctx // the server's own address
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	require.Equal(t, http.StatusOK, answer.StatusCode)
	stop()
	require.NoError(t, <-ended)
}
