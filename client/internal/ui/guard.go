// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"net/http"
	"sync"
)

// secretBytes are those of the link and of the session: 128 bits.
const secretBytes = 16

// policy is what the browser may load: what this server sends, and nothing in line.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

var headers = map[string]string{
	"Content-Security-Policy":      policy,
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cache-Control":                "no-store",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
}

// guard lets in whoever opened the link that the command printed, and nobody else.
type guard struct {
	host   string // the only Host that is answered: a name that was made to point here is another (DNS rebinding)
	cookie string // its name. Cookies belong to a host and not to a port, so it has the port

	mu      sync.Mutex
	link    string // empty: it was used
	session string // empty: nobody has opened the link
}

// newGuard makes the secret of the link.
func newGuard(host, port string, random io.Reader) (*guard, error) {
	link, err := secretOf(random)
	if err != nil {
		return nil, err
	}
	return &guard{host: host, cookie: "keylife-ui-" + port, link: link}, nil
}

func secretOf(random io.Reader) (string, error) {
	secret := make([]byte, secretBytes)
	_, err := io.ReadFull(random, secret)
	return hex.EncodeToString(secret), err
}

// protect answers other hosts and requests of other origins with 403, and sets the headers of every answer.
func (g *guard) protect(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection().Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		if r.Host != g.host {
			http.Error(w, "Host is not "+g.host, http.StatusForbidden)
			return
		}
		origin.ServeHTTP(w, r)
	})
}

// inside answers who has no session with what refuse writes.
func (g *guard) inside(next, refuse http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.knows(r) {
			refuse.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *guard) knows(r *http.Request) bool {
	cookie, err := r.Cookie(g.cookie)
	g.mu.Lock()
	defer g.mu.Unlock()
	return err == nil && same(cookie.Value, g.session)
}

// same compares in constant time. No secret is the empty text.
func same(given, secret string) bool {
	return secret != "" && subtle.ConstantTimeCompare([]byte(given), []byte(secret)) == 1
}

// open exchanges the secret of the link, once, for the cookie of a session.
func (g *guard) open(secret string) (*http.Cookie, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !same(secret, g.link) {
		return nil, false
	}
	session, err := secretOf(rand.Reader)
	if err != nil {
		return nil, false
	}
	g.link, g.session = "", session
	return &http.Cookie{Name: g.cookie, Value: session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode}, true //nolint:gosec // G124: http on loopback, no Secure
}
