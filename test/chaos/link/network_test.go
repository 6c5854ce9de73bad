// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package link_test

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/chaos/link"
)

// echo is a node that says each line back.
func echo(t *testing.T) string {
	t.Helper()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = door.Close() })
	go func() {
		for {
			came, err := door.Accept()
			if err != nil {
				return
			}
			go func() {
				defer came.Close()
				for lines := bufio.NewScanner(came); lines.Scan(); {
					_, _ = came.Write(append(lines.Bytes(), '\n'))
				}
			}()
		}
	}()
	return door.Addr().String()
}

// caller is a connection, and what it hears.
type caller struct {
	net.Conn
	*bufio.Reader
}

func call(t *testing.T, address string) caller {
	t.Helper()
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return caller{c, bufio.NewReader(c)}
}

func (c caller) say(t *testing.T, line string) {
	t.Helper()
	_, err := c.Write([]byte(line + "\n"))
	require.NoError(t, err)
}

func (c caller) hear(t *testing.T, want string) {
	t.Helper()
	line, err := c.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, want+"\n", line)
}

// pair is a network of two nodes; all connections come from the first.
func pair(t *testing.T) (n *link.Network, second string) {
	t.Helper()
	n = link.New(func(net.Conn) string { return "first" })
	t.Cleanup(n.Close)
	second, err := n.Join("second", echo(t))
	require.NoError(t, err)
	return n, second
}

func TestWhatIsSentPasses(t *testing.T) {
	_, second := pair(t)
	c := call(t, second)
	c.say(t, "hello")
	c.hear(t, "hello")
}

func TestACutEndsConnectionsOfEitherSide(t *testing.T) {
	for _, node := range []string{"first", "second"} {
		n, second := pair(t)
		c := call(t, second)
		c.say(t, "hello")
		c.hear(t, "hello")
		n.Set(node, link.Broken)
		_, err := c.ReadString('\n')
		require.Error(t, err, "%s is cut, and its connection lives", node)
		_, err = call(t, second).ReadString('\n')
		require.Error(t, err, "%s is cut, and a new connection lives", node)
		n.Set(node, link.Whole)
		again := call(t, second)
		again.say(t, "back")
		again.hear(t, "back")
	}
}

func TestACutOfAnotherNodeIsNotFelt(t *testing.T) {
	n, second := pair(t)
	c := call(t, second)
	n.Set("third", link.Broken)
	c.say(t, "hello")
	c.hear(t, "hello")
}

func TestWhatIsSentIntoSilenceArrivesWhenItEnds(t *testing.T) {
	n, second := pair(t)
	third, err := n.Join("third", echo(t))
	require.NoError(t, err)
	c := call(t, second)
	c.say(t, "before")
	c.hear(t, "before")
	n.Set("second", link.Silent)
	c.say(t, "meanwhile")
	heard := make(chan string)
	go func() {
		line, _ := c.ReadString('\n')
		heard <- line
	}()
	fresh := call(t, second) // is accepted, and not answered
	fresh.say(t, "fresh")
	elsewhere := call(t, third) // three there and back, in which the line would have come
	for range 3 {
		elsewhere.say(t, "hello")
		elsewhere.hear(t, "hello")
	}
	select {
	case line := <-heard:
		require.Fail(t, "a cut node was heard", line)
	default:
	}
	n.Set("second", link.Whole)
	require.Equal(t, "meanwhile\n", <-heard)
	fresh.hear(t, "fresh")
}

func TestCloseEndsWhatIsSilent(t *testing.T) {
	n, second := pair(t)
	c := call(t, second)
	n.Set("second", link.Silent)
	c.say(t, "hello")
	n.Close()
	_, err := c.ReadString('\n')
	require.Error(t, err)
}

// The child is this test binary, which calls the address that it is told.
func TestTheChildOfAConnectionIsFound(t *testing.T) {
	if address := os.Getenv("LINK_TEST_CALL"); address != "" {
		_, _ = call(t, address).ReadString('\n')
		return
	}
	door, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer door.Close()
	child := exec.Command(os.Args[0], "-test.run=^TestTheChildOfAConnectionIsFound$", "-test.v=false")
	child.Env = append(os.Environ(), "LINK_TEST_CALL="+door.Addr().String())
	require.NoError(t, child.Start())
	came, err := door.Accept()
	require.NoError(t, err)
	require.Contains(t, link.CommandOf(came), "-test.run=^TestTheChildOfAConnectionIsFound$")
	require.NoError(t, came.Close())
	require.NoError(t, child.Wait())
	require.Empty(t, link.CommandOf(call(t, door.Addr().String()).Conn), "a connection of our own")
}
