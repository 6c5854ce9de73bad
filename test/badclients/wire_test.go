// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package badclients_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// dial opens a connection on which a test writes what it likes.
func (b *besieged) dial() net.Conn {
	b.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(b.Address(), "http://"))
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

// head is the beginning of a request with a body of so many bytes.
func (b *besieged) head(path string, length int) string {
	return fmt.Sprintf("POST /v1/%s/%s HTTP/1.1\r\nHost: vault\r\nX-Vault-Token: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", mount, path, b.Client().Token(), length)
}

// requestsThatTrickleHoldUpNobody keeps connections open on which a request comes byte by byte, or never to its end.
func requestsThatTrickleHoldUpNobody(t *testing.T, b *besieged) {
	const slow = 150
	body := `{"plaintext":"` + hello + `"}`
	var open []net.Conn
	for i := range slow {
		c := b.dial()
		_, err := io.WriteString(c, []string{"POST /v1/", b.head("encrypt/k", 1<<20), b.head("encrypt/k", len(body))}[i%3])
		require.NoError(t, err)
		open = append(open, c)
	}
	for i := range body {
		for _, c := range open {
			_, _ = c.Write([]byte{body[i]})
		}
		<-time.After(10 * time.Millisecond)
	}
	for i := 2; i < slow; i += 3 { // those have come to their end
		response, err := http.ReadResponse(bufio.NewReader(open[i]), nil)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
}

// requestsThatAreGivenUpLeaveNothing cuts connections in the middle of a body, and while Vault works at the answer.
func requestsThatAreGivenUpLeaveNothing(t *testing.T, b *besieged) {
	large := batch(5_000, `{"plaintext":"`+hello+`"}`)
	var wait sync.WaitGroup
	for i := range 60 {
		wait.Go(func() {
			c := b.dial()
			_, _ = io.WriteString(c, b.head("encrypt/k", len(large))+large[:len(large)/60*i])
			_ = c.Close()
			ctx, giveUp := context.WithTimeout(t.Context(), time.Duration(i)*time.Millisecond)
			defer giveUp()
			_, _ = b.Send(harness.Request{Method: http.MethodPost, Path: mount + "/encrypt/k", Body: large, Context: ctx})
			_, _ = b.Send(harness.Request{Method: http.MethodPost, Path: mount + "/keys/k/rotate", Context: ctx})
		})
	}
	wait.Wait()
	require.Equal(t, true, b.Must(t, http.MethodPost, mount+"/custody/verify", nil)["valid"])
}

// pipelinedRequestsAreAnsweredInTheirOrder sends requests on one connection without waiting for answers.
func pipelinedRequestsAreAnsweredInTheirOrder(t *testing.T, b *besieged) {
	const requests = 50
	var all strings.Builder
	for i := range requests {
		body := []string{`{"plaintext":"` + hello + `"}`, `{"plaintext":"%"}`, `{"plaintext":7}`}[i%3]
		all.WriteString(b.head("encrypt/k", len(body)) + body)
	}
	c := b.dial()
	_, err := io.WriteString(c, all.String())
	require.NoError(t, err)
	answers := bufio.NewReader(c)
	for i := range requests {
		response, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		said, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, []int{http.StatusOK, http.StatusBadRequest, http.StatusBadRequest}[i%3], response.StatusCode, "request %d: %s", i, said)
	}
}
