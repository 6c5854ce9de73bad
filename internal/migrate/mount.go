// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// Mount is a secrets engine of Vault, at the path where it is mounted.
type Mount interface {
	// Send returns what was answered, a refusal too. The error is of the way there or back: whether the request was done is unknown.
	Send(ctx context.Context, r Request) (Reply, error)
}

// Request is one to an engine. Path is without that of the mount.
type Request struct {
	Operation Operation
	Path      string
	Data      map[string]any // of a read: its query
}

// Operation is what a request does.
type Operation int

// The operations.
const (
	Read Operation = iota
	List
	Write
)

// Reply is an answer.
type Reply struct {
	Status int
	Data   json.RawMessage // the member data; empty: there is none
	Errors []string
}

// engine is a mount with what is known of it.
type engine struct {
	Mount
	role     string // source or target
	keylife  bool
	reason   string
	requests int
}

// unanswered is a request of which the outcome is unknown, or an engine that does not serve.
type unanswered struct{ error }

func (u *unanswered) Unwrap() error { return u.error }

// refused is a request that an engine did not do.
type refused struct {
	what   string
	status int
	why    string
}

func (r *refused) Error() string { return fmt.Sprintf("%s: status %d: %s", r.what, r.status, r.why) }

// isRefused reports whether the engine refused, with one of the statuses; none: any.
func isRefused(err error, statuses ...int) bool {
	r := new(refused)
	if !errors.As(err, &r) {
		return false
	}
	for _, status := range statuses {
		if r.status == status {
			return true
		}
	}
	return len(statuses) == 0
}

// call sends a request and reads what was answered into out, which may be nil. The data of a refusal are read, too.
func (e *engine) call(ctx context.Context, r Request, out any) error {
	e.requests++
	what := e.role + ": " + r.Path
	reply, err := e.Send(ctx, r)
	switch {
	case err != nil:
		return &unanswered{fmt.Errorf("%s: %w", what, err)}
	case out != nil && len(reply.Data) > 0:
		if err := json.Unmarshal(reply.Data, out); err != nil {
			return fmt.Errorf("%s: the answer is not that of Transit", what) // it may hold a secret
		}
	}
	if reply.Status < http.StatusBadRequest {
		return nil
	}
	err = &refused{what, reply.Status, strings.Join(reply.Errors, "; ")}
	switch reply.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &unanswered{err}
	}
	return err
}

// withReason adds what custody is told, where the engine has custody.
func (e *engine) withReason(data map[string]any) map[string]any {
	if e.keylife && e.reason != "" {
		if data == nil {
			data = map[string]any{}
		}
		data["reason"] = e.reason
	}
	return data
}

// recognise tells keylife from Transit by a path that Transit has not.
func (e *engine) recognise(ctx context.Context) error {
	err := e.call(ctx, Request{Operation: Read, Path: "config/clock"}, nil)
	switch {
	case err == nil:
		e.keylife = true
		return nil
	case isRefused(err, http.StatusNotFound) && strings.Contains(err.Error(), "unsupported path"):
		return nil
	case isRefused(err, http.StatusForbidden):
		return fmt.Errorf("what engine it is cannot be told without the capability read: %w", err)
	case isRefused(err, http.StatusNotFound):
		return fmt.Errorf("is neither Transit nor keylife: %w", err)
	}
	return err
}

func (e *engine) list(ctx context.Context) ([]string, error) {
	var out struct{ Keys []string }
	err := e.call(ctx, Request{Operation: List, Path: "keys"}, &out)
	if isRefused(err, http.StatusNotFound) {
		return nil, nil
	}
	return out.Keys, err
}

// find reads a key; nil: there is none.
func (e *engine) find(ctx context.Context, key string) (*view, error) {
	v := &view{}
	err := e.call(ctx, Request{Operation: Read, Path: "keys/" + key}, v)
	if isRefused(err, http.StatusNotFound) {
		return nil, nil //nolint:nilnil // a key that is not there is no error
	}
	return v, err
}

func (e *engine) backup(ctx context.Context, key string) (string, error) {
	var out struct{ Backup string }
	err := e.call(ctx, Request{Operation: Read, Path: "backup/" + key, Data: e.withReason(nil)}, &out)
	return out.Backup, err
}

// restore makes a key of a backup. By force it replaces the one that is there.
func (e *engine) restore(ctx context.Context, key, backup, policy string, force bool) error {
	data := e.withReason(map[string]any{"backup": backup})
	if force {
		data["force"] = true
	}
	if policy != "" {
		data["policy"] = policy
	}
	return e.call(ctx, Request{Operation: Write, Path: "restore/" + key, Data: data}, nil)
}

// letOut sets the flags without which a key has no backup.
func (e *engine) letOut(ctx context.Context, key string) error {
	data := e.withReason(map[string]any{"exportable": true, "allow_plaintext_backup": true})
	return e.call(ctx, Request{Operation: Write, Path: "keys/" + key + "/config", Data: data}, nil)
}

// export returns the material of the versions that may leave, by number.
func (e *engine) export(ctx context.Context, kind, key string) (map[int]string, error) {
	var out struct{ Keys map[int]string }
	err := e.call(ctx, Request{Operation: Read, Path: "export/" + kind + "/" + key, Data: e.withReason(nil)}, &out)
	return out.Keys, err
}

// mostRows is how many versions keylife describes in one answer.
const mostRows = 1000

// states returns the states of the versions of a key of keylife from one on, by number.
func (e *engine) states(ctx context.Context, key string, oldest, latest int) (map[int]string, error) {
	states := map[int]string{}
	for after := oldest - 1; after < latest; after += mostRows {
		var out struct {
			Versions map[int]struct{ State string } `json:"key_info"`
		}
		page := map[string]any{"after": after, "limit": mostRows}
		if err := e.call(ctx, Request{Operation: List, Path: "keys/" + key + "/versions", Data: page}, &out); err != nil {
			return nil, err
		}
		for n, v := range out.Versions {
			states[n] = v.State
		}
	}
	return states, nil
}
