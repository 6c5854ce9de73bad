// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/keylife/vault-plugin-keylife/client"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// maxText is the longest text form, with a line break.
const maxText = (kle1.MaxPlaintext+1<<17)/3*4 + 16

// cipherFlags are of encrypt and decrypt.
type cipherFlags struct {
	vaultFlags
	context client.Context
	out     string
	text    bool
}

func (c *cipherFlags) register(flags *flag.FlagSet) {
	c.vaultFlags.register(flags)
	c.context = registerContext(flags)
	flags.StringVar(&c.out, "o", "", "`file` to write, which appears once it is whole; default standard output")
}

func encryptFlags(flags *flag.FlagSet) action {
	c := &cipherFlags{}
	c.register(flags)
	flags.BoolVar(&c.text, "text", false, "write the text form, for input of at most 64 MiB")
	return c.encrypt
}

func decryptFlags(flags *flag.FlagSet) action {
	c := &cipherFlags{}
	c.register(flags)
	return c.decrypt
}

func (c *cipherFlags) encrypt(ctx context.Context, a *app, args []string) error {
	if !c.text && c.out == "" && isTerminal(a.stdout) {
		return usagef("a message is no text for a terminal: give -text, -o FILE, or -o - for all that")
	}
	write := c.encryptStream
	if c.text {
		write = c.encryptText
	}
	return c.each(ctx, a, args, write)
}

// each is the one file of the command. what writes its output.
func (c *cipherFlags) each(ctx context.Context, a *app, args []string, what func(context.Context, key, io.Reader, io.Writer) error) (err error) {
	s, err := a.open(c.vaultFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	in, err := a.input(args)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // read only
	return a.output(c.out, func(w io.Writer) error { return what(ctx, s.key, canceled{ctx, in}, w) })
}

func (c *cipherFlags) encryptStream(ctx context.Context, k key, r io.Reader, w io.Writer) error {
	stream, err := k.EncryptStream(ctx, w, c.context)
	if err != nil {
		return err
	}
	if _, err := io.Copy(stream, r); err != nil {
		return err // the stream is not closed: what was written does not open to its end
	}
	return stream.Close()
}

func (c *cipherFlags) encryptText(ctx context.Context, k key, r io.Reader, w io.Writer) error {
	plaintext, err := readAll(r, kle1.MaxPlaintext, "input of -text")
	if err != nil {
		return err
	}
	text, err := k.EncryptText(ctx, plaintext, c.context)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, text)
	return err
}

func (c *cipherFlags) decrypt(ctx context.Context, a *app, args []string) error {
	return c.each(ctx, a, args, c.decryptAny)
}

// decryptAny tells by the beginning what the message is.
func (c *cipherFlags) decryptAny(ctx context.Context, k key, r io.Reader, w io.Writer) error {
	in := bufio.NewReader(r)
	begin, err := in.Peek(5)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(begin) == "KLE1"+string(rune(kle1.Stream)) {
		plaintext, err := k.DecryptStream(ctx, in, c.context)
		if err != nil {
			return err
		}
		_, err = io.Copy(w, plaintext)
		return err
	}
	message, err := readAll(in, maxText, "message")
	if err != nil {
		return err
	}
	plaintext, err := k.Decrypt(ctx, bytes.TrimRight(message, lineEnds(message)), c.context)
	if err != nil {
		return err
	}
	_, err = w.Write(plaintext)
	return err
}

// lineEnds are what may stand behind a text form.
func lineEnds(message []byte) string {
	if bytes.HasPrefix(message, []byte("kle1.")) {
		return "\r\n"
	}
	return ""
}

func readAll(r io.Reader, limit int64, what string) ([]byte, error) {
	all, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(all)) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", what, limit)
	}
	return all, err
}

// canceled is a reader that ends when the command is interrupted.
type canceled struct {
	ctx context.Context //nolint:containedctx // a reader takes none
	r   io.Reader
}

func (c canceled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
