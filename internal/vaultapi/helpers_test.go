// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// One field of each type, and one that is secret.
var (
	fText    = vaultapi.Text("text", "A text.").Or("default")
	fBool    = vaultapi.Bool("bool", "A truth value.")
	fInt     = vaultapi.Int("int", "An integer.").Or(7)
	fInt64   = vaultapi.Int64("int64", "A large integer.")
	fSeconds = vaultapi.Seconds("seconds", "A duration.")
	fTexts   = vaultapi.Texts("texts", "A list of texts.")
	fPairs   = vaultapi.Pairs("pairs", "An object of texts.")
	fList    = vaultapi.List("list", "A list.")
	fObject  = vaultapi.Object("object", "An object.")
	fSecret  = vaultapi.Text("secret", "A secret text.").Secret()
	fName    = vaultapi.Text("name", "A name.")
	fFirst   = vaultapi.Int("first", "A number that may be empty.").EmptyIsZero()
	fDone    = vaultapi.Bool("done", "Done.")

	everyType = vaultapi.FieldsOf(fText, fBool, fInt, fInt64, fSeconds, fTexts, fPairs, fList, fObject, fSecret, fName, fFirst)
)

// valueOf reads a field of any type.
func valueOf(from vaultapi.From, name string) any {
	switch name {
	case fText.Name:
		return fText.Get(from)
	case fBool.Name:
		return fBool.Get(from)
	case fInt.Name:
		return fInt.Get(from)
	case fInt64.Name:
		return fInt64.Get(from)
	case fSeconds.Name:
		return fSeconds.Get(from)
	case fTexts.Name:
		return fTexts.Get(from)
	case fPairs.Name:
		return fPairs.Get(from)
	case fList.Name:
		return fList.Get(from)
	case fObject.Name:
		return fObject.Get(from)
	case fSecret.Name:
		return fSecret.Get(from)
	case fName.Name:
		return fName.Get(from)
	case fFirst.Name:
		return fFirst.Get(from)
	}
	panic("internal error: no field is named " + name)
}

// server has one path for each mode, which calls handle.
type server struct {
	t      testing.TB
	mount  vaultapi.Mount[*vaultapi.Request]
	sdk    *framework.Backend
	handle func(r *vaultapi.Request) (*logical.Response, error)
	panics []string
}

var errMissing = errors.New("missing")

func newServer(t testing.TB) *server {
	t.Helper()
	s := &server{t: t, handle: func(*vaultapi.Request) (*logical.Response, error) { return vaultapi.Data(fDone.Is(true)), nil }}
	s.mount = vaultapi.Mount[*vaultapi.Request]{
		Prefix:   "test",
		Bind:     func(r *vaultapi.Request) *vaultapi.Request { return r },
		Names:    vaultapi.NameRule{Fields: []string{"name"}, Longest: 10},
		Statuses: []vaultapi.Status{{errMissing, http.StatusNotFound}},
		Guard: func(where string, do func() error) (err error) {
			defer func() {
				if recover() != nil {
					s.panics = append(s.panics, where)
					err = errors.New("panic")
				}
			}()
			return do()
		},
	}
	operations := map[logical.Operation]vaultapi.Operation[*vaultapi.Request]{
		logical.UpdateOperation: {Handle: s.answer, Summary: "Update.", Answer: "Done.", Fields: vaultapi.FieldsOf(fDone)},
		logical.ReadOperation:   {Handle: s.answer, Summary: "Read.", Answer: "Nothing.", ID: vaultapi.ID{Verb: "read"}},
	}
	s.sdk = &framework.Backend{BackendType: logical.TypeLogical, Paths: s.mount.Paths(
		vaultapi.Path[*vaultapi.Request]{Pattern: "transit/" + framework.GenericNameRegex("name"), Direct: []string{fName.Name}, Fields: everyType, Operations: operations},
		vaultapi.Path[*vaultapi.Request]{
			Pattern: "strict/" + framework.GenericNameRegex("name"), Fields: everyType, Mode: vaultapi.Strict, Operations: operations,
			Exists: func(context.Context, *vaultapi.Request) error { _, err := s.handle(nil); return err },
		},
	)}
	require.NoError(t, s.sdk.Setup(context.Background(), &logical.BackendConfig{System: &logical.StaticSystemView{}}))
	return s
}

func (s *server) send(op logical.Operation, path string, data map[string]any) (*logical.Response, error) {
	resp, err := s.mount.HandleRequest(context.Background(), s.sdk, &logical.Request{Operation: op, Path: path, Data: data})
	if errors.Is(err, logical.ErrInvalidRequest) {
		return nil, resp.Error() // the text that a client gets
	}
	return resp, err
}

// read is the value of a field as a handler of the path reads it.
func (s *server) read(path, name string, raw any) (value any, err error) {
	s.handle = func(r *vaultapi.Request) (*logical.Response, error) {
		value = valueOf(r, name)
		return nil, nil
	}
	_, err = s.send(logical.UpdateOperation, path, map[string]any{name: raw})
	return value, err
}

// answer calls handle, which a test sets later.
func (s *server) answer(_ context.Context, r *vaultapi.Request) (*logical.Response, error) {
	return s.handle(r)
}

// addPath sets the server up anew with one more path: the SDK takes none later.
func (s *server) addPath(path vaultapi.Path[*vaultapi.Request]) {
	s.t.Helper()
	s.sdk = &framework.Backend{BackendType: logical.TypeLogical, Paths: append(s.sdk.Paths, s.mount.Paths(path)...)}
	require.NoError(s.t, s.sdk.Setup(context.Background(), &logical.BackendConfig{System: &logical.StaticSystemView{}}))
}

func isInvalid(err error) bool { return errors.Is(err, vaultapi.ErrInvalid) }
