// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package worker is an application that serves uses of keys, for tests to drive. python/worker.py is the same in Python:
//
//	POST /KEY/encrypt   the body's message in its text form
//	POST /KEY/decrypt   the plaintext of the message in the body
//	GET  /report        a Report
//
// A use that did not succeed has the status that Statuses has for its outcome, and the error's text.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"

	"github.com/keylife/vault-plugin-keylife/client"
)

// Statuses tells by which status an outcome is answered.
var Statuses = map[client.Outcome]int{
	client.OK: http.StatusOK, client.InvalidInput: http.StatusBadRequest, client.AccessDenied: http.StatusForbidden,
	client.KeyState: http.StatusConflict, client.InvalidMessage: http.StatusUnprocessableEntity, client.Unavailable: http.StatusServiceUnavailable,
}

// Settings come by the variable KEYLIFE_WORKER, in JSON. Address, token and files of TLS come by Vault's own variables.
type Settings struct {
	Listen string             `json:"listen"` // host:port
	Mount  string             `json:"mount"`
	Bounds map[string]float64 `json:"bounds"` // ttl, stale_protect, max_stale: in seconds
	Warm   string             `json:"warm"`   // a key that is used before any request comes; empty: none

	Timeout float64 `json:"timeout"` // of a use, in seconds

	RoleID      string `json:"role_id"` // of AppRole; empty: none
	SecretID    string `json:"secret_id"`
	Certificate string `json:"certificate"` // the role of the certificate VAULT_CLIENT_CERT; empty: none
}

const largestBody = 1 << 20

// binding is authenticated with every message.
var binding = client.Context{"application": "worker"}

// Run serves until the process ends.
func Run() error {
	var s Settings
	if err := json.Unmarshal([]byte(os.Getenv("KEYLIFE_WORKER")), &s); err != nil {
		return err
	}
	report := newReport()
	c, err := s.client(report)
	if err != nil {
		return err
	}
	if s.Warm != "" {
		if _, err := c.Key(s.Warm).Encrypt(context.Background(), nil, binding); err != nil {
			return err
		}
	}
	server := &http.Server{Addr: s.Listen, Handler: Handler(c, report), ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}

func (s Settings) client(m client.Metrics) (*client.Client, error) {
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, config.Error
	}
	auth, err := s.auth(config)
	if err != nil {
		return nil, err
	}
	vault, err := api.NewClient(config)
	if err != nil {
		return nil, err
	}
	seconds := func(name string) time.Duration { return time.Duration(s.Bounds[name] * float64(time.Second)) }
	return client.New(client.Config{
		Vault: vault, Auth: auth, Mount: s.Mount, Consumer: "worker", Timeout: time.Duration(s.Timeout * float64(time.Second)), Metrics: m,
		Bounds: client.Bounds{TTL: seconds("ttl"), StaleProtect: seconds("stale_protect"), MaxStale: seconds("max_stale")},
	})
}

func (s Settings) auth(config *api.Config) (api.AuthMethod, error) {
	switch {
	case s.Certificate != "":
		err := client.CertificateFiles(config, os.Getenv(api.EnvVaultClientCert), os.Getenv(api.EnvVaultClientKey))
		return client.Certificate(s.Certificate), err
	case s.RoleID != "":
		return approle.NewAppRoleAuth(s.RoleID, &approle.SecretID{FromString: s.SecretID})
	default:
		return nil, nil // the token of the environment
	}
}

// Handler serves uses of a client's keys.
func Handler(c *client.Client, r *Report) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{key}/encrypt", func(w http.ResponseWriter, q *http.Request) {
		use(w, q, func(plaintext []byte) ([]byte, error) {
			message, err := c.Key(q.PathValue("key")).EncryptText(q.Context(), plaintext, binding)
			return []byte(message), err
		})
	})
	mux.HandleFunc("POST /{key}/decrypt", func(w http.ResponseWriter, q *http.Request) {
		use(w, q, func(message []byte) ([]byte, error) {
			return c.Key(q.PathValue("key")).Decrypt(q.Context(), message, binding)
		})
	})
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) { r.write(w) })
	return mux
}

func use(w http.ResponseWriter, q *http.Request, do func([]byte) ([]byte, error)) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, largestBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := do(body)
	if err != nil {
		http.Error(w, err.Error(), status(err))
		return
	}
	_, _ = w.Write(answer)
}

func status(err error) int {
	var state *client.KeyStateError
	switch {
	case errors.Is(err, client.ErrUnavailable):
		return Statuses[client.Unavailable]
	case errors.Is(err, client.ErrAccessDenied):
		return Statuses[client.AccessDenied]
	case errors.As(err, &state):
		return Statuses[client.KeyState]
	case errors.Is(err, client.ErrInvalidMessage):
		return Statuses[client.InvalidMessage]
	case errors.Is(err, client.ErrInput):
		return Statuses[client.InvalidInput]
	default:
		return http.StatusInternalServerError
	}
}
