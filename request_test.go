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

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

func TestNoPanicCrossesTheDoor(t *testing.T) {
	m := newMount(t)
	m.Paths = append(m.Paths, &framework.Path{
		Pattern: "x", Fields: fields(fLimit),
		ExistenceCheck: m.existenceCheck(func(context.Context, *request) error { panic("the caller's secret") }),
		Operations: map[logical.Operation]framework.OperationHandler{
			logical.UpdateOperation: &framework.PathOperation{Callback: m.handle(
				func(context.Context, *request) (*logical.Response, error) { panic("the caller's secret") },
			)},
		},
	})
	req := &logical.Request{Operation: logical.UpdateOperation, Path: "x", Storage: m.storage}
	resp, err := m.HandleRequest(t.Context(), req)
	require.Equal(t, http.StatusInternalServerError, toAnswer(req, resp, err).status)
	require.NotContains(t, err.Error(), "secret")
	require.Contains(t, m.log.String(), "panic")
	require.NotContains(t, m.log.String(), "secret", "what a panic says may come from the caller")
	_, _, err = m.HandleExistenceCheck(t.Context(), req)
	require.Error(t, err)
}

func TestNoPanicOutsideTheHandlersCrosses(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	m.PeriodicFunc = func(context.Context, *logical.Request) error { panic("x") }
	require.Error(t, m.tickNow())
	m.store = nil
	require.NotPanics(t, func() { m.InvalidateKey(t.Context(), "keys/k") })
	m.Paths[0].Fields["limit"] = nil // the SDK's own reading of the fields
	_, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.ListOperation, Path: "keys/", Data: dataOf("limit", 1)})
	require.Error(t, err)
}

func TestErrorsBecomeStatusesWhateverWrapsThem(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("one: %w", fmt.Errorf("two: %w", err)) }
	for _, c := range []struct {
		err    error
		op     logical.Operation
		status int
	}{
		{lifecycle.Invalidf("x"), logical.UpdateOperation, 400},
		{lifecycle.Refusedf("x"), logical.UpdateOperation, 400},
		{lifecycle.NoKey("x"), logical.UpdateOperation, 400},
		{lifecycle.NoKey("x"), logical.DeleteOperation, 400},
		{lifecycle.NoKey("x"), logical.ReadOperation, 404},
		{lifecycle.CheckRevision(new(int), 3), logical.UpdateOperation, 409},
		{errors.New("x"), logical.UpdateOperation, 500},
	} {
		resp, err := errorResponse(c.op, wrap(c.err))
		got := toAnswer(&logical.Request{Operation: c.op}, resp, err)
		require.Equal(t, c.status, got.status, "%v %v", c.op, c.err)
	}
}

func TestAReadOnlyNodeSaysSoInVaultsOwnWords(t *testing.T) {
	_, err := errorResponse(logical.UpdateOperation, fmt.Errorf("put keys/k: %w", logical.ErrReadOnly))
	require.Equal(t, logical.ErrReadOnly, err, "Vault forwards the request only on this very text")
}

func TestANodeThatMustNotWriteDoesNotTick(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k", "auto_rotate_period", "1h"))
	m.clock.add(2 * 60 * 60 * 1e9)
	for state, local := range map[consts.ReplicationState]bool{
		consts.ReplicationPerformanceSecondary: false,
		consts.ReplicationPerformanceStandby:   false,
		consts.ReplicationDRSecondary:          true,
	} {
		m.system.ReplicationStateVal, m.system.LocalMountVal = state, local
		m.storage.Reset()
		require.NoError(t, m.tickNow())
		require.Zero(t, m.storage.Reset().Total(), "%v", state)
	}
	m.system.ReplicationStateVal, m.system.LocalMountVal = consts.ReplicationPerformanceSecondary, true
	require.NoError(t, m.tickNow())
	require.Equal(t, 2, m.must(m.read("keys/k")).data["latest_version"], "a local mount of a secondary is its own")
}

func TestInvalidationMakesAnotherNodesChangeVisible(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("keys/k"))
	m.must(m.read("keys/k"))
	other := *m
	other.restart()
	m.must(m.read("policies/p"))
	other.must(other.write("keys/k/rotate", "reason", "because of a test"))
	other.must(other.write("policies/p", "owner", "someone else"))

	m.InvalidateKey(context.Background(), "keys/k")
	m.InvalidateKey(context.Background(), "policies/p")
	m.InvalidateKey(context.Background(), "config/kek")
	require.Equal(t, 2, m.must(m.read("keys/k")).data["latest_version"])
	require.Equal(t, "someone else", m.must(m.read("policies/p")).data["owner"])
	require.True(t, strings.HasPrefix(m.encrypt("k", "x"), "vault:v2:"))
}

func TestEveryPathExplainsItselfToPeopleAndToTools(t *testing.T) {
	m := newMount(t)
	for _, path := range m.Paths {
		require.NotEmpty(t, path.HelpSynopsis, path.Pattern)
		require.NotEmpty(t, path.HelpDescription, path.Pattern)
		require.NotNil(t, path.DisplayAttrs, path.Pattern)
		require.Equal(t, "keylife", path.DisplayAttrs.OperationPrefix, path.Pattern)
		for op, handler := range path.Operations {
			require.NotEmpty(t, handler.Properties().Summary, "%s %s", op, path.Pattern)
			require.NotEmpty(t, handler.Properties().Responses, "%s %s", op, path.Pattern)
		}
		for name, schema := range path.Fields {
			require.NotEmpty(t, schema.Description, "%s %s", path.Pattern, name)
		}
	}
}

// TestAnswersHaveOnlyDocumentedFields holds the response schemas, which OpenAPI publishes, to what is answered.
func TestAnswersHaveOnlyDocumentedFields(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("keys/d", "derived", true, "convergent_encryption", true, "policy", "p"))
	for path, schema := range map[string]map[string]*framework.FieldSchema{
		"keys/d": viewFields, "keys/d/rotation": rotationFields, "policies/p": policyFields,
	} {
		for name := range m.must(m.read(path)).data {
			require.Contains(t, schema, name, path)
		}
	}
}
