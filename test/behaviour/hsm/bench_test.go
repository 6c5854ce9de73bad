// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
)

// BenchmarkRewrap wraps ten thousand keys anew, on a token that takes two milliseconds for each call, while a client encrypts
// with a hundred of them. Idle is the same client before, in the same run. The ticks follow each other at once.
func BenchmarkRewrap(b *testing.B) {
	const keys, latency = 10_000, 2 * time.Millisecond
	w := &world{device: faketoken.NewDevice(faketoken.Config{Label: "prod", Serial: "0001", PIN: pin})}
	w.Mount = w.mount(b, w.process())
	defer w.end()
	w.configure()
	for i := range keys {
		w.Must(w.Write(fmt.Sprintf("keys/k%04d", i)))
	}
	for _, f := range []faketoken.Func{faketoken.Encrypt, faketoken.Decrypt} {
		w.library.Before(f, 1<<30, func() { time.Sleep(latency) })
	}
	w.encryptFor(b, time.Second) // each key is in memory from here on
	for b.Loop() {
		idle := w.encryptFor(b, 5*time.Second)
		w.Must(w.Write("hsm/keks/rotate"))
		before := w.tokenCalls()
		ctx, stop := context.WithCancel(b.Context())
		client := make(chan time.Duration)
		go func() { client <- w.encryptUntil(ctx, b) }()
		began := time.Now()
		w.sweep()
		took := time.Since(began)
		stop()
		meanwhile, calls := <-client, w.tokenCalls()-before
		require.Equal(b, w.active("use"), hexOf(w.kekOf("versions/k9999/1")))

		b.ReportMetric(took.Seconds(), "s/sweep")
		b.ReportMetric(float64(calls)/keys, "calls/version")
		b.ReportMetric(took.Seconds()/(time.Duration(calls)*latency).Seconds(), "sweep/token-time")
		b.ReportMetric(float64(idle.Microseconds()), "p99-idle-us")
		b.ReportMetric(float64(meanwhile.Microseconds()), "p99-meanwhile-us")
		b.ReportMetric(meanwhile.Seconds()/idle.Seconds(), "p99-meanwhile/idle")
	}
}

func (w *world) tokenCalls() int {
	return w.library.Calls(faketoken.Encrypt) + w.library.Calls(faketoken.Decrypt)
}

func (w *world) encryptFor(b *testing.B, d time.Duration) (p99 time.Duration) {
	ctx, stop := context.WithTimeout(b.Context(), d)
	defer stop()
	return w.encryptUntil(ctx, b)
}

// encryptUntil encrypts with a hundred keys in turn, about once a millisecond, and returns what all but a hundredth of the
// requests take at most.
func (w *world) encryptUntil(ctx context.Context, b *testing.B) (p99 time.Duration) {
	var took []time.Duration
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		answer := w.Write(fmt.Sprintf("encrypt/k%04d", i%100*100), "plaintext", "aGVsbG8=")
		took = append(took, time.Since(began))
		if answer.Status != http.StatusOK {
			b.Errorf("status %d: %s", answer.Status, answer.Err)
		}
		time.Sleep(time.Millisecond)
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}
