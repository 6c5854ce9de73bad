// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/enginetest"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// results are the results of an operation that are not 0.
func results(of *observe.Operation) map[string]int64 {
	some := map[string]int64{}
	for _, r := range of.Results() {
		if r.Of != 0 {
			some[r.Name] = r.Of
		}
	}
	return some
}

func TestItemsAreCountedByWhatBecameOfThem(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	o, s, ctx := w.Plane.Observe, w.Data(), t.Context()
	sealed := w.Encrypt("k", "hello").Text
	_, err := s.Encrypt(ctx, "k", []dataplane.Item{{Text: enginetest.Text("four")}, {Text: "no base64!"}, {Text: enginetest.Text("ab"), Version: 7}})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"ok": 2, "invalid": 2}, results(&o.Encrypt))
	require.EqualValues(t, len("hello")+len("four"), o.Encrypt.Bytes.Load(), "of what is done")

	_, err = s.Decrypt(ctx, "k", []dataplane.Item{{Text: sealed}, {Text: sealed[:len(sealed)-4] + "AAAA"}})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"ok": 1, "invalid": 1}, results(&o.Decrypt))
	require.EqualValues(t, len("hello"), o.Decrypt.Bytes.Load())

	_, err = s.Rewrap(ctx, "k", []dataplane.Item{{Text: sealed}})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"ok": 1}, results(&o.Rewrap))
	require.EqualValues(t, len("hello"), o.Rewrap.Bytes.Load(), "once, though it is opened and protected")

	_, err = s.Datakeys(ctx, "k", 5, 256, dataplane.Item{})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"ok": 5}, results(&o.Datakey))
	require.EqualValues(t, 5*32, o.Datakey.Bytes.Load())

	_, err = s.Encrypt(ctx, "missing", []dataplane.Item{{Text: enginetest.Text("x")}, {Text: enginetest.Text("y")}})
	require.Error(t, err)
	require.Equal(t, map[string]int64{"ok": 2, "invalid": 4}, results(&o.Encrypt), "there is no such key: all items of the request")
}

func TestADeniedItemIsCountedAndByItsStateToo(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	text := w.Encrypt("k", "x").Text
	suspend(t, w)
	o := w.Plane.Observe
	_, err := w.Data().Decrypt(t.Context(), "k", []dataplane.Item{{Text: text}, {Text: text}, {Text: text[:len(text)-4] + "AAAA"}})
	require.NoError(t, err)
	_, err = w.Data().Encrypt(t.Context(), "k", []dataplane.Item{{Text: enginetest.Text("x")}})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"denied": 3}, results(&o.Decrypt))
	require.Equal(t, map[string]int64{"ok": 1, "denied": 1}, results(&o.Encrypt))
	require.Len(t, o.DeniedUses.All(), len(lifecycle.States()))
	for _, c := range o.DeniedUses.All() {
		want := map[string]int64{"suspended": 2}[c.Labels[0]] // what the version did not make is no use of it
		require.Equal(t, want, c.N, c.Labels[0])
	}
}

func TestAUsageLimitIsAResultOfItsOwn(t *testing.T) {
	w := limited(t, 2, policy.OnLimitBlock)
	for range 4 {
		_, err := w.Data().Encrypt(t.Context(), "k", []dataplane.Item{{Text: enginetest.Text("x")}})
		require.NoError(t, err)
	}
	require.Equal(t, map[string]int64{"ok": 2, "limit": 1, "denied": 1}, results(&w.Plane.Observe.Encrypt), "the limit ends the version, which is a state from then on")

	w = enginetest.New(t)
	w.Policy("p", func(d *policy.Document) { d.MaxBytes = 4 })
	w.Create("k", "p")
	_, err := w.Data().Encrypt(t.Context(), "k", []dataplane.Item{{Text: enginetest.Text("too long")}})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"limit": 1}, results(&w.Plane.Observe.Encrypt))
}

func TestWhatFailsByNobodysFaultIsAnError(t *testing.T) {
	w := enginetest.New(t)
	w.Create("k", "")
	text := w.Encrypt("k", "x").Text
	w.Restart()
	w.Fail("Version k", errors.New("storage is away"))
	_, err := w.Data().Decrypt(t.Context(), "k", []dataplane.Item{{Text: text}})
	require.NoError(t, err)
	require.Equal(t, map[string]int64{"error": 1}, results(&w.Plane.Observe.Decrypt))
}

func TestSignaturesAndMACsAreCounted(t *testing.T) {
	w := enginetest.New(t)
	createSigner(t, w, lifecycle.Key{Type: keytype.ECDSAP256})
	o := w.Plane.Observe
	signed := sign(t, w, "hello")
	require.True(t, verify(t, w, "hello", signed.Text).Valid)
	require.False(t, verify(t, w, "other", signed.Text).Valid)
	require.Equal(t, map[string]int64{"ok": 1}, results(&o.Sign))
	require.Equal(t, map[string]int64{"ok": 1, "invalid": 1}, results(&o.Verify), "one is not the key's")
	require.EqualValues(t, len("hello"), o.Sign.Bytes.Load())
	require.EqualValues(t, len("hello")+len("other"), o.Verify.Bytes.Load())

	input := enginetest.Text("abc")
	macs := dataplane.MACs{Session: w.Data()}
	made, err := macs.Make(t.Context(), "k", 0, []dataplane.MACItem{{Input: &input, Kind: dataplane.HMAC, Hash: "sha2-256"}})
	require.NoError(t, err)
	_, err = macs.Verify(t.Context(), "k", []dataplane.MACItem{{Input: &input, Kind: dataplane.HMAC, Hash: "sha2-256", MAC: made[0].Text}})
	require.NoError(t, err)
	_, err = macs.Make(t.Context(), "k", 0, []dataplane.MACItem{{Input: &input, Kind: dataplane.CMAC}})
	require.Error(t, err)
	require.Equal(t, map[string]int64{"ok": 1}, results(&o.HMAC))
	require.Equal(t, map[string]int64{"denied": 1}, results(&o.CMAC), "keys of the type make none")
	require.Equal(t, map[string]int64{"ok": 2, "invalid": 1}, results(&o.Verify))
}

func TestCachesAreCounted(t *testing.T) {
	w := limited(t, 1<<40, policy.OnLimitRotate)
	w.Encrypt("k", "x")
	o := w.Plane.Observe
	before := map[string]int64{}
	for _, c := range o.Caches.All() {
		require.Positive(t, c.Of.Miss.Load(), c.Name)
		before[c.Name] = c.Of.Hit.Load()
	}
	misses := o.Keys.Miss.Load()
	w.Encrypt("k", "x")
	for _, c := range o.Caches.All() {
		require.Equal(t, before[c.Name]+1, c.Of.Hit.Load(), c.Name)
	}
	require.Equal(t, misses, o.Keys.Miss.Load())
}

// A node that must not write hands the request to one that may, which counts it.
func TestWhatAnotherNodeDoesIsNotCountedHere(t *testing.T) {
	w := limited(t, 10, policy.OnLimitRotate)
	w.Plane.ReadOnly = func() bool { return true }
	w.Fail("Lease k", errors.New("read-only"))
	_, err := w.Data().Encrypt(t.Context(), "k", []dataplane.Item{{Text: enginetest.Text("x")}})
	require.Error(t, err)
	require.Empty(t, results(&w.Plane.Observe.Encrypt))
}

// BenchmarkCounting compares what a request adds to the counters with the request.
func BenchmarkCounting(b *testing.B) {
	w := limited(b, 1<<40, policy.OnLimitRotate)
	w.Encrypt("k", "x")
	s, ctx, items := w.Data(), b.Context(), []dataplane.Item{{Text: enginetest.Text("x")}}
	perOp := func(b *testing.B) float64 { return float64(b.Elapsed().Nanoseconds()) / float64(b.N) }
	var request float64
	b.Run("request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Encrypt(ctx, "k", items); err != nil {
				b.Fatal(err)
			}
		}
		request = perOp(b)
	})
	b.Run("counters", func(b *testing.B) {
		b.ReportAllocs()
		o := w.Plane.Observe
		for b.Loop() {
			o.Keys.Found(true)
			o.Policies.Found(true)
			o.Ciphers.Found(true)
			o.Encrypt.OK.Add(1)
			o.Encrypt.Bytes.Add(1)
		}
		if request > perOp(b) {
			b.ReportMetric(request/(request-perOp(b)), "with/without")
		}
	})
}
