// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package apps_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/test/apps/proxy"
	"github.com/keylife/vault-plugin-keylife/test/apps/worker"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	steady   = 3 * ttl          // in which requests are counted, before an outage and after it
	outage   = maxStale + 2*ttl // how long one lasts
	comeback = 10 * time.Second
)

// drill takes Vault away from applications that use one key, one in each language.
type drill struct {
	server  *harness.Server
	key     string
	apps    map[string]*application
	loads   map[string]*load
	unknown string // a message whose data key no application has
}

func newDrill(t *testing.T, s *harness.Server, in placed, settings worker.Settings) *drill {
	d := &drill{server: s, key: createKey(t, s, "keylife"), apps: map[string]*application{}, loads: map[string]*load{}}
	if len(in.env) > 0 {
		allow(t, s, settings.Certificate, usesOf("keylife", d.key)...)
	}
	settings.Mount = "keylife"
	messages := map[string]string{}
	for language, start := range languages {
		d.apps[language] = start(t, in, settings)
		messages[language] = d.apps[language].mustEncrypt(t, d.key, "written in "+language)
	}
	d.unknown = encrypted(t, s, d.key)
	for language, app := range d.apps { // each decrypts what the other wrote
		d.loads[language] = startLoad(t, app, d.key, messages[map[string]string{"go": "python", "python": "go"}[language]])
	}
	return d
}

// encrypted is a message of an application that nobody else knows.
func encrypted(t testing.TB, s *harness.Server, key string) string {
	t.Helper()
	c, err := client.New(client.Config{Vault: s.Client()})
	require.NoError(t, err)
	defer c.Close()
	message, err := c.Key(key).EncryptText(t.Context(), []byte("unknown"), client.Context{"application": "worker"})
	require.NoError(t, err)
	return message
}

// fault takes Vault away and brings it back.
type fault struct {
	begin, end func(t testing.TB)
	endless    bool   // applications can go on for as long as it lasts
	reason     string // that errors name
}

// run has the outage happen once, under load, and holds what applications could do against what they may.
func (d *drill) run(t *testing.T, f fault) {
	from := time.Now()
	before := d.requestsDuring(t, steady)
	f.begin(t)
	gone := time.Now() // no proof begins later than now
	pause(outage)
	if !f.endless {
		d.requireUnavailable(t, f.reason)
	}
	ending := time.Now()
	f.end(t)
	back := time.Now()
	d.awaitBack(t, back)
	settled := time.Now()
	after := d.requestsDuring(t, steady)
	for language, l := range d.loads {
		encrypts, decrypts := l.of(t, "encrypt"), l.of(t, "decrypt")
		requireOnly(t, append(encrypts, decrypts...), from, client.OK, client.Unavailable)
		if f.endless {
			requireOK(t, encrypts, from, ending, language)
			requireOK(t, decrypts, from, ending, language)
		} else {
			requireBounds(t, language, encrypts, window{from, gone, ending}, staleProtect)
			requireBounds(t, language, decrypts, window{from, gone, ending}, maxStale)
		}
		requireOK(t, encrypts, settled, time.Now(), language+": afterwards")
		requireOK(t, decrypts, settled, time.Now(), language+": afterwards")
		require.LessOrEqual(t, after[language], 2*before[language]+2, "requests of the %s application, in %s after the outage", language, steady)
		t.Logf("%s: %d requests in %s before, %d after", language, before[language], steady, after[language])
	}
}

type window struct{ from, gone, ending time.Time }

// requireBounds wants uses to succeed until a bound has passed since the proof, and to be refused from then on. A proof that is in use
// is no older than ttl; twice that is for a machine that has much else to do.
func requireBounds(t testing.TB, language string, uses []use, w window, bound time.Duration) {
	t.Helper()
	requireOK(t, uses, w.from, w.gone.Add(bound-2*ttl), language+": within its bound")
	closed := 0
	if first := slices.IndexFunc(uses, func(u use) bool { return u.begun.After(w.gone) && u.outcome != client.OK }); first >= 0 {
		t.Logf("%s: %s is closed after %s, its bound is %s", language, uses[first].op, uses[first].begun.Sub(w.gone).Round(time.Millisecond), bound)
	}
	for _, u := range uses {
		if u.begun.After(w.gone.Add(bound)) && u.ended.Before(w.ending) {
			closed++
			require.Equal(t, client.Unavailable, u.outcome, "%s: after its bound: %v", language, u)
		}
	}
	require.Positive(t, closed, "%s: nothing was used after its bound", language)
}

// requireOnly wants no outcome but these.
func requireOnly(t testing.TB, uses []use, from time.Time, outcomes ...client.Outcome) {
	t.Helper()
	for _, u := range uses {
		if u.begun.After(from) {
			require.Contains(t, outcomes, u.outcome, "%v", u)
		}
	}
}

// requireUnavailable wants what was not known before to be refused, and why. A handshake that was cut says less than the next.
func (d *drill) requireUnavailable(t testing.TB, reason string) {
	t.Helper()
	for language, app := range d.apps {
		var said string
		for tries := 0; tries < 5 && (tries == 0 || !strings.Contains(said, reason)); tries++ {
			var outcome client.Outcome
			var err error
			said, outcome, err = app.decrypt(d.key, d.unknown)
			require.NoError(t, err)
			require.Equal(t, client.Unavailable, outcome, "%s: %s", language, said)
		}
		require.Contains(t, said, reason)
		t.Logf("%s: %s", language, said)
	}
}

// awaitBack returns when all uses of each application succeed again, and prints when they first did.
func (d *drill) awaitBack(t testing.TB, back time.Time) {
	t.Helper()
	for language, l := range d.loads {
		for _, op := range []string{"encrypt", "decrypt"} {
			harness.Eventually(t, comeback, func() error {
				uses := l.of(t, op)
				last := uses[len(uses)-1]
				if last.begun.Before(back) {
					return errors.New("not used yet")
				}
				return unlessOK(last.said, last.outcome, nil)
			})
			uses := l.of(t, op)
			first := slices.IndexFunc(uses, func(u use) bool { return u.ended.After(back) && u.outcome == client.OK })
			t.Logf("%s: %s is back after %s", language, op, uses[first].ended.Sub(back).Round(time.Millisecond))
		}
		harness.Eventually(t, comeback, func() error { return unlessOK(l.app.decrypt(d.key, d.unknown)) })
	}
}

// requestsDuring counts, by language, the requests within a time.
func (d *drill) requestsDuring(t testing.TB, period time.Duration) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for language, app := range d.apps {
		counts[language] = -app.requests(t)
	}
	pause(period)
	for language, app := range d.apps {
		counts[language] += app.requests(t)
	}
	return counts
}

func proxied(s *harness.Server, t testing.TB) *proxy.Proxy {
	t.Helper()
	return proxy.Start(t, strings.TrimPrefix(s.Address(), "http://"))
}

func TestApplicationsGoOnWithoutTheNetwork(t *testing.T) {
	t.Parallel()
	for name, what := range map[string]proxy.Fault{
		"refused":     {Refuse: true},
		"partitioned": {Hold: true},
		"slow":        {Delay: 3 * time.Second / 2}, // longer than a use waits that can go on without the answer
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := server(t)
			p := proxied(s, t)
			d := newDrill(t, s, placed{address: "http://" + p.Address(), token: s.Client().Token()}, worker.Settings{})
			d.run(t, fault{
				begin:   func(testing.TB) { p.Set(what) },
				end:     func(testing.TB) { p.Set(proxy.Fault{}) },
				endless: what.Delay > 0,
			})
		})
	}
}

func TestApplicationsGoOnWithoutVault(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Standard())
	d := newDrill(t, s, placed{address: s.Address(), token: s.Client().Token()}, worker.Settings{})
	t.Run("killed", func(t *testing.T) {
		d.run(t, fault{
			begin: func(testing.TB) { s.Kill() },
			end:   func(t testing.TB) { s.Restart(t) },
		})
	})
	t.Run("sealed", func(t *testing.T) {
		d.run(t, fault{
			begin: func(t testing.TB) { s.Seal(t) },
			end:   func(t testing.TB) { s.Unseal(t) },
		})
	})
}

// TestAnExpiredCertificateIsAnOutage replaces the files of a client's certificate by those of one that expires soon, and later by those
// of a good one. Applications are not started anew.
func TestAnExpiredCertificateIsAnOutage(t *testing.T) {
	t.Parallel()
	s := server(t)
	name := unique("certificate")
	certificate, key, err := shared.authority.issue(name, time.Now().Add(time.Hour))
	require.NoError(t, err)
	role(t, s, name)
	p := proxy.Start(t, strings.TrimPrefix(s.TLSAddress(), "https://"))
	d := newDrill(t, s, placed{address: "https://" + p.Address(), env: []string{
		"VAULT_CACERT=" + shared.authority.file, "VAULT_CLIENT_CERT=" + certificate, "VAULT_CLIENT_KEY=" + key,
	}}, worker.Settings{Certificate: name})
	d.run(t, fault{
		begin: func(t testing.TB) {
			expiry := time.Now().Add(time.Second).Truncate(time.Second) // a certificate has whole seconds
			_, _, err := shared.authority.issue(name, expiry)
			require.NoError(t, err)
			pause(time.Until(expiry))
			p.Cut()
		},
		end: func(t testing.TB) {
			_, _, err := shared.authority.issue(name, time.Now().Add(time.Hour))
			require.NoError(t, err)
		},
		reason: "certificate",
	})
}

// role lets clients log in by the certificates of the authority, with the policy of the name.
func role(t testing.TB, s *harness.Server, name string) {
	t.Helper()
	auths, err := s.Client().Sys().ListAuth()
	require.NoError(t, err)
	if auths["cert/"] == nil {
		s.Must(t, http.MethodPost, "sys/auth/cert", map[string]any{"type": "cert"})
	}
	s.Must(t, http.MethodPost, "auth/cert/certs/"+name, map[string]any{
		"certificate": readFile(t, shared.authority.file), "token_policies": name, "token_ttl": "1h",
	})
}
