// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
)

func TestTheCheckerIsTheOneThatWasLookedAt(t *testing.T) {
	script, err := os.ReadFile("testdata/axe.min.js")
	require.NoError(t, err)
	want, err := os.ReadFile("testdata/axe.min.js.sha256")
	require.NoError(t, err)
	sum := sha256.Sum256(script)
	require.Equal(t, strings.Fields(string(want))[0], hex.EncodeToString(sum[:]))
}

// lookAtAll looks at all pages of a mount: no look of any keeps people out, or is wider than what it is seen on.
func (b *tab) lookAtAll(name string, pages map[string]string) {
	b.t.Helper()
	for page, path := range pages {
		for _, l := range looks {
			b.as(l)
			b.visit(path)
			where := fmt.Sprintf("%s-%s-%d%s-%s", name, page, l.width, l.media, l.scheme)
			require.False(b.t, eval[bool](b, `document.documentElement.scrollWidth > innerWidth`), "%s: the page is wider than the window", where)
			require.NotEqual(b.t, "owned", eval[string](b, `document.title`))
			b.keep(where)
			b.accessible(where)
		}
	}
}

func TestAMountWithoutKeys(t *testing.T) {
	mount := newMount(t)
	world.vault.Tick(t, mount) // until the first, the mount is not known to be well
	b := open(t, mount)
	require.Contains(t, b.visit("/"), "Nothing needs attention.")
	require.Contains(t, b.visit("/keys"), "This mount has no keys.")
	b.lookAtAll("empty", map[string]string{"attention": "/", "keys": "/keys", "calendar": "/calendar", "policies": "/policies", "approvals": "/approvals", "custody": "/custody"})
}

func TestAMountWithOneKey(t *testing.T) {
	mount := newMount(t)
	must(t, mount, http.MethodPost, "keys/first", map[string]any{})
	b := open(t, mount)
	require.Contains(t, b.visit("/keys"), "1 key.")
	b.lookAtAll("one", map[string]string{"keys": "/keys", "key": "/keys/first", "custody": "/custody?verify=all"})
}

func TestAMountInWhichSomethingHappened(t *testing.T) {
	mount := newMount(t)
	live(t, mount)
	b := open(t, mount)
	require.Contains(t, b.visit("/"), "fraud-scores")
	said := b.visit("/keys/orders")
	for _, text := range []string{"INC-2101: found in a core dump", "change of staff", "destroy", "compromised"} {
		require.Contains(t, said, text)
	}
	require.Contains(t, b.visit("/custody?verify=all"), "each names the one before")
	b.docs(mount)
	spoil(t, mount)
	pages := map[string]string{
		"attention": "/", "keys": "/keys", "key": "/keys/orders", "odd-key": "/keys/odd", "calendar": "/calendar", "policies": "/policies", "policy": "/policies/standard",
		"odd-policy": "/policies/odd", "approvals": "/approvals", "custody": "/custody?verify=all",
	}
	b.lookAtAll("live", pages)
	require.Contains(t, b.visit("/keys/odd"), "<script>document.title='owned'</script>")
	require.Contains(t, b.visit("/keys/odd"), "[U+202E]evil[U+200F]")
}

// docs writes the pictures of docs/ui.md, where that is asked for.
func (b *tab) docs(mount string) {
	b.t.Helper()
	if os.Getenv("UPDATE") == "" {
		return
	}
	for name, p := range map[string]struct {
		path string
		look look
		high int64
	}{
		"attention": {"/", look{"light", 1200, ""}, 780}, "keys": {"/keys", look{"dark", 1200, ""}, 640}, "key": {"/keys/orders", look{"light", 1200, ""}, 900},
		"calendar": {"/calendar?month=" + world.vault.Now().AddDate(0, 1, 0).Format("2006-01"), look{"light", 1200, ""}, 800}, "narrow": {"/keys/orders", look{"dark", 400, ""}, 800},
	} {
		b.as(p.look)
		b.do(chromedp.EmulateViewport(p.look.width, p.high))
		b.visit(p.path)
		picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		require.NoError(b.t, err)
		require.LessOrEqual(b.t, len(picture), 150<<10, name)
		require.NoError(b.t, os.MkdirAll("../../docs/ui", 0o755))
		require.NoError(b.t, os.WriteFile(filepath.Join("../../docs/ui", name+".png"), picture, 0o644))
	}
}

// Many keys are a page like any other, and all of them are counted and in the file.
func TestAMountWithManyKeys(t *testing.T) {
	count := many(t)
	mount := newMount(t)
	makeKeys(t, mount, count)
	b := open(t, mount)
	require.Contains(t, b.visit("/keys"), "100 keys on this page.")
	require.Contains(t, b.visit("/keys?count=all"), grouped(count)+" keys.")
	require.Contains(t, b.visit("/keys?policy=p1&count=all"), grouped(count/5)+" keys pass.")
	lines := eval[int](b, `fetch('/keys.csv').then((a) => a.text()).then((text) => text.trim().split('\n').length)`)
	require.Equal(t, count+1, lines)
	month := world.vault.Now().AddDate(0, 1, 0).Format("2006-01")
	require.Contains(t, b.visit("/calendar?month="+month), "rotate ×")
	b.lookAtAll("many", map[string]string{"attention": "/", "keys": "/keys", "calendar": "/calendar?month=" + month, "policy": "/policies/p0"})
}

func (b *tab) press(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.do(chromedp.KeyEvent(key))
	}
}

// focused says where the focus is, and that it is seen there.
func (b *tab) focused() string {
	b.t.Helper()
	require.True(b.t, eval[bool](b, `document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== 'none'`), "the focus is not seen")
	return eval[string](b, `(document.activeElement.innerText || document.activeElement.name || document.activeElement.getAttribute('aria-label') || '').trim()`)
}

func TestAWalkByKeyboard(t *testing.T) {
	mount := newMount(t)
	for _, name := range []string{"apple", "apricot", "pear"} {
		must(t, mount, http.MethodPost, "keys/"+name, map[string]any{})
	}
	b := open(t, mount)
	b.visit("/")
	for _, want := range []string{"Skip to the content", "keylife", "Attention", "Keys"} {
		b.press(kb.Tab)
		require.Equal(t, want, b.focused())
	}
	b.do(chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("form.filter"))
	b.press(kb.Tab, kb.Enter) // over the menu
	b.do(chromedp.WaitReady("main"))
	require.Equal(t, "main", eval[string](b, `document.activeElement.id`))
	b.press(kb.Tab)
	require.Equal(t, "CSV", b.focused())
	b.press(kb.Tab)
	require.Equal(t, "prefix", b.focused())
	b.press("ap", kb.Enter)
	b.do(chromedp.WaitVisible(`a[href="/keys/apricot"]`), chromedp.WaitNotPresent(`a[href="/keys/pear"]`))
	require.Contains(t, eval[string](b, `location.search`), "prefix=ap")
	for range 40 {
		b.press(kb.Tab)
		if b.focused() == "apricot" {
			break
		}
	}
	b.do(chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible("svg.timeline"))
	require.Equal(t, "/keys/apricot", eval[string](b, `location.pathname`))
}

// The script puts the new <main> in the place of the old one, without a new page, and the focus stays where it was.
func TestThePageReadsItselfAgain(t *testing.T) {
	mount := newMount(t)
	must(t, mount, http.MethodPost, "keys/first", map[string]any{})
	b := open(t, mount)
	b.visit("/keys")
	eval[bool](b, `(window.same = true) && (document.querySelector('main a[href="/keys/first"]').focus(), true)`)
	must(t, mount, http.MethodPost, "keys/second", map[string]any{})
	eval[bool](b, `refresh().then(() => true)`)
	require.True(t, eval[bool](b, `window.same && !!document.querySelector('a[href="/keys/second"]')`))
	require.Equal(t, "first", b.focused())
}

func TestAllWorksWithoutTheScript(t *testing.T) {
	mount := newMount(t)
	must(t, mount, http.MethodPost, "policies/standard", map[string]any{"owner": "team", "rotation_period": "30d"})
	must(t, mount, http.MethodPost, "keys/first", map[string]any{"policy": "standard"})
	b := open(t, mount)
	b.visit("/policies/standard")
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	require.NoError(t, err)
	b.do(
		chromedp.Navigate(b.base+"/policies/standard"),
		chromedp.SetValue("#candidate", "owner = \"team\"\nrotation {\n  period = \"30d\"\n}\n"), chromedp.Click(`form[method=post] button`), chromedp.WaitVisible("section.result"),
	)
	said, err := chromedp.Run(b.ctx, chromedp.Text("section.result"))
	require.NoError(t, err)
	require.Contains(t, said, "The candidate is refused (400): document: line 2, column 1")
	b.do(
		chromedp.SetValue("#candidate", "owner = \"team\"\nrotation_period = \"60d\"\n"), chromedp.Click(`form[method=post] button`),
		chromedp.WaitVisible("section.result table"),
	)
	said, err = chromedp.Run(b.ctx, chromedp.Text("section.result"))
	require.NoError(t, err)
	require.Contains(t, said, "It would be revision 2")
	require.Contains(t, said, "first")
	require.EqualValues(t, "1", fmt.Sprint(must(t, mount, http.MethodGet, "policies/standard", nil)["revision"]), "nothing was written")
}

// A browser that did not open the link gets nothing, also where its user knows the address.
func TestAnotherBrowserIsNotLetIn(t *testing.T) {
	b := open(t, newMount(t))
	for _, path := range []string{"/", "/keys.csv"} {
		answer, err := http.Get(b.base + path) //nolint:noctx // the server's own address
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		require.Equal(t, http.StatusForbidden, answer.StatusCode)
	}
}

// The rights that docs/ui.md names are enough for all pages, and for no more.
func TestTheRightsOfTheDocumentationAreEnough(t *testing.T) {
	mount := newMount(t)
	must(t, mount, http.MethodPost, "policies/standard", map[string]any{"owner": "team", "rotation_period": "30d"})
	must(t, mount, http.MethodPost, "keys/first", map[string]any{"policy": "standard"})
	text, err := os.ReadFile("../../docs/ui.md")
	require.NoError(t, err)
	_, rights, found := strings.Cut(string(text), "```hcl\n")
	require.True(t, found)
	rights, _, _ = strings.Cut(rights, "```")
	rights = strings.ReplaceAll(rights, `"keylife/`, `"`+mount+`/`)
	world.vault.Must(t, http.MethodPut, "sys/policies/acl/viewer", map[string]any{"policy": rights})
	secret, err := world.vault.Client().Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"viewer"}, NoDefaultPolicy: true})
	require.NoError(t, err)
	viewer := openAs(t, mount, secret.Auth.ClientToken)
	for _, path := range []string{"/", "/keys", "/keys/first", "/calendar", "/policies", "/policies/standard", "/approvals", "/custody?verify=all"} {
		require.NotContains(t, viewer.visit(path), "may not read", path)
	}
	viewer.do(chromedp.Navigate(viewer.base+"/policies/standard"), chromedp.Click(`form[method=post] button`), chromedp.WaitVisible("section.result"))
	require.Contains(t, eval[string](viewer, `document.querySelector('section.result').innerText`), "No field: revision 2 would keep the text of the document")

	secret, err = world.vault.Client().Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"default"}})
	require.NoError(t, err)
	nobody := openAs(t, mount, secret.Auth.ClientToken)
	require.Contains(t, nobody.visit("/"), "Nothing of what this token may read needs attention.")
	require.Contains(t, nobody.visit("/keys/first"), "This token may not read keys/first (403).")
}
