// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mitchellh/go-homedir"
	"github.com/stretchr/testify/require"
)

// show runs the command until somebody has opened the link that it gives to a browser.
func show(t *testing.T, open func(link string), args ...string) result {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr bytes.Buffer
	a := &app{stdout: &stdout, stderr: &stderr, now: time.Now, browse: func(_ context.Context, link string) {
		go func() {
			defer stop()
			open(link)
		}()
	}}
	code := a.run(ctx, append([]string{"ui"}, args...))
	return result{code, stdout.String(), stderr.String()}
}

func TestTheMountIsShownUntilTheCommandIsInterrupted(t *testing.T) {
	s := newServer(t)
	t.Setenv("VAULT_TOKEN", "hvs.the-token")
	var opened string
	r := show(t, func(link string) {
		opened = link
		jar, _ := cookiejar.New(nil)
		browser := &http.Client{Jar: jar}
		for _, address := range []string{link, strings.Split(link, "/open")[0] + "/"} {
			answer, err := browser.Get(address)
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("%s: %v, %v", address, answer, err)
				return
			}
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if bytes.Contains(body, []byte("hvs.")) {
				t.Errorf("%s: the token", address)
			}
		}
	}, "-mount", "team/keys")
	require.Equal(t, exitOK, r.code, r.stderr)
	require.Contains(t, r.stdout, "team/keys/ on http://127.0.0.1:")
	require.Contains(t, r.stdout, "  "+opened+"\n")
	require.Regexp(t, `^http://127\.0\.0\.1:\d+/open\?secret=[0-9a-f]{32}$`, opened)
	for _, header := range s.headers() {
		require.Equal(t, "hvs.the-token", header.Get("X-Vault-Token"))
	}
	require.NotEmpty(t, s.headers())
}

func TestWhatIsTypedForThePagesMakesSense(t *testing.T) {
	k := newKit(t)
	t.Setenv("VAULT_TOKEN", "x")
	for _, args := range [][]string{{"file"}, {"-mount", ""}, {"-none"}} {
		require.Equal(t, exitUsage, k.run("", append([]string{"ui"}, args...)...).code, args)
	}
	r := k.run("", "ui", "-listen", "0.0.0.0:8080")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, `-listen: "0.0.0.0:8080": listens on 127.0.0.1`)
	t.Setenv("VAULT_TOKEN", "")
	t.Setenv("HOME", t.TempDir())
	homedir.Reset()
	t.Setenv("VAULT_CONFIG_PATH", filepath.Join(t.TempDir(), "none"))
	r = k.run("", "ui")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, "no token: set VAULT_TOKEN or run vault login\n")
}

func TestNoBrowserIsStartedWhereNobodyAskedForOne(t *testing.T) {
	newServer(t)
	t.Setenv("VAULT_TOKEN", "x")
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var stdout bytes.Buffer
	a := &app{stdout: &stdout, stderr: io.Discard, now: time.Now, browse: func(context.Context, string) { t.Error("a browser is started") }}
	require.Equal(t, exitOK, a.run(ctx, []string{"ui", "-no-open"}))
	require.Contains(t, stdout.String(), "/open?secret=")
}
