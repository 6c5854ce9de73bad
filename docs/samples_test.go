// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// blocks are the parts of a page that are run, in their order, on a mount of the page's own: those of samples, and comments
// that begin with "before", with what has to be done for the samples behind them: requests, "wait 24h", "jump 24h" of a
// clock that ran on without the mount, "as bob" of requests that bob sends from there on, and "ask" before one to which others
// have to consent.
var blocks = regexp.MustCompile("(?ms)^(?:```\n(.*?)^```$|<!-- before\n(.*?)^-->$)")

// reader sends the samples of a page, as one would who reads it from the top.
type reader struct {
	*mounttest.Mount
	// What the page shows of an answer, and what was answered in fact: a ciphertext, an identifier. What it shows the beginning
	// of is in begun.
	known, begun map[string]string
}

func TestTheSamplesOfTheReferenceDoWhatTheyShow(t *testing.T) {
	files, err := filepath.Glob("api/*.md")
	require.NoError(t, err)
	var mu sync.Mutex
	shown := map[string]bool{}
	t.Run("pages", func(t *testing.T) {
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				paths := runPage(t, file)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(shown, paths)
			})
		}
	})
	if t.Failed() {
		return
	}
	all := published(t)
	for _, endpoint := range slices.Sorted(maps.Keys(all)) {
		require.True(t, slices.ContainsFunc(slices.Collect(maps.Keys(shown)), func(sent string) bool { return leads(sent, endpoint, all) }),
			"%s has no sample", endpoint)
	}
}

// leads says whether a request is one to an endpoint, and not to another one that names more of the path.
func leads(sent, endpoint string, all map[string]bool) bool {
	fits := func(endpoint string) bool {
		pattern := regexp.MustCompile(`:\w+`).ReplaceAllString(regexp.QuoteMeta(endpoint), `[^/ ]+`)
		return regexp.MustCompile("^" + pattern + "$").MatchString(sent)
	}
	return fits(endpoint) && (!strings.Contains(endpoint, ":") || !slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(other string) bool {
		return strings.Count(other, ":") < strings.Count(endpoint, ":") && fits(other)
	}))
}

// runPage returns the requests that the page shows.
func runPage(t *testing.T, file string) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	r := &reader{Mount: mountOf(t, filepath.Base(file)), known: map[string]string{}, begun: map[string]string{}}
	sent := map[string]bool{}
	made := blocks.ReplaceAllStringFunc(string(text), func(block string) string {
		match := blocks.FindStringSubmatch(block)
		if match[2] != "" {
			r.prepare(t, strings.Split(strings.TrimSuffix(match[2], "\n"), "\n"))
			return block
		}
		lines := strings.Split(strings.TrimSuffix(match[1], "\n"), "\n")
		var out []string
		next := 0
		for _, s := range samplesOf(t, lines) {
			out = append(append(out, lines[next:s.answered]...), s.text, r.run(t, s))
			next = s.further
			sent[s.method+" "+s.path] = true
		}
		out = append(out, lines[next:]...)
		return "```\n" + strings.Join(out, "\n") + "\n```"
	})
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(made), 0o600))
	}
	return sent
}

func (r *reader) prepare(t *testing.T, lines []string) {
	t.Helper()
	for _, line := range lines {
		verb, rest, _ := strings.Cut(line, " ")
		if span, err := time.ParseDuration(rest); err == nil {
			r.pass(t, verb, span)
			continue
		}
		if verb == "as" {
			require.Contains(t, people, rest)
			r.Caller = callerOf(people[rest], rest)
			continue
		}
		line, asks := strings.CutPrefix(line, "ask ")
		all := samplesOf(t, []string{line})
		require.Len(t, all, 1, line)
		answer := r.send(t, all[0])
		if asks {
			require.Equal(t, http.StatusPreconditionRequired, answer.Status, "%s: %s", line, answer.Err)
			continue
		}
		require.Less(t, answer.Status, 300, "%s: %s", line, answer.Err)
	}
}

// pass lets time go by, which the clock guard is told of or has to find out.
func (r *reader) pass(t *testing.T, how string, span time.Duration) {
	t.Helper()
	switch how {
	case "wait":
		r.Leap(span)
	case "jump":
		require.NoError(t, r.Tick())
		r.Clock.Add(span)
		require.NoError(t, r.Tick())
	default:
		t.Fatal(how)
	}
}

// run sends a request and returns the answer as the page has to have it.
func (r *reader) run(t *testing.T, s sample) string {
	t.Helper()
	got := r.send(t, s)
	r.complete(t, s, got)
	answered := s
	answered.some = s.some && got.Status < 300
	answered.status, answered.warnings = got.Status, strings.Join(got.Warnings, "; ")
	answered.answer = nil
	switch {
	case got.Status >= 300 && got.Data == nil:
		answered.answer = mounttest.AsJSON[any](t, map[string]any{"errors": slices.DeleteFunc([]string{got.Err}, func(s string) bool { return s == "" })})
	case got.Data != nil:
		answered.answer = mounttest.AsJSON[any](t, got.Data)
	}
	if fields, ok := answered.answer.(map[string]any); ok && s.some && got.Status < 300 {
		maps.DeleteFunc(fields, func(name string, _ any) bool { _, shown := s.answer.(map[string]any)[name]; return !shown })
	}
	if r.same(s, answered) {
		r.learn(s.answer, answered.answer)
		if *update {
			return s.render(t)
		}
		return ""
	}
	short := answered
	short.answer = substitute(shorten(mounttest.AsJSON(t, answered.answer)), reversed(r.known))
	require.True(t, *update, "%s\nshows\n%s\nand the answer is\n%s\nto renew the answers: go test ./docs -update", s.text, s.render(t), short.render(t))
	r.learn(short.answer, answered.answer)
	return short.render(t)
}

// complete demands that OpenAPI tells of all that an answer has.
func (r *reader) complete(t *testing.T, s sample, got mounttest.Answer) {
	t.Helper()
	if got.Status >= http.StatusMultipleChoices || got.Status == http.StatusNoContent {
		return
	}
	operation := r.Framework().Route(s.path).Operations[operations[s.method]]
	answers := operation.Properties().Responses[http.StatusOK]
	require.NotEmpty(t, answers, "%s %s answers %d, and OpenAPI does not say so", s.method, s.path, got.Status)
	for name := range got.Data {
		require.Contains(t, answers[0].Fields, name, "%s %s answers with %s, and OpenAPI does not say so", s.method, s.path, name)
	}
}

var operations = map[string]logical.Operation{"GET": logical.ReadOperation, "LIST": logical.ListOperation, "POST": logical.UpdateOperation, "DELETE": logical.DeleteOperation}

// send sends a request with what was answered in fact in the place of what the page shows of it.
func (r *reader) send(t *testing.T, s sample) mounttest.Answer {
	t.Helper()
	if name, of := strings.CutSuffix(strings.TrimPrefix(s.path, "keys/"), "/set-certificate"); of {
		r.certify(t, name, s.body["certificate_chain"].(string))
	}
	path, body := substitute(s.path, r.known), substitute(substitute(s.body, r.begun), r.known)
	return r.Do(operations[s.method], path, body)
}

// certify makes the certificate of a key that the page shows: somebody outside of the mount signs it.
func (r *reader) certify(t *testing.T, name, shown string) {
	t.Helper()
	versions := mounttest.AsJSON[any](t, r.Must(r.Read("keys/" + name)).Data["keys"]).(map[string]any)
	r.begun[shown] = mounttest.Certified(t, versions["1"].(map[string]any)["public_key"].(string))
}

// substitute is a value with other texts in the place of some, also in the names of fields.
func substitute[T any](value T, texts map[string]string) T {
	var out any
	switch v := any(value).(type) {
	case map[string]any:
		fields := map[string]any{}
		for name, inner := range v {
			fields[substitute(name, texts)] = substitute(inner, texts)
		}
		out = fields
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = substitute(list[i], texts)
		}
		out = list
	case string:
		for from, to := range texts {
			v = strings.ReplaceAll(v, from, to)
		}
		out = v
	default:
		return value
	}
	return out.(T)
}

// reversed has what was answered in fact, and what the page shows of it.
func reversed(texts map[string]string) map[string]string {
	out := map[string]string{}
	for shown, actual := range texts {
		out[actual] = shown
	}
	return out
}

// learn remembers the texts that are others than the page shows.
func (r *reader) learn(shown, actual any) {
	switch s := shown.(type) {
	case map[string]any:
		for name := range s {
			r.learn(s[name], actual.(map[string]any)[substitute(name, r.known)])
		}
	case []any:
		for i := range s {
			r.learn(s[i], actual.([]any)[i])
		}
	case string:
		a, _ := actual.(string)
		switch _, again := r.known[s]; {
		case a == s || aTime.MatchString(s):
		case strings.HasSuffix(s, "..."):
			r.begun[s] = a
		case !again:
			r.known[s] = a
		}
	}
}

func (r *reader) same(shown, got sample) bool {
	return shown.status == got.status && mask(shown.warnings) == mask(got.warnings) && alike(substitute(shown.answer, r.known), got.answer)
}

// alike says whether an answer is as it is shown, but for what is another each time.
func alike(shown, got any) bool {
	switch s := shown.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		return ok && maps.EqualFunc(s, g, alike)
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(inOrder(s), inOrder(g), alike)
	case string:
		g, ok := got.(string)
		head, _, cut := strings.Cut(s, "...")
		return ok && (mask(s) == mask(g) || cut && len(g) > len(head))
	case float64:
		g, ok := got.(float64)
		return ok && s == g
	default:
		return shown == got
	}
}

// inOrder sorts a list of identifiers that were drawn: it is in another order each time.
func inOrder(list []any) []any {
	isDrawn := func(v any) bool { text, ok := v.(string); return ok && anID.MatchString(text) }
	if slices.ContainsFunc(list, func(v any) bool { return !isDrawn(v) }) {
		return list
	}
	return slices.SortedFunc(slices.Values(list), func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
}

var (
	anID    = regexp.MustCompile(`^[0-9a-f]{32}$`)
	aTime   = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	aCipher = regexp.MustCompile(`vault:v(\d+):[A-Za-z0-9+/=_-]+`)
	aSecret = regexp.MustCompile(`[A-Za-z0-9+/_-]{22,}=*`)
)

// mask is a text without what is another each time.
func mask(text string) string {
	text = aCipher.ReplaceAllString(text, "vault:v$1:")
	return aSecret.ReplaceAllStringFunc(aTime.ReplaceAllString(text, "TIME"), func(word string) string {
		if strings.ToLower(word) == word && !strings.ContainsAny(word, "0123456789") {
			return word
		}
		return fmt.Sprintf("%d characters", len(word))
	})
}

// people are the entities whom the samples know, by name. All but alice are in the group key-approvers.
var people = map[string]string{
	"alice": "3f2b9c1e-7d44-4c0a-9b55-0d5f1a2e6c01", "bob": "b1a7e0d2-15c8-4e7b-8f3a-6f0c9d2b4e02",
	"carol": "c9d3f5a8-2b61-4f9e-a7c4-8e1b3d5f7a03", "dave": "d4e8a6b0-9c37-4d12-b8e9-1a2c4e6f8b04",
}

// callerOf says who sends requests.
func callerOf(entity, name string) func(req *logical.Request) {
	return func(req *logical.Request) {
		req.EntityID, req.DisplayName, req.ClientTokenAccessor = entity, name, "an accessor"
		req.Connection = &logical.Connection{RemoteAddr: "127.0.0.1"}
	}
}

// mountOf is the mount of a page. That of the HSM reaches a token.
func mountOf(t *testing.T, page string) *mounttest.Mount {
	t.Helper()
	m := mounttest.New(t)
	m.Caller = callerOf("", "token")
	m.System.Person(people["alice"], "alice")
	for _, name := range []string{"bob", "carol", "dave"} {
		m.System.Person(people[name], name, "key-approvers")
	}
	if page != "hsm.md" {
		return m
	}
	device := faketoken.NewDevice(faketoken.Config{Label: "prod", Serial: "0001", PIN: "..."})
	m.Options.Tokens = &tokens.Host{
		Registry:  token.NewRegistry(wall{}, func() float64 { return 0 }),
		Libraries: map[string]tokens.Library{"softhsm": {Path: "/usr/lib/softhsm.so"}},
		Getenv:    func(string) string { return "" },
		Open:      func(tokens.Library) (cryptoki.Library, error) { return faketoken.NewLibrary(device), nil },
	}
	m.Restart()
	t.Cleanup(func() { m.Cleanup(t.Context()) })
	return m
}

// wall is the clock of calls of the token, which go by the time of the machine.
type wall struct{}

func (wall) Now() time.Time { return time.Now() }

func (wall) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
