// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package health_test is about what a mount says of how it is: from memory, by a check that is made now, and of the stored material
// of a key.
package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// answered is what a health check answers.
type answered struct {
	code   int
	status string
	data   map[string]any
}

func ask(t *testing.T, m *mounttest.Mount, op logical.Operation) answered {
	t.Helper()
	resp, err := m.HandleRequest(t.Context(), &logical.Request{Operation: op, Path: "health", Storage: m.Storage, Data: map[string]any{}})
	require.NoError(t, err)
	body, raw := resp.Data[logical.HTTPRawBody].(string)
	if !raw {
		data := mounttest.AsJSON(t, resp.Data)
		return answered{http.StatusOK, data["status"].(string), data}
	}
	var answer struct{ Data map[string]any }
	require.NoError(t, json.Unmarshal([]byte(body), &answer))
	require.Equal(t, "failing", answer.Data["status"])
	return answered{resp.Data[logical.HTTPStatusCode].(int), "failing", answer.Data}
}

// problems are the findings that are not ok: check to status.
func (a answered) problems() map[string]string {
	found := map[string]string{}
	for _, row := range a.data["checks"].([]any) {
		if f := row.(map[string]any); f["status"] != "ok" {
			found[f["check"].(string)] = f["status"].(string)
		}
	}
	return found
}

// ticking is a mount with a key, and a tick behind it.
func ticking(t *testing.T) *mounttest.Mount {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	require.NoError(t, m.Tick())
	return m
}

func TestHealthIsAnsweredFromMemory(t *testing.T) {
	m := ticking(t)
	m.Storage.Reset()
	a := ask(t, m, logical.ReadOperation)
	require.Zero(t, m.Storage.Reset().Total())
	require.Equal(t, http.StatusOK, a.code)
	require.Equal(t, "ok", a.status, a.problems())
	require.Equal(t, true, a.data["active"])
	require.EqualValues(t, 0, a.data["findings_age"])
	m.Clock.Add(2 * time.Minute)
	require.EqualValues(t, 120, ask(t, m, logical.ReadOperation).data["findings_age"])
}

func TestHealthFailsWhereNoTickRunsForThreeMinutes(t *testing.T) {
	m := mounttest.New(t)
	require.Equal(t, "ok", ask(t, m, logical.ReadOperation).status, "nobody has to act")
	m.Clock.Add(4 * time.Minute)
	a := ask(t, m, logical.ReadOperation)
	require.Equal(t, http.StatusServiceUnavailable, a.code)
	require.Equal(t, map[string]string{"tick": "failing"}, a.problems())
	require.NoError(t, m.Tick())
	require.Equal(t, "ok", ask(t, m, logical.ReadOperation).status)
}

func TestAStorageThatDoesNotAnswerIsFailing(t *testing.T) {
	m := ticking(t)
	m.Storage.FailGets("config/clock")
	m.Clock.Add(time.Minute)
	require.Error(t, m.Tick())
	a := ask(t, m, logical.ReadOperation)
	require.Equal(t, "failing", a.problems()["storage"])
	require.Equal(t, http.StatusServiceUnavailable, a.code)
	m.Storage.Heal()
	require.NoError(t, m.Tick())
	require.Empty(t, ask(t, m, logical.ReadOperation).problems())
}

// away is a wrapper that is.
type away struct {
	envelope.KeyWrapper
	err *error
}

func (w away) Wrap(ctx context.Context, dek, aad []byte) ([]byte, error) {
	if *w.err != nil {
		return nil, *w.err
	}
	return w.KeyWrapper.Wrap(ctx, dek, aad)
}

func (w away) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	if *w.err != nil {
		return nil, *w.err
	}
	return w.KeyWrapper.Unwrap(ctx, wrapped, aad)
}

func TestAWrapperThatIsAwayDegradesAndAKeyThatDoesNotOpenItsCanaryFails(t *testing.T) {
	m := ticking(t)
	var err error
	m.WrapKeys(func(w envelope.KeyWrapper) envelope.KeyWrapper { return away{w, &err} })
	require.NoError(t, m.Tick())
	require.Empty(t, ask(t, m, logical.ReadOperation).problems())

	err = fmt.Errorf("%w: unplugged", envelope.ErrUnavailable)
	m.Clock.Add(time.Minute)
	require.NoError(t, m.Tick())
	a := ask(t, m, logical.ReadOperation)
	require.Equal(t, map[string]string{"hsm": "degraded"}, a.problems())
	require.Equal(t, http.StatusOK, a.code)
	require.Equal(t, map[string]string{"hsm": "failing"}, ask(t, m, logical.UpdateOperation).problems(), "a check that is made now")

	err = errors.New("another key")
	m.Clock.Add(time.Minute)
	require.NoError(t, m.Tick())
	require.Equal(t, map[string]string{"key_encryption_keys": "failing"}, ask(t, m, logical.ReadOperation).problems())
	require.Equal(t, map[string]string{"key_encryption_keys": "failing"}, ask(t, m, logical.UpdateOperation).problems())
}

func TestADeepCheckCostsOnePutGetAndDeleteAndLeavesNothing(t *testing.T) {
	m := ticking(t)
	before := m.Storage.All()
	m.Storage.Reset()
	a := ask(t, m, logical.UpdateOperation)
	require.Equal(t, storagetest.Counts{Gets: 1, Puts: 1, Deletes: 1}, m.Storage.Reset())
	require.Equal(t, "ok", a.status, a.problems())
	require.Equal(t, before, m.Storage.All())
}

func TestADeepCheckOfAMountWithoutKeysMakesNone(t *testing.T) {
	m := mounttest.New(t)
	require.NoError(t, m.Tick())
	before := m.Storage.All()
	require.Empty(t, ask(t, m, logical.UpdateOperation).problems())
	require.Equal(t, before, m.Storage.All())
}

// TestADeepCheckWhoseWriteFailsSaysSoAndHarmsNothing: whatever becomes of its writes, the next check is well.
func TestADeepCheckWhoseWriteFailsSaysSoAndHarmsNothing(t *testing.T) {
	for _, fate := range storagetest.Fates() {
		for at := 1; at <= 2; at++ {
			m := ticking(t)
			before := m.Storage.All()
			m.Storage.FailWriteAs(at, fate)
			a := ask(t, m, logical.UpdateOperation)
			require.True(t, m.Storage.Fired())
			require.Equal(t, map[string]string{"storage": "failing"}, a.problems(), "%v %d", fate, at)
			require.Equal(t, http.StatusServiceUnavailable, a.code)
			m.Storage.Heal()
			require.Empty(t, ask(t, m, logical.UpdateOperation).problems(), "%v %d", fate, at)
			require.Equal(t, before, m.Storage.All())
			mounttest.RequireCustodyWhole(t, m)
		}
	}
}

func TestADeepCheckOnANodeThatMustNotWriteIsForwarded(t *testing.T) {
	m := ticking(t)
	_, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: "health", Storage: readOnly{m.Storage}, Data: map[string]any{}})
	require.ErrorIs(t, err, logical.ErrReadOnly)
}

// readOnly is the storage of a node that must not write.
type readOnly struct{ logical.Storage }

func (readOnly) Put(context.Context, *logical.StorageEntry) error { return logical.ErrReadOnly }

func TestANodeThatDoesNotActSaysSoAndShowsItsOwnFindings(t *testing.T) {
	m := ticking(t)
	m.System.ReplicationStateVal = consts.ReplicationPerformanceStandby
	m.Restart()
	require.NoError(t, m.Tick())
	m.Clock.Add(2 * time.Minute)
	a := ask(t, m, logical.ReadOperation)
	require.Equal(t, false, a.data["active"])
	require.Empty(t, a.problems())
	m.Clock.Add(2 * time.Minute)
	require.Equal(t, map[string]string{"tick": "failing"}, ask(t, m, logical.ReadOperation).problems())
}

func live(t *testing.T, m *mounttest.Mount) (code int, body string) {
	t.Helper()
	resp, err := m.HandleRequest(t.Context(), &logical.Request{Operation: logical.ReadOperation, Path: "health/live", Storage: m.Storage})
	require.NoError(t, err)
	if resp == nil {
		return http.StatusNotFound, ""
	}
	require.Equal(t, "text/plain; charset=utf-8", resp.Data[logical.HTTPContentType])
	return resp.Data[logical.HTTPStatusCode].(int), string(resp.Data[logical.HTTPRawBody].([]byte))
}

func TestHealthLiveIsOneWordForAnybodyWhereItIsPublic(t *testing.T) {
	m := ticking(t)
	require.Contains(t, m.Framework().PathsSpecial.Unauthenticated, "health/live")
	code, _ := live(t, m)
	require.Equal(t, http.StatusNotFound, code)

	m.Must(m.Write("config/engine", "health_public", true))
	m.Storage.Reset()
	code, word := live(t, m)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "ok\n", word)
	require.Zero(t, m.Storage.Reset().Total())
	m.Clock.Add(5 * time.Minute)
	code, word = live(t, m)
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "failing\n", word)

	m.Restart()
	require.NoError(t, m.Initialize(t.Context(), &logical.InitializationRequest{Storage: m.Storage}))
	code, _ = live(t, m)
	require.Equal(t, http.StatusOK, code, "it is remembered over a restart")
	m.Must(m.Write("config/engine", "health_public", false))
	code, _ = live(t, m)
	require.Equal(t, http.StatusNotFound, code)
}

func TestAnotherNodesSettingsOfHealthAreLearned(t *testing.T) {
	m := ticking(t)
	m.Must(m.Write("config/engine", "health_public", true))
	m.SetStored("config/engine", "health_public", false)
	m.InvalidateKey(t.Context(), "config/engine")
	code, _ := live(t, m)
	require.Equal(t, http.StatusNotFound, code)
}

func TestHealthTakesNoFields(t *testing.T) {
	m := ticking(t)
	m.Refused(m.Read("health", "deep", true), "deep")
	m.Refused(m.Write("config/engine", "scrub", 65), "scrub", "65", "between 0 and 64")
	m.Refused(m.Write("config/engine", "scrub", -1), "scrub", "-1", "between 0 and 64")
}
