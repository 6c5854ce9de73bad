// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

func fails(err error) func(*vaultapi.Request) (*logical.Response, error) {
	return func(*vaultapi.Request) (*logical.Response, error) { return nil, err }
}

func TestErrorsBecomeStatusesWhateverWrapsThem(t *testing.T) {
	errFault, errConflict := errors.New("fault"), errors.New("conflict")
	s := newServer(t)
	s.mount.Statuses = []vaultapi.Status{
		{errFault, http.StatusInternalServerError}, {errConflict, http.StatusConflict}, {errMissing, http.StatusNotFound},
	}
	for _, c := range []struct {
		err    error
		op     logical.Operation
		status int
	}{
		{vaultapi.Invalidf("x"), logical.UpdateOperation, 400},
		{vaultapi.Invalidf("x"), logical.ReadOperation, 400},
		{errMissing, logical.UpdateOperation, 400},
		{errMissing, logical.ReadOperation, 404},
		{errConflict, logical.UpdateOperation, 409},
		{errors.New("x"), logical.UpdateOperation, 500},
		{errors.Join(vaultapi.Invalidf("x"), errFault), logical.UpdateOperation, 500},
	} {
		s.handle = fails(fmt.Errorf("one: %w", fmt.Errorf("two: %w", c.err)))
		req := &logical.Request{Operation: c.op, Path: "transit/k"}
		resp, err := s.mount.HandleRequest(t.Context(), s.sdk, req)
		status, _ := logical.RespondErrorCommon(req, resp, err)
		if err != nil {
			logical.AdjustErrorStatusCode(&status, err)
		}
		require.Equal(t, c.status, status, "%v %v", c.op, c.err)
	}
}

func TestAReadOnlyNodeSaysSoInVaultsOwnWords(t *testing.T) {
	s := newServer(t)
	s.handle = fails(fmt.Errorf("put: %w", errors.Join(vaultapi.ErrInvalid, logical.ErrReadOnly)))
	_, err := s.send(logical.UpdateOperation, "transit/k", nil)
	require.Equal(t, logical.ErrReadOnly, err, "Vault forwards the request only on this very text")
}

func TestNoPanicCrosses(t *testing.T) {
	s := newServer(t)
	s.handle = func(*vaultapi.Request) (*logical.Response, error) { panic("x") }
	_, err := s.send(logical.UpdateOperation, "transit/k", nil)
	require.EqualError(t, err, "panic")
	_, _, err = s.mount.HandleExistenceCheck(t.Context(), s.sdk, &logical.Request{Operation: logical.UpdateOperation, Path: "strict/k"})
	require.EqualError(t, err, "panic")
	s.sdk.Paths[0].Fields["int"] = nil // the SDK's own reading of the fields
	_, err = s.send(logical.UpdateOperation, "transit/k", map[string]any{"int": 1})
	require.EqualError(t, err, "panic")
	require.Equal(t, []string{"update transit/k", "update strict/k", "update transit/k"}, s.panics)
}

func TestWhatExistsIsAQuestionOfTheNameAlone(t *testing.T) {
	s := newServer(t)
	exists := func(path string, data map[string]any) bool {
		found, exists, err := s.mount.HandleExistenceCheck(context.Background(), s.sdk, &logical.Request{Operation: logical.UpdateOperation, Path: path, Data: data})
		require.NoError(t, err)
		require.True(t, found)
		return exists
	}
	s.handle = fails(nil)
	require.True(t, exists("strict/k", map[string]any{"int": "one", "name": "a..b", "pairs": 7.0}), "a bad field does not hide what exists")
	require.False(t, exists("strict/a..b", nil))
	s.handle = fails(fmt.Errorf("find: %w", errMissing))
	require.False(t, exists("strict/k", nil))
	s.handle = fails(errors.New("storage"))
	_, _, err := s.mount.HandleExistenceCheck(t.Context(), s.sdk, &logical.Request{Operation: logical.UpdateOperation, Path: "strict/k"})
	require.EqualError(t, err, "storage")
}

func TestAPathSaysWhatItIs(t *testing.T) {
	s := newServer(t)
	path := s.sdk.Paths[1]
	require.Equal(t, "test", path.DisplayAttrs.OperationPrefix)
	update, read := path.Operations[logical.UpdateOperation].Properties(), path.Operations[logical.ReadOperation].Properties()
	require.Nil(t, update.DisplayAttrs)
	require.Equal(t, "read", read.DisplayAttrs.OperationVerb)
	require.Contains(t, update.Responses[200][0].Fields, "done")
	require.Equal(t, "Nothing.", read.Responses[204][0].Description)
	require.Equal(t, "default", path.Fields["text"].Default)
	require.True(t, path.Fields["secret"].DisplayAttrs.Sensitive)
}

func TestTwoFieldsOfOneNameAreAnInternalError(t *testing.T) {
	require.PanicsWithValue(t, "internal error: two fields are named text", func() { vaultapi.FieldsOf(fText, vaultapi.Int("text", "Another.")) })
}

func TestALongValueIsShortened(t *testing.T) {
	long := make([]rune, 200)
	for i := range long {
		long[i] = 'ä'
	}
	err := vaultapi.InvalidField("text", string(long), "is long")
	require.Less(t, len(err.Error()), 200)
	require.NotContains(t, err.Error(), "\ufffd")
	require.ErrorIs(t, err, vaultapi.ErrInvalid)
}
