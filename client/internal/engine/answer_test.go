// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/clienttest"
	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

const edk = "vault:v3:c2VhbGVk"

var aKey = base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

// sortOf tells which of the refusals an error is: exactly one.
func sortOf(t *testing.T, err error) string {
	t.Helper()
	var state *refusal.KeyStateError
	found := ""
	for name, is := range map[string]bool{
		"unavailable":     errors.Is(err, refusal.ErrUnavailable),
		"access_denied":   errors.Is(err, refusal.ErrAccessDenied),
		"key_state":       errors.As(err, &state),
		"invalid_message": errors.Is(err, kle1.ErrInvalidMessage),
		"invalid_input":   errors.Is(err, kle1.ErrInput),
	} {
		if is {
			require.Empty(t, found, "both %s and %s: %v", found, name, err)
			found = name
		}
	}
	return found
}

func TestStatusesAreSortedOnce(t *testing.T) {
	for sort, statuses := range map[string][]int{
		"unavailable":   {204, 302, 408, 412, 429, 472, 473, 500, 501, 502, 503, 504, 599},
		"access_denied": {401, 403},
		"key_state":     {400, 404, 405, 409, 410, 413, 422},
	} {
		for _, status := range statuses {
			e := newEngine(t, engine.Options{Vault: says(t, status, `{"errors":["words of Vault"]}`)})
			_, err := e.Make(t.Context(), "orders")
			require.Equal(t, sort, sortOf(t, err), "%d: %v", status, err)
			if status >= 400 {
				require.ErrorContains(t, err, "words of Vault")
			}
			require.ErrorContains(t, err, "orders")
			_, err = e.Open(t.Context(), "orders", []string{edk})
			require.Equal(t, sort, sortOf(t, err), "%d: %v", status, err)
			_, err = e.Rewrap(t.Context(), "orders", []string{edk})
			require.Equal(t, sort, sortOf(t, err), "%d: %v", status, err)
		}
	}
}

func TestARefusalAsAWholeNamesItsState(t *testing.T) {
	for text, state := range map[string]string{
		"it is suspended [key_suspended]":              "suspended",
		"its version 2 is archived [version_archived]": "archived",
		"encryption key not found":                     "",
		"[version_archived] is not at the end":         "",
	} {
		e := newEngine(t, engine.Options{Vault: says(t, 400, fmt.Sprintf(`{"errors":[%q]}`, text))})
		_, err := e.Make(t.Context(), "orders")
		require.Equal(t, &refusal.KeyStateError{Key: "orders", State: state, Reason: text}, err)
	}
}

func TestItemsAreSortedOnce(t *testing.T) {
	texts := []struct {
		text    string
		version int
		state   string
		invalid bool
	}{
		{"disallowed by policy (too old): version 3 is archived [version_archived]", 3, "archived", false},
		{"disallowed by policy: key \"orders\" is pre_x [key_pre_x]", 0, "pre_x", false},
		{"invalid ciphertext of one that is [version_retired]", 3, "retired", false},
		{"ciphertext or signature version is disallowed by policy (too old)", 0, "", false},
		{"invalid ciphertext: no prefix", 0, "", true},
		{"cipher: message authentication failed", 0, "", true},
	}
	var results, edks []string
	for _, x := range texts {
		results = append(results, fmt.Sprintf(`{"plaintext":"","error":%q}`, x.text))
		edks = append(edks, edk)
	}
	for _, status := range []int{200, 400} { // 400: all failed
		e := newEngine(t, engine.Options{Vault: says(t, status, `{"data":{"batch_results":[`+strings.Join(results, ",")+`]}}`)})
		for _, send := range []func(context.Context, string, []string) ([]engine.Item, error){e.Open, e.Rewrap} {
			items, err := send(t.Context(), "orders", edks)
			require.NoError(t, err)
			for i, x := range texts {
				if x.invalid {
					require.Equal(t, kle1.ErrInvalidMessage, items[i].Err, "says no more")
					continue
				}
				require.Equal(t, &refusal.KeyStateError{Key: "orders", Version: x.version, State: x.state, Reason: x.text}, items[i].Err)
			}
		}
	}
}

func TestWhatCannotBeReadIsAnOutage(t *testing.T) {
	one := func(item string) string { return `{"data":{"batch_results":[` + item + `]}}` }
	for _, body := range []string{
		"", "{", "null", "[]", `"text"`, "<html>", `{"data":null}`, `{"data":{}}`, `{"data":{"batch_results":7}}`, one(""), one("{}"),
		one(`{"plaintext":"***"}`), one(`{"plaintext":7}`), one(`{"plaintext":"` + aKey + `","ciphertext":"` + edk + `","error":7}`), one(`{"ciphertext":""}`), one(`{"ciphertext":"` + aKey + `"}`),
		one(`{"plaintext":"` + aKey + `","ciphertext":"x"},{"plaintext":"` + aKey + `"}`),
		`{"data":{"ciphertext":"` + edk + `"}}`, `{"data":{"plaintext":"` + aKey + `"}}`, `{"data":{"ciphertext":"x","plaintext":"` + aKey + `"}}`,
		`{"data":{"ciphertext":"` + edk + `","plaintext":"AAAA"}}`, `{"data":{"ciphertext":"` + edk + `","plaintext":"` + aKey[1:] + `"}}`,
	} {
		e := newEngine(t, engine.Options{Vault: says(t, 200, body)})
		_, err := e.Make(t.Context(), "orders")
		require.Equal(t, "unavailable", sortOf(t, err), body)
		_, err = e.Open(t.Context(), "orders", []string{edk})
		require.Equal(t, "unavailable", sortOf(t, err), body)
		require.NotContains(t, err.Error(), aKey)
		_, err = e.Rewrap(t.Context(), "orders", []string{edk})
		require.Equal(t, "unavailable", sortOf(t, err), body)
	}
}

// A right to encrypt is enough to put what one likes into an encrypted data key. It must not spoil those beside it.
func TestWhatIsNoDataKeySpoilsNoOther(t *testing.T) {
	e := newEngine(t, engine.Options{Vault: says(t, 200, `{"data":{"batch_results":[{"plaintext":""},{"plaintext":"AAAA"},{"plaintext":"`+aKey+`"}]}}`)})
	items, err := e.Open(t.Context(), "orders", []string{edk, edk, edk})
	require.NoError(t, err)
	require.Equal(t, kle1.ErrInvalidMessage, items[0].Err)
	require.Equal(t, kle1.ErrInvalidMessage, items[1].Err)
	require.NoError(t, items[2].Err)
	require.Len(t, items[2].Key, kle1.KeySize)
}

func TestAnAnswerThatBreaksOffIsAnOutage(t *testing.T) {
	e := newEngine(t, engine.Options{Vault: clientOver(t, func(r *http.Request) (*http.Response, error) {
		a := answer(r, 200, "")
		a.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"data":`), broken{}))
		return a, nil
	})})
	_, err := e.Make(t.Context(), "orders")
	require.Equal(t, "unavailable", sortOf(t, err))
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestOutagesOfAllKindsAreUnavailable(t *testing.T) {
	for _, outage := range []clienttest.Outage{"down", "sealed", "busy", "failing", "slow", "garbled"} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			e := engineOf(t, f)
			f.SetOutage(outage)
			_, err := e.Make(t.Context(), "orders")
			require.Equal(t, "unavailable", sortOf(t, err), "at the login: %v", err)
			f.SetOutage(clienttest.None)
			made, err := e.Make(t.Context(), "orders")
			require.NoError(t, err)
			f.SetOutage(outage)
			start := time.Now()
			_, err = e.Open(t.Context(), "orders", []string{made.EDK})
			require.Equal(t, "unavailable", sortOf(t, err))
			require.LessOrEqual(t, time.Since(start), 5*time.Second)
			require.Equal(t, 1, f.Requests()["decrypt"], "no retry")
		})
	}
}

func TestRetryAfterIsToldAndCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for text, want := range map[string]time.Duration{
			"": 0, "2": 2 * time.Second, "3600": 10 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0,
			time.Now().Add(4 * time.Second).UTC().Format(http.TimeFormat): 4 * time.Second, "Fri, 01 Jan 1999 15:04:05 GMT": 0,
		} {
			e := newEngine(t, engine.Options{Vault: says(t, 429, `{"errors":["quota"]}`, "Retry-After", text)})
			_, err := e.Make(t.Context(), "orders")
			require.Equal(t, want, engine.RetryAfter(err), text)
		}
	})
	require.Zero(t, engine.RetryAfter(nil))
	require.Zero(t, engine.RetryAfter(io.EOF))
}

func TestACallersOwnEndIsItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		e := engineOf(t, f)
		_, err := e.Make(t.Context(), "orders")
		require.NoError(t, err)
		f.SetOutage(clienttest.Slow)

		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = e.Make(ctx, "orders")
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, sortOf(t, err), "it tells nothing of Vault")

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = e.Make(ctx, "orders")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, "unavailable", sortOf(t, err))
	})
}

func TestNamesAndBatchesAreCheckedBeforeTheyAreSent(t *testing.T) {
	f := newFake(t)
	e := engineOf(t, f)
	for _, name := range []string{"", ".", "..", "a/b", "../x", "a?b", "a%2fb", "-a", strings.Repeat("a", 256), "ä"} {
		_, err := e.Make(t.Context(), name)
		require.Equal(t, "invalid_input", sortOf(t, err), "%q", name)
	}
	_, err := e.Open(t.Context(), "orders", nil)
	require.Equal(t, "invalid_input", sortOf(t, err))
	_, err = e.Rewrap(t.Context(), "orders", make([]string, 257))
	require.Equal(t, "invalid_input", sortOf(t, err))
	require.Empty(t, f.Requests())

	for _, o := range []engine.Options{
		{},
		{Mount: "keylife"},
		{Vault: f.Client(), Mount: "a/../b"},
		{Vault: f.Client(), Mount: "a b"},
		{Vault: f.Client(), Mount: "keylife", Consumer: "a\nX-Vault-Token: b"},
		{Vault: f.Client(), Mount: "keylife", Consumer: strings.Repeat("a", 129)},
	} {
		_, err := engine.New(o)
		require.Equal(t, "invalid_input", sortOf(t, err), "%+v", o)
	}
}

func TestErrorsHoldNoSecret(t *testing.T) {
	token := "hvs.the-token"
	for _, status := range []int{200, 400, 403, 404, 429, 500, 503} {
		for _, body := range []string{"{}", "<html>" + aKey + edk, `{"data":{"plaintext":"` + aKey + `","batch_results":[{"plaintext":"` + aKey + `"},{"plaintext":"` + aKey + `"}]}}`} {
			e := newEngine(t, engine.Options{Vault: says(t, status, body)})
			_, err := e.Make(t.Context(), "orders")
			_, err2 := e.Open(t.Context(), "orders", []string{edk})
			_, err3 := e.Rewrap(t.Context(), "orders", []string{edk})
			for _, err := range []error{err, err2, err3} {
				require.Error(t, err)
				for _, secret := range []string{token, aKey, edk} {
					require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret, "%d %s", status, body)
				}
			}
		}
	}
}

func TestADataKeyNeverPrints(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		for _, said := range []string{fmt.Sprintf(verb, engine.Made{Key: secret}), fmt.Sprintf(verb, []engine.Item{{Key: secret}})} {
			require.Contains(t, said, "[redacted]", verb)
			require.NotContains(t, said, "012", verb)
		}
	}
}
