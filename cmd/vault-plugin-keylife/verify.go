// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// What verify exits with. Whoever runs it from a script must not take a file that could not be read
// for one that is clean, nor for one that was tampered with.
const (
	exitClean    = 0
	exitProblems = 1
	exitUnusable = 2
)

const verifyUsage = `usage: vault-plugin-keylife verify [-public-key FILE] [-pin KEYID] [-checkpoint FILE]... EXPORT

Checks an export of custody records, offline. EXPORT is a file, or - for standard input: JSON Lines,
or Vault's JSON responses one after the other. The export must be of the whole mount if a checkpoint
is given. -checkpoint may be given more than once. Exits 0 if all is well, 1 if there are problems, 2
if that cannot be told.

`

// verifyInput is everything verify was told.
type verifyInput struct {
	publicKey   string
	pin         string
	checkpoints []string
	export      string
}

// verify is the sub-command. It needs no Vault: no handshake, no environment, no network.
func verify(args []string, in io.Reader, out, errs io.Writer) int {
	input, err := parseVerify(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return exitClean
	}
	if err != nil {
		return exitUnusable // the flag package has said why
	}
	code, err := input.verify(in, out)
	if err != nil {
		_, _ = fmt.Fprintf(errs, "verify: %v\n", err)
		return exitUnusable
	}
	return code
}

func parseVerify(args []string, errs io.Writer) (verifyInput, error) {
	var input verifyInput
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		_, _ = io.WriteString(errs, verifyUsage)
		flags.PrintDefaults()
	}
	flags.Func("public-key", "`file` with the public keys that sign checkpoints", given(func(path string) { input.publicKey = path }))
	flags.Func("pin", "`id` that the first public key must have", given(func(id string) { input.pin = id }))
	flags.Func("checkpoint", "`file` with a signed checkpoint", given(func(path string) { input.checkpoints = append(input.checkpoints, path) }))
	if err := flags.Parse(args); err != nil {
		return verifyInput{}, err
	}
	problem := ""
	switch {
	case flags.NArg() != 1:
		problem = "one export is needed, behind all flags"
	case input.publicKey == "" && (input.pin != "" || len(input.checkpoints) > 0):
		problem = "-pin and -checkpoint need -public-key"
	}
	if problem != "" {
		_, _ = fmt.Fprintf(errs, "verify: %s\n", problem)
		flags.Usage()
		return verifyInput{}, errors.New(problem)
	}
	input.export = flags.Arg(0)
	return input, nil
}

// given refuses an empty value, such as an unset variable of a shell: it would leave a check out.
func given(set func(text string)) func(string) error {
	return func(text string) error {
		if text == "" {
			return errors.New("must not be empty")
		}
		set(text)
		return nil
	}
}

func (v verifyInput) verify(in io.Reader, out io.Writer) (int, error) {
	keys, err := readPublicKeys(v.publicKey)
	if err != nil {
		return exitUnusable, err
	}
	checkpoints, err := readCheckpoints(v.checkpoints)
	if err != nil {
		return exitUnusable, err
	}
	if v.export != "-" {
		file, err := os.Open(v.export)
		if err != nil {
			return exitUnusable, err
		}
		defer func() { _ = file.Close() }() // was only read
		in = file
	}
	export, err := recordLines(in)
	if err != nil {
		return exitUnusable, fmt.Errorf("export: %w", err)
	}
	report, err := custody.Verify(export, keys, v.pin, checkpoints)
	if err != nil {
		return exitUnusable, fmt.Errorf("export: %w", err)
	}
	if report.Records == 0 && report.Clean() {
		return exitUnusable, errors.New("export: no records in it") // of a command that failed, not an answer
	}
	return v.print(out, &report, keys)
}

// print fails if the result does not reach whoever asked for it.
func (v verifyInput) print(out io.Writer, report *custody.Report, keys custody.PublicKeys) (int, error) {
	w := bufio.NewWriter(out)
	printReport(w, report)
	if v.pin == "" && len(keys) > 0 {
		_, _ = fmt.Fprintf(w, "public key %q was trusted as given: compare it with a second source and use -pin\n", keys[0].ID)
	}
	if err := w.Flush(); err != nil {
		return exitUnusable, err
	}
	if !report.Clean() {
		return exitProblems, nil
	}
	return exitClean, nil
}
