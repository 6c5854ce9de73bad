// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui_test

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func contextOf(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

// plan posts a candidate.
func (k *kit) plan(candidate string) (status int, body string) {
	k.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/policies/pci", strings.NewReader(url.Values{"candidate": {candidate}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	status, body, _ = k.send(r)
	return status, body
}

func TestHostileTextsStayTexts(t *testing.T) {
	k := opened(t)
	shown := map[string]string{}
	for _, page := range pages {
		shown[page] = k.ok(page)
	}
	_, shown["plan"] = k.plan("owner = \"x\"")
	for page, body := range shown {
		require.NotContains(t, body, "<script>alert", page)
		require.NotContains(t, body, "<img", page)
		require.NotContains(t, body, "\u202e", page)
		require.NotContains(t, body, "\u200f", page)
		require.NotContains(t, body, "style=", page)
		require.NotRegexp(t, `<[^>]* on[a-z]+=`, regexp.MustCompile(`"[^"]*"`).ReplaceAllString(body, ""), page)
		require.Contains(t, body, "&lt;script&gt;alert(1)", page)
		require.Contains(t, body, `[U&#43;202E]evil`, page)
	}
}

func TestTheTokenIsInNoByteThatIsSent(t *testing.T) {
	k := opened(t)
	for _, page := range append([]string{"/keys.csv", "/none", "/static/refresh.js"}, pages...) {
		k.get(page)
	}
	k.plan(token[:5])
	for path := range k.answers { // and where Vault refuses
		k.answers[path] = "403"
	}
	for _, page := range pages {
		k.get(page)
	}
	require.Greater(t, k.sent.Len(), 100_000)
	require.NotContains(t, k.sent.String(), token)
	require.NotContains(t, k.sent.String(), token[5:])
}

func TestOnlyReadsAndPlansReachVault(t *testing.T) {
	k := opened(t)
	for _, page := range append([]string{"/keys.csv"}, pages...) {
		k.ok(page)
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
			r := httptest.NewRequest(method, page, nil)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			k.send(r)
		}
	}
	k.plan("")
	for _, request := range k.asked {
		require.True(t, strings.HasPrefix(request, "GET ") || request == "PUT policies/pci/plan", request)
	}
	require.Contains(t, k.asked, "PUT policies/pci/plan")
}

func TestAPathThatTheTokenMayNotReadIsSaidAndTheOthersAreShown(t *testing.T) {
	for path, c := range map[string]struct{ page, other string }{
		"rotation/status":           {"/", "Reviews that wait"},
		"LIST reviews":              {"/", "Requests that wait"},
		"calendar":                  {"/", "Keys that need somebody"},
		"LIST policies":             {"/", "Keys that need somebody"},
		"keys/orders":               {"/keys/orders", "<svg class=\"timeline\""},
		"keys/orders/history":       {"/keys/orders", "<svg class=\"timeline\""},
		"LIST keys/orders/versions": {"/keys/orders", "What the clock will do"},
		"access-review":             {"/keys/orders", "Convergence"},
		"policies/pci":              {"/policies/pci", "Compare"},
		"policies/pci/drift":        {"/policies/pci", "Compare"},
		"config/history":            {"/custody", "Checkpoints"},
		"custody/export":            {"/custody?verify=all", "Acts on the mount"},
		"inventory":                 {"/keys", "Name begins with"},
	} {
		t.Run(path, func(t *testing.T) {
			k := opened(t)
			k.answers[path] = "403"
			body := k.ok(c.page)
			require.Contains(t, body, "This token may not read <code>"+strings.TrimPrefix(path, "LIST ")+"</code> (403).")
			require.Contains(t, body, c.other)
		})
	}
}

func TestAMountWithNothingSaysSo(t *testing.T) {
	k := opened(t)
	k.answers = map[string]string{
		"rotation/status": `{"progress":{"started_time":"2026-03-01T11:59:30Z"},"due_complete":true}`, "config/clock": `{"now":"2026-03-01T12:00:30Z"}`,
		"inventory": `{"keys":[],"time":"2026-03-01T12:00:30Z"}`, "calendar": `{"events":[]}`, "access-review": `{"due":true,"entities":[]}`, "config/history": `{"records":[]}`,
	}
	body := k.ok("/")
	require.Contains(t, body, "Nothing needs attention.")
	require.Contains(t, body, `<time datetime="2026-03-01T11:59:30Z">`)
	require.Contains(t, k.ok("/keys"), "This mount has no keys.")
	require.Contains(t, k.ok("/policies"), "This mount has no policies")
	require.Contains(t, k.ok("/calendar"), "No events")
	k.answers["rotation/status"] = "403"
	require.Contains(t, k.ok("/"), "Nothing of what this token may read needs attention.")
}

func TestWhatIsOfNoNameIsNotFound(t *testing.T) {
	k := opened(t)
	for _, path := range []string{"/keys/none", "/keys/..", "/keys/a%2fb", "/policies/none", "/approvals/ap-9", "/reviews/rv-9", "/other", "/keys/orders/x"} {
		status, _ := k.get(path)
		require.Contains(t, []int{http.StatusNotFound, http.StatusMovedPermanently, http.StatusTemporaryRedirect}, status, path)
	}
	for _, request := range k.asked {
		require.NotContains(t, request, "..")
	}
}

func TestAFileOfKeysHasNoFormulas(t *testing.T) {
	k := opened(t)
	lines, err := csv.NewReader(strings.NewReader(k.ok("/keys.csv?policy=pci"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 3)
	require.Equal(t, "name", lines[0][0])
	require.Equal(t, "orders", lines[1][0])
	for _, line := range lines {
		for _, cell := range line {
			require.NotRegexp(t, `^[=+@\-]`, cell)
		}
	}
	require.Contains(t, strings.Join(lines[1], "|"), "|'=<script>")
	k.answers["inventory"] = "403"
	status, _ := k.get("/keys.csv")
	require.Equal(t, http.StatusBadGateway, status)
}

// The filter of the form is that of the path, and links keep it.
func TestAFilterIsAskedForAndKept(t *testing.T) {
	k := opened(t)
	k.answers["inventory"] = `{"keys":[{"name":"a","state":"enabled"}],"next":"a","scanned":5000}`
	body := k.ok("/keys?policy=pci&label=env%3Dprod&state=enabled")
	require.Contains(t, body, `value="env=prod"`)
	require.Contains(t, body, `<option selected>enabled</option>`)
	require.Contains(t, body, "after=a&amp;label=env%3Dprod&amp;policy=pci&amp;state=enabled")
	require.Contains(t, body, `href="/keys.csv?label=env%3Dprod&amp;policy=pci&amp;state=enabled"`)
	require.Len(t, k.asked, 5, "of a filter that lets few keys pass, so many pages are read")
}

func TestAPlanShowsWhatWouldChange(t *testing.T) {
	k := opened(t)
	status, body := k.plan("owner = \"x\"\r\n")
	require.Equal(t, http.StatusOK, status)
	for _, text := range []string{"It would be revision 3", "2 of &lt;script&gt;", "looser", "Due at once", "no longer", "due at once"} {
		require.Contains(t, body, text)
	}
	require.Contains(t, body, "owner = &#34;x&#34;\n</textarea>")
	k.answers["policies/pci/plan"] = "403"
	_, body = k.plan("x")
	require.Contains(t, body, "This token may not read <code>policies/pci/plan</code> (403).")
	status, body = k.plan(strings.Repeat("x", 300_000))
	require.Equal(t, http.StatusRequestEntityTooLarge, status)
	require.Contains(t, body, "candidate: more than 262144 bytes")
}

// The candidate that the form begins with is the policy in force: HCL's templates and hidden characters are escaped.
func TestTheCandidateBeginsWithThePolicyInForce(t *testing.T) {
	k := opened(t)
	body := k.ok("/policies/pci")
	require.Contains(t, body, `reason_pattern = &#34;$${a}%%{b}&#34;`)
	require.Contains(t, body, `\u202Eevil\u200F`)
	require.Contains(t, body, `rotation_period = &#34;30d&#34;`)
	require.NotContains(t, body, "hash = ")
}

func TestTheTimelineIsDrawn(t *testing.T) {
	body := opened(t).ok("/keys/orders")
	for _, text := range []string{
		`<g class="span active">`, `<g class="span deactivated">`, `<g class="span retired">`, `<g class="span retired planned">`, `<g class="span destroyed planned">`,
		`class="mark irreversible planned"`, `<strong class="chip irreversible">destroy</strong>`, `<g class="now">`, `>v3</text>`, "Not measured",
	} {
		require.Contains(t, body, text)
	}
	require.Contains(t, body, `<meter aria-label="Encryptions, against the limit" min="0" max="1000" value="999">`)
	require.Contains(t, body, "999 of 1\u202f000, 99.9 %")
}

func TestAMonthHasWholeWeeksAndItsEvents(t *testing.T) {
	k := opened(t)
	body := k.ok("/calendar")
	require.Equal(t, 0, strings.Count(body, `<span class="date">`)%7)
	require.Equal(t, 1, strings.Count(body, " today\""))
	require.Contains(t, body, "1 irreversible")
	require.NotContains(t, body, `rel="prev"`, "what is over is not shown")
	require.Contains(t, k.ok("/calendar?month=2026-05"), `rel="prev" href="?month=2026-04"`)
	require.Contains(t, k.ok("/calendar?month=2020-01"), "<h1>March 2026</h1>")
	for _, link := range []string{`href="/reviews/rv-1"`, `href="/approvals/ap-1"`, `href="/keys/torn"`} {
		require.Contains(t, body, link)
	}
}

func TestManyEventsAreCountedAndTheFirstListed(t *testing.T) {
	k := opened(t)
	var events []string
	for i := range 700 {
		events = append(events, fmt.Sprintf(`{"at":"2026-03-10T%02d:00:00Z","key":"k%d","what":"rotate"}`, i%24, i))
	}
	k.answers["calendar"] = `{"events":[` + strings.Join(events, ",") + `]}`
	body := k.ok("/calendar")
	require.Contains(t, body, "rotate ×700")
	require.Contains(t, body, "500 events in the list, 200 more in the month")
	require.Equal(t, 500, strings.Count(body, `<th scope="row">`))
}

// Tables are for readers of screens, too: each has a caption, and its heads say what of.
func TestTablesHaveCaptionsAndScopes(t *testing.T) {
	k := opened(t)
	for _, page := range pages {
		body := k.ok(page)
		require.Equal(t, strings.Count(body, "<table"), strings.Count(body, "<caption>"), page)
		require.NotRegexp(t, `<th(>| class)`, body, page)
		require.Equal(t, 1, strings.Count(body, "<h1"), page)
		require.Equal(t, 1, strings.Count(body, `aria-current="page"`), page)
	}
}

func TestTheScriptIsShort(t *testing.T) {
	require.LessOrEqual(t, strings.Count(opened(t).ok("/static/refresh.js"), "\n"), 60)
}
