// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

//go:embed static
var static embed.FS

// maxForm is the most that a form may have: a policy's document has 64 KiB at most.
const maxForm = 256 << 10

// Server shows a mount.
type Server struct {
	mount  *mount.Mount
	guard  *guard
	pages  *renderer
	now    func() time.Time
	listen net.Listener
}

// New returns a server that listens at the address, which has to be 127.0.0.1 and a port; port 0 is a free one. Random is what the
// secret of the link is made of.
func New(m *mount.Mount, address string, random io.Reader, now func() time.Time) (*Server, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || host != "127.0.0.1" {
		return nil, fmt.Errorf("%q: listens on 127.0.0.1 and a port alone, such as 127.0.0.1:0", address)
	}
	pages, err := newRenderer()
	if err != nil {
		return nil, err
	}
	listen, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", address)
	if err != nil {
		return nil, err
	}
	own := listen.Addr().String()
	_, port, err := net.SplitHostPort(own)
	if err != nil {
		return nil, err
	}
	g, err := newGuard(own, port, random)
	if err != nil {
		return nil, errors.Join(err, listen.Close())
	}
	return &Server{mount: m, guard: g, pages: pages, now: now, listen: listen}, nil
}

// Link is what opens the pages, once.
func (s *Server) Link() string {
	s.guard.mu.Lock()
	defer s.guard.mu.Unlock()
	return "http://" + s.guard.host + "/open?secret=" + s.guard.link
}

// Serve answers until the context ends. A request that is under way then has five seconds.
func (s *Server) Serve(ctx context.Context) error {
	server := &http.Server{
		Handler: s.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 5 * time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(s.listen) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	err := server.Shutdown(last)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// Handler answers requests.
func (s *Server) Handler() http.Handler {
	outside := http.NewServeMux()
	outside.Handle("GET /static/", http.FileServerFS(static))
	outside.HandleFunc("GET /open", s.open)
	outside.Handle("/", s.guard.inside(s.routes(), http.HandlerFunc(s.refuse)))
	return s.guard.protect(outside)
}

func (s *Server) routes() http.Handler {
	inside := http.NewServeMux()
	inside.HandleFunc("GET /{$}", s.attention)
	inside.HandleFunc("GET /keys", s.keys)
	inside.HandleFunc("GET /keys.csv", s.keysCSV)
	inside.HandleFunc("GET /keys/{name}", s.named(s.key))
	inside.HandleFunc("GET /calendar", s.calendar)
	inside.HandleFunc("GET /policies", s.policies)
	inside.HandleFunc("GET /policies/{name}", s.named(s.policy))
	inside.HandleFunc("POST /policies/{name}", s.named(s.planPolicy))
	inside.HandleFunc("GET /approvals", s.approvals)
	inside.HandleFunc("GET /approvals/{name}", s.named(s.approval))
	inside.HandleFunc("GET /reviews/{name}", s.named(s.review))
	inside.HandleFunc("GET /custody", s.custody)
	inside.HandleFunc("/", s.nothing)
	return inside
}

// named answers 404 for what can be the name of nothing.
func (s *Server) named(page func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if name := r.PathValue("name"); mount.ValidName(name) {
			page(w, r, name)
			return
		}
		s.nothing(w, r)
	}
}

// open answers with a page that goes on by itself: a redirect would be of the site that led here, and a Strict cookie not be sent.
func (s *Server) open(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet { // HEAD looks at the link and does not use it
		w.WriteHeader(http.StatusNoContent)
		return
	}
	cookie, ok := s.guard.open(r.URL.Query().Get("secret"))
	if !ok {
		s.refuse(w, r)
		return
	}
	http.SetCookie(w, cookie)
	s.pages.write(w, http.StatusOK, "opened", s.page(r, "Opened", nil))
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request) {
	s.pages.write(w, http.StatusForbidden, "refused", s.page(r, "Not open", nil))
}

func (s *Server) nothing(w http.ResponseWriter, r *http.Request) {
	s.pages.write(w, http.StatusNotFound, "nothing", s.page(r, "Not found", nil))
}

// Close frees the address of a server that does not serve.
func (s *Server) Close() error {
	if err := s.listen.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
