// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package requests_test

import (
	"cmp"
	"context"
	"fmt"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// benchRequest is a request that is measured: its way through the mount is routing, fields, the act or the cipher, the answer.
type benchRequest struct {
	name string // of the benchmark: runs are compared by it
	path string
	op   logical.Operation // empty: it updates
	data map[string]any
	back map[string]any // of a second request, which undoes an act: both are measured; nil: there is none

	allocations int  // at most so many, rounded down
	grows       bool // what is stored, with each request
}

// benchRequests are those, and the mount that they are sent to.
func benchRequests(tb testing.TB) (*mounttest.Mount, []benchRequest) {
	tb.Helper()
	m := mounttest.New(tb)
	for name, t := range map[string]string{"k": "aes256-gcm96", "e": "ed25519", "p": "ecdsa-p256", "rotated": "aes256-gcm96", "held": "aes256-gcm96"} {
		m.Must(m.Write("keys/"+name, "type", t))
	}
	for i := range 100 {
		m.Must(m.Write(fmt.Sprintf("keys/listed-%02d", i)))
	}
	const plain = "thirty-two bytes of a plain text"
	text, ciphertext := mounttest.B64(plain), m.Encrypt("k", plain)
	signature := func(key string) any { return m.Must(m.Write("sign/"+key, "input", text)).Data["signature"] }
	batch := func(n int, name, value string) map[string]any {
		items := make([]any, n)
		for i := range items {
			items[i] = mounttest.Data(name, value, "reference", "r")
		}
		return mounttest.Data("batch_input", items)
	}
	return m, []benchRequest{
		{name: "Encrypt", path: "encrypt/k", data: mounttest.Data("plaintext", text), allocations: 35},
		{name: "Decrypt", path: "decrypt/k", data: mounttest.Data("ciphertext", ciphertext), allocations: 35},
		{name: "Rewrap", path: "rewrap/k", data: mounttest.Data("ciphertext", ciphertext), allocations: 36},
		{name: "Encrypt100", path: "encrypt/k", data: batch(100, "plaintext", text), allocations: 238},
		{name: "Decrypt100", path: "decrypt/k", data: batch(100, "ciphertext", ciphertext), allocations: 238},
		{name: "Rewrap100", path: "rewrap/k", data: batch(100, "ciphertext", ciphertext), allocations: 1038},
		{name: "Encrypt1000", path: "encrypt/k", data: batch(1000, "plaintext", text), allocations: 2938},
		{name: "Decrypt1000", path: "decrypt/k", data: batch(1000, "ciphertext", ciphertext), allocations: 2938},
		{name: "DataKey", path: "datakey/plaintext/k", allocations: 41},
		{name: "SignEd25519", path: "sign/e", data: mounttest.Data("input", text), allocations: 46},
		{name: "SignP256", path: "sign/p", data: mounttest.Data("input", text), allocations: 136},
		{name: "VerifyEd25519", path: "verify/e", data: mounttest.Data("input", text, "signature", signature("e")), allocations: 54},
		{name: "VerifyP256", path: "verify/p", data: mounttest.Data("input", text, "signature", signature("p")), allocations: 101},
		{name: "HMAC", path: "hmac/k", data: mounttest.Data("input", text), allocations: 47},
		{name: "ReadKey", path: "keys/k", op: logical.ReadOperation, allocations: 47},
		{name: "ListKeys", path: "keys/", op: logical.ListOperation, allocations: 1860},
		{name: "Rotate", path: "keys/rotated/rotate", grows: true, allocations: 345},
		{name: "HoldAndLift", path: "keys/held/hold", data: mounttest.Data("hold", true), back: mounttest.Data("hold", false), grows: true, allocations: 420},
	}
}

// send is what is measured of a request.
func (r benchRequest) send(tb testing.TB, m *mounttest.Mount) {
	for _, data := range []map[string]any{r.data, r.back}[:1+min(1, len(r.back))] {
		resp, err := m.HandleRequest(context.Background(), &logical.Request{
			Operation: cmp.Or(r.op, logical.UpdateOperation), Path: r.path, Data: data, Storage: m.Storage,
		})
		if err != nil || resp.IsError() {
			require.NoError(tb, err)
			require.False(tb, resp.IsError(), "%s: %v", r.path, resp)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	m, requests := benchRequests(b)
	for _, r := range requests {
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.send(b, m)
			}
		})
	}
}

func TestRequestsAllocateNoMoreThanTheyDid(t *testing.T) {
	racetest.Skip(t, "the race detector allocates on its own")
	m, requests := benchRequests(t)
	for _, r := range requests {
		runs := 100
		if r.grows { // from the same size on
			runs = 10
		}
		got := testing.AllocsPerRun(runs, func() { r.send(t, m) })
		assert.LessOrEqual(t, int(got), r.allocations+1, "allocations of %s; one more where a pool was emptied", r.name)
	}
}
