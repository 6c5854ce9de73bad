// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package load

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCPUIsUserAndSystemTime(t *testing.T) {
	used, err := ofStat("7 (a (b) c) S 1 7 7 0 -1 4194304 9 9 9 9 120 34 5 6 20 0 1 0 9")
	require.NoError(t, err)
	require.Equal(t, 1540*time.Millisecond, used)
	for _, stat := range []string{"", "7 (a) S 1", "7 (a) S 1 7 7 0 -1 4194304 9 9 9 9 x 34 5 6"} {
		_, err := ofStat(stat)
		require.Error(t, err, stat)
	}
}

func TestDamagedAnswersAreErrors(t *testing.T) {
	for _, text := range []string{
		"", "HTTP/1.1 200 OK\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc",
	} {
		c := &conn{in: bufio.NewReader(strings.NewReader(text))}
		_, _, err := c.answer(io.Discard)
		require.Error(t, err, "%q", text)
	}
}

func TestChunksOfAnySizeAreOneBody(t *testing.T) {
	c := &conn{in: bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\nB\r\nbcdefghijkl\r\n0\r\n\r\nHTTP/1.1"))}
	var body strings.Builder
	status, _, err := c.answer(&body)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	require.Equal(t, "abcdefghijkl", body.String())
	rest, err := c.in.Peek(4)
	require.NoError(t, err)
	require.Equal(t, "HTTP", string(rest), "the next answer is where it was")
}

func TestArrivalsComeAtTheRate(t *testing.T) {
	due := arrivals(1000, 10*time.Second, 3)
	require.InDelta(t, 10_000, len(due), 400) // four standard deviations
	require.IsIncreasing(t, due)
	require.Less(t, due[len(due)-1], 10*time.Second)
	require.Equal(t, due, arrivals(1000, 10*time.Second, 3))
	require.NotEqual(t, due, arrivals(1000, 10*time.Second, 4))
}
