// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// quietMount is a mount whose log can be read, without storage of its own.
func quietMount(t *testing.T) (b *backend, log *strings.Builder) {
	t.Helper()
	log = &strings.Builder{}
	made, err := New(t.Context(), &logical.BackendConfig{
		Logger: hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Debug}), System: &logical.StaticSystemView{},
	}, Options{})
	require.NoError(t, err)
	b, ok := made.(*backend)
	require.True(t, ok)
	return b, log
}

// httpStatus is the status that an HTTP client of Vault would get.
func httpStatus(req *logical.Request, resp *logical.Response, err error) int {
	status, _ := logical.RespondErrorCommon(req, resp, err)
	if err != nil {
		logical.AdjustErrorStatusCode(&status, err)
	}
	return status
}

// serve adds a path x to the mount, which has not served a request yet.
func serve(b *backend, do func() error) {
	handle := func(context.Context, *request) (*logical.Response, error) { return nil, do() }
	b.Paths = append(b.Paths, b.mount.Paths(path{
		Pattern: "x", Exists: func(context.Context, *request) error { return do() },
		Operations: operations{
			logical.UpdateOperation: {Handle: handle}, logical.ReadOperation: {Handle: handle}, logical.DeleteOperation: {Handle: handle},
		},
	})...)
}

func TestNoPanicCrossesTheEdge(t *testing.T) {
	b, log := quietMount(t)
	serve(b, func() error { panic("the caller's secret") })
	req := &logical.Request{Operation: logical.UpdateOperation, Path: "x", Storage: storagetest.New()}
	resp, err := b.HandleRequest(t.Context(), req)
	require.Equal(t, http.StatusInternalServerError, httpStatus(req, resp, err))
	require.NotContains(t, err.Error(), "secret")
	require.Contains(t, log.String(), "panic")
	require.NotContains(t, log.String(), "secret", "what a panic says may come from the caller")
	_, _, err = b.HandleExistenceCheck(t.Context(), req)
	require.Error(t, err)
}

func TestNoPanicOutsideTheHandlersCrosses(t *testing.T) {
	b, _ := quietMount(t)
	storage := storagetest.New()
	_, err := b.HandleRequest(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: "keys/k", Storage: storage})
	require.NoError(t, err)
	b.PeriodicFunc = func(context.Context, *logical.Request) error { panic("x") }
	_, err = b.HandleRequest(t.Context(), &logical.Request{Operation: logical.RollbackOperation, Storage: storage})
	require.Error(t, err)
	b.store = nil
	require.NotPanics(t, func() { b.InvalidateKey(t.Context(), "keys/k") })
	b.Paths[0].Fields["limit"] = nil // the SDK's own reading of the fields
	_, err = b.HandleRequest(t.Context(), &logical.Request{Operation: logical.ListOperation, Path: "keys/", Data: map[string]any{"limit": 1}})
	require.Error(t, err)
}

func TestErrorsBecomeStatusesWhateverWrapsThem(t *testing.T) {
	b, _ := quietMount(t)
	var failure error
	serve(b, func() error { return fmt.Errorf("one: %w", fmt.Errorf("two: %w", failure)) })
	for _, c := range []struct {
		err    error
		op     logical.Operation
		status int
	}{
		{vaultapi.Invalidf("x"), logical.UpdateOperation, 400},
		{refusal.Invalidf("x"), logical.UpdateOperation, 400},
		{refusal.Refusedf("x"), logical.UpdateOperation, 400},
		{refusal.Existsf("x"), logical.UpdateOperation, 400},
		{envelope.ErrInput, logical.UpdateOperation, 400},
		{refusal.NoKey("x"), logical.UpdateOperation, 400},
		{refusal.NoKey("x"), logical.DeleteOperation, 400},
		{refusal.NoKey("x"), logical.ReadOperation, 404},
		{refusal.CheckRevision(new(int), 3), logical.UpdateOperation, 409},
		{errors.Join(dataplane.ErrFault, refusal.NoKey("x")), logical.ReadOperation, 500},
		{errors.Join(dataplane.ErrFault, envelope.ErrUnavailable), logical.UpdateOperation, 503},
		{errors.Join(refusal.Refusedf("x"), envelope.ErrUnavailable), logical.UpdateOperation, 503},
		{errors.New("x"), logical.UpdateOperation, 500},
	} {
		failure = c.err
		req := &logical.Request{Operation: c.op, Path: "x", Storage: storagetest.New()}
		resp, err := b.HandleRequest(t.Context(), req)
		require.Equal(t, c.status, httpStatus(req, resp, err), "%v %v", c.op, c.err)
	}
}

func TestTheLongestDurationIsThatOfAPolicy(t *testing.T) {
	require.Equal(t, schedule.MaxSpan, vaultapi.MaxSeconds*time.Second)
}

// heldWrapper is a wrapper that holds something, as one of a token does.
type heldWrapper struct {
	envelope.KeyWrapper
	closed *int
}

func (h heldWrapper) Close() error { *h.closed++; return nil }

func TestAMountThatGoesClosesWhatItsWrappersHold(t *testing.T) {
	closed := 0
	b, err := New(t.Context(), &logical.BackendConfig{Logger: hclog.NewNullLogger(), System: &logical.StaticSystemView{}}, Options{
		TestOnlyWrapper: func(w envelope.KeyWrapper) envelope.KeyWrapper { return heldWrapper{w, &closed} },
	})
	require.NoError(t, err)
	req := &logical.Request{Operation: logical.UpdateOperation, Path: "keys/k", Storage: storagetest.New()}
	_, err = b.HandleRequest(t.Context(), req)
	require.NoError(t, err)
	require.Zero(t, closed)
	b.Cleanup(t.Context())
	require.Equal(t, 1, closed)
	req.Path = "keys/other"
	_, err = b.HandleRequest(t.Context(), req)
	require.ErrorContains(t, err, "the mount was closed")
}
