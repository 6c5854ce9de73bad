// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command keylife encrypts files, tells under which versions of a key messages are, and puts them under the newest one.
//
// It encrypts and decrypts on this machine, with data keys of a keylife or Transit engine: package client does that. And it shows
// a keylife mount in a browser: package ui does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // also where some of many failed
	exitUsage  = 2
)

// app is what a run of the command works with.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	fs             atomicfile.FS
	now            func() time.Time
	connect        func(vaultFlags) (session, error)
	browse         func(ctx context.Context, link string) // starts a browser
}

// action is a command whose flags have been read.
type action func(ctx context.Context, a *app, args []string) error

type command struct {
	name, args, about string
	flags             func(*flag.FlagSet) action
}

var commands = []command{
	{"encrypt", "[flags] -key KEY [FILE]", "encrypt a file, or standard input", encryptFlags},
	{"decrypt", "[flags] -key KEY [FILE]", "decrypt a file, or standard input", decryptFlags},
	{"inspect", "[flags] [FILE|FOLDER]...", "tell key and version of messages, without Vault", inspectFlags},
	{"rewrap", "[flags] -key KEY FILE|FOLDER...", "put files under the newest version of the key", rewrapFlags},
	{"bench", "[flags] -key KEY", "measure this machine against Vault's own encrypt", benchFlags},
	{"ui", "[flags]", "show a mount in a browser on this machine, and change nothing", uiFlags},
	{"version", "", "tell the version of this command", versionFlags},
}

// usageError is about what was typed.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

func usagef(format string, args ...any) error { return usageError{fmt.Sprintf(format, args...)} }

// errToldAlready ends a run that has said itself what did not succeed.
var errToldAlready = errors.New("not all succeeded")

// tell writes what is for people. There is nobody to tell that it could not be written.
func tell(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, fs: atomicfile.OS{}, now: time.Now, connect: connect, browse: browse}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs the command that the arguments name, and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	err := a.dispatch(ctx, args)
	var usage usageError
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		tell(a.stderr, "keylife: %v\n", err)
		return exitUsage
	case !errors.Is(err, errToldAlready):
		tell(a.stderr, "keylife: %v\n", err)
	}
	return exitFailed
}

func (a *app) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return usagef("no command (keylife help tells them)")
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		a.help()
		return nil
	}
	for _, c := range commands {
		if c.name == args[0] {
			return a.runCommand(ctx, c, args[1:])
		}
	}
	return usagef("unknown command %q (keylife help tells them)", args[0])
}

func (a *app) runCommand(ctx context.Context, c command, args []string) error {
	flags := flag.NewFlagSet("keylife "+c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	act := c.flags(flags)
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		tell(a.stdout, "usage: keylife %s %s\n\n%s\n", c.name, c.args, c.about)
		flags.SetOutput(a.stdout)
		flags.PrintDefaults()
		return err
	}
	if err != nil {
		return usagef("%s: %v (keylife %s -h tells its flags)", c.name, err, c.name)
	}
	return act(ctx, a, flags.Args())
}

func (a *app) help() {
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	tell(table, "keylife encrypts on this machine, with data keys of a key in Vault, and shows keys and their lives in a browser.\n\nusage:\n")
	for _, c := range commands {
		tell(table, "  keylife %s %s\t%s\n", c.name, c.args, c.about)
	}
	_ = table.Flush()
	tell(a.stdout, `
keylife COMMAND -h tells the flags of a command.

Vault is found as by Vault's own command: VAULT_ADDR, VAULT_TOKEN, VAULT_NAMESPACE, VAULT_CACERT, VAULT_CLIENT_CERT,
VAULT_CLIENT_KEY and so on, and the token of its last login (~/.vault-token).

Exit codes: 0 all succeeded, 1 something did not, 2 what was typed makes no sense.
`)
}
