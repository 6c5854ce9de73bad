// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui_test

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

var mounts atomic.Int64

// newMount enables the engine at a path of the test's own. It stays until the server ends: to delete many keys takes longer than to
// make them.
func newMount(t *testing.T) string {
	t.Helper()
	path := fmt.Sprintf("keylife-%d", mounts.Add(1))
	world.vault.Mount(t, path, harness.PluginName)
	return path
}

// must sends a request to the mount.
func must(t *testing.T, mount, method, path string, body map[string]any) map[string]any {
	t.Helper()
	return world.vault.Must(t, method, mount+"/"+path, body)
}

// serve runs the command on a mount, with a token, and returns the link that it prints.
func serve(t *testing.T, mount, token string) string {
	t.Helper()
	command := exec.Command(world.command, "ui", "-mount", mount, "-no-open")
	command.Env = append(os.Environ(), "VAULT_ADDR="+world.vault.Address(), "VAULT_TOKEN="+token, "VAULT_NAMESPACE=")
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		require.NoError(t, command.Process.Signal(os.Interrupt))
		require.NoError(t, command.Wait())
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if link := regexp.MustCompile(`http://\S+/open\?secret=\S+`).FindString(lines.Text()); link != "" {
			return link
		}
	}
	require.NoError(t, lines.Err())
	t.Fatal("the command printed no link")
	return ""
}

// tab is a tab of the browser, on the pages of a mount.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string // of addresses

	mu       sync.Mutex
	asked    []string // addresses, of all requests
	problems []string // violations of the policy, errors of scripts, what could not be loaded
}

// open opens the link of a command that may do all, in a tab of its own.
func open(t *testing.T, mount string) *tab {
	t.Helper()
	return openAs(t, mount, world.vault.Client().Token())
}

func openAs(t *testing.T, mount, token string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(world.browser)
	t.Cleanup(stop)
	link := serve(t, mount, token)
	b := &tab{t: t, ctx: ctx, base: strings.Split(link, "/open")[0]}
	require.NoError(t, chromedp.Listen(ctx, b.hear))
	t.Cleanup(b.check)
	_, err := chromedp.Call(ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `addEventListener('securitypolicyviolation', (e) => console.error('policy: ' + e.violatedDirective + ' ' + e.blockedURI));`,
	})
	require.NoError(t, err)
	b.do(chromedp.Navigate(link), chromedp.WaitVisible("nav"))
	return b
}

// hear notes what a page does that it must not.
func (b *tab) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.asked = append(b.asked, e.Request.URL)
	case *runtime.EventExceptionThrown:
		b.problems = append(b.problems, fmt.Sprintf("%+v", e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		for _, arg := range e.Args {
			b.problems = append(b.problems, fmt.Sprint(arg.Value))
		}
	case *log.EventEntryAdded:
		b.problems = append(b.problems, e.Entry.Text)
	}
}

// check is what holds of each tab, whatever the test did in it.
func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(b.t, b.asked)
	for _, address := range b.asked {
		require.True(b.t, strings.HasPrefix(address, b.base+"/"), "a foreign request: %s", address)
	}
	require.Empty(b.t, b.problems)
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, steps...))
}

// visit opens a page and returns what it says.
func (b *tab) visit(path string) string {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
	return eval[string](b, `document.querySelector('main').innerText`)
}

func eval[T any](b *tab, script string) T {
	b.t.Helper()
	value, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err)
	return value
}

// look is how a page is seen.
type look struct {
	scheme string // light or dark
	width  int64
	media  string // print, or empty
}

var looks = []look{{"light", 1400, ""}, {"dark", 1400, ""}, {"light", 400, ""}, {"dark", 400, ""}, {"light", 1000, "print"}}

func (b *tab) as(l look) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: l.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
	})
	require.NoError(b.t, err)
	b.do(chromedp.EmulateViewport(l.width, 900))
}

// keep writes a picture of the page where pictures are kept.
func (b *tab) keep(name string) {
	b.t.Helper()
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.Greater(b.t, len(picture), 2000, "an empty picture")
	if folder := os.Getenv("KEYLIFE_SCREENSHOTS"); folder != "" {
		require.NoError(b.t, os.MkdirAll(folder, 0o755))
		require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644))
	}
}

// hurdle is what axe found.
type hurdle struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML, FailureSummary string }
}

// accessible requires that axe finds nothing serious or critical.
func (b *tab) accessible(where string) {
	b.t.Helper()
	script, err := os.ReadFile("testdata/axe.min.js")
	require.NoError(b.t, err)
	if !eval[bool](b, `typeof axe === 'object'`) {
		eval[bool](b, string(script)+"\ntrue")
	}
	found := eval[string](b, `axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations))`)
	var hurdles []hurdle
	require.NoError(b.t, json.Unmarshal([]byte(found), &hurdles))
	for _, h := range hurdles {
		require.NotContains(b.t, []string{"serious", "critical"}, h.Impact, "%s: %s: %s: %+v", where, h.ID, h.Help, h.Nodes)
	}
}

// many is how many keys a large mount has: KEYLIFE_UI_KEYS, or a thousand. Each of the five policies has as many.
func many(t *testing.T) int {
	t.Helper()
	count, err := strconv.Atoi(cmp.Or(os.Getenv("KEYLIFE_UI_KEYS"), "1000"))
	require.NoError(t, err, "KEYLIFE_UI_KEYS")
	require.True(t, count >= 1000 && count%5 == 0, "KEYLIFE_UI_KEYS: %d: at least 1000, and a multiple of 5", count)
	return count
}

// grouped is a number below a million as pages write it.
func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d\u202f%03d", n/1000, n%1000)
}

// makeKeys makes keys in parallel, under five policies.
func makeKeys(t *testing.T, mount string, count int) {
	t.Helper()
	for p := range 5 {
		must(t, mount, http.MethodPost, fmt.Sprintf("policies/p%d", p), map[string]any{"owner": fmt.Sprintf("team-%d", p), "rotation_period": fmt.Sprintf("%dd", 20*(p+1))})
	}
	var g sync.WaitGroup
	failed := make(chan string, count)
	for worker := range 32 {
		g.Go(func() {
			for i := worker; i < count; i += 32 {
				body := map[string]any{"policy": fmt.Sprintf("p%d", i%5), "owner": fmt.Sprintf("team-%d", i%7), "labels": map[string]string{"env": "prod"}}
				reply, err := world.vault.Send(harness.Request{Method: http.MethodPost, Path: fmt.Sprintf("%s/keys/key-%05d", mount, i), Body: body})
				if err != nil || reply.Status != http.StatusOK {
					failed <- fmt.Sprint(reply, err)
				}
			}
		})
	}
	g.Wait()
	require.Empty(t, failed)
}
