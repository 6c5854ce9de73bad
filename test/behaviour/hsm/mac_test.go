// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"crypto/rand"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

func TestAKeyOnTheTokenMakesNoMACs(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		w.configure()
		w.Must(w.Write("keys/k", "protection", "hsm"))
		input := mounttest.B64("x")
		for _, got := range []mounttest.Answer{
			w.Write("hmac/k", "input", input), w.Write("hmac/k", "batch_input", []any{map[string]any{"input": input}}), w.Write("cmac/k", "input", input),
			w.Write("verify/k", "input", input, "hmac", "vault:v1:AAAA"), w.Write("verify/k", "input", input, "cmac", "vault:v1:AAAA"),
		} {
			w.Refused(got, `key "k"`, "its versions are on the token")
		}
	})
}

func TestRandomBytesAreOfTheTokenWhereTheySayTheyAre(t *testing.T) {
	for source, want := range map[string]bool{"os": false, "hsm": true, "mixed": true} {
		run(t, func(t *testing.T, w *world) {
			w.configure("random_source", source)
			w.Must(w.Write("keys/k"))
			draws := func() int { return w.library.Calls(faketoken.GenerateRandom) }
			before := draws()
			require.Empty(t, w.Must(w.Write("random/platform")).Warnings)
			require.Equal(t, before, draws(), "%s: platform", source)
			require.Equal(t, want, len(w.Must(w.Write("random/seal")).Warnings) == 0, source)
			require.Equal(t, want, draws() > before, "%s: seal", source)
			before = draws()
			require.Empty(t, w.Must(w.Write("random/all/131072")).Warnings)
			require.Equal(t, want, draws() > before, "%s: all", source)
			w.library.Fail(faketoken.GenerateRandom, cryptoki.ErrDeviceError, 1000)
			if want {
				require.Equal(t, http.StatusServiceUnavailable, w.Write("random/seal").Status)
				require.Equal(t, http.StatusServiceUnavailable, w.Write("random/all").Status)
			}
			w.Must(w.Write("random"))
		})
	}
}

// TestAllIsAsGoodAsTheBetterSource: a token that gives the same bytes again and again adds nothing, and takes nothing away.
func TestAllIsAsGoodAsTheBetterSource(t *testing.T) {
	broken := false
	random := func(p []byte) {
		if broken {
			for i := range p {
				p[i] = byte(i)
			}
			return
		}
		_, _ = rand.Read(p)
	}
	runWith(t, faketoken.Config{Random: random}, func(t *testing.T, w *world) {
		w.configure("random_source", "hsm")
		w.Must(w.Write("keys/k"))
		broken = true
		require.Equal(t, "00010203", w.Must(w.Write("random/seal/4", "format", "hex")).Data["random_bytes"])
		seen := map[any]bool{}
		for range 20 {
			seen[w.Must(w.Write("random/all/16")).Data["random_bytes"]] = true
		}
		require.Len(t, seen, 20)
	})
}
