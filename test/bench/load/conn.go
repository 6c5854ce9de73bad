// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// Request is a request of HTTP/1.1 as it goes over the wire.
type Request []byte

// NewRequest makes a PUT, or whatever method is, that bears Vault's token.
func NewRequest(method, host, path, token string, body []byte) Request {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nX-Vault-Token: %s\r\nContent-Length: %d\r\n\r\n", method, path, host, token, len(body))
	return append([]byte(head), body...)
}

// ReadSize is of the buffer of a connection, and the longest line of a head.
const readSize = 32 << 10

// conn is one connection, which one goroutine writes and one reads.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func dial(host string) (*conn, error) {
	c, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, in: bufio.NewReaderSize(c, readSize)}, nil
}

// do sends a request and reads the answer. What is not a success is an error.
func (c *conn) do(r Request) error {
	if _, err := c.Write(r); err != nil {
		return err
	}
	return c.success()
}

// success reads an answer to its end and keeps nothing, but of what is no success.
func (c *conn) success() error {
	status, body, err := c.answer(nil)
	if err == nil && (status < 200 || status > 299) {
		err = fmt.Errorf("the server answers %d: %s", status, bytes.TrimSpace(body))
	}
	return err
}

// answer reads an answer. Its body goes to w; where w is nil and it is no success, it is returned.
func (c *conn) answer(w io.Writer) (status int, body []byte, err error) {
	length, chunked := 0, false
	if status, length, chunked, err = c.head(); err != nil {
		return 0, nil, err
	}
	kept := &bytes.Buffer{}
	switch {
	case w == nil && status >= 300:
		w = kept
	case w == nil:
		w = io.Discard
	}
	if chunked {
		err = c.chunks(w)
	} else {
		err = c.copy(w, length)
	}
	return status, kept.Bytes(), err
}

// head reads the status and what says how long the body is.
func (c *conn) head() (status, length int, chunked bool, err error) {
	line, err := c.line()
	if err != nil {
		return 0, 0, false, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, 0, false, fmt.Errorf("an answer begins with %q", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, 0, false, err
	}
	for {
		if line, err = c.line(); err != nil || len(line) == 0 {
			return status, length, chunked, err
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case strings.EqualFold(string(name), "Content-Length"):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, false, err
			}
		case strings.EqualFold(string(name), "Transfer-Encoding"):
			chunked = true
		}
	}
}

// line reads a line and returns it without its end; it is valid until the next read.
func (c *conn) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// chunks reads a body in chunks (RFC 9112, section 7.1), without trailers.
func (c *conn) chunks(w io.Writer) error {
	for {
		line, err := c.line()
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(line), 16, 31)
		if err != nil {
			return err
		}
		if err := c.copy(w, int(size)); err != nil {
			return err
		}
		if line, err = c.line(); err != nil {
			return err
		}
		if len(line) != 0 {
			return errors.New("a chunk is longer than it says")
		}
		if size == 0 {
			return nil
		}
	}
}

func (c *conn) copy(w io.Writer, length int) error {
	if w == io.Discard {
		_, err := c.in.Discard(length)
		return err
	}
	_, err := io.CopyN(w, c.in, int64(length))
	return err
}
