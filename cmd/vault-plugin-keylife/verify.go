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

const verifyUsage = `usage: vault-plugin-keylife verify [-public-key FILE] [-pin KEYID] [-checkpoint FILE]... [-attestation FILE]... [EXPORT]

Checks an export of custody records, offline. EXPORT is a file, or - for standard input: JSON Lines,
or Vault's JSON responses one after the other. The export must be of the whole mount if a checkpoint
is given, and of the key if an attestation is. -checkpoint and -attestation may be given more than once.
Without EXPORT attestations are checked by themselves: who signed them, and what they say. Exits 0 if
all is well, 1 if there are problems, 2 if that cannot be told.

`

// verifyInput is everything verify was told.
type verifyInput struct {
	publicKey    string
	pin          string
	checkpoints  []string
	attestations []string
	export       string // empty: attestations are all that is checked
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
	flags.Func("attestation", "`file` with a signed attestation", given(func(path string) { input.attestations = append(input.attestations, path) }))
	if err := flags.Parse(args); err != nil {
		return verifyInput{}, err
	}
	input.export = flags.Arg(0)
	if problem := input.problem(flags.Args()); problem != "" {
		_, _ = fmt.Fprintf(errs, "verify: %s\n", problem)
		flags.Usage()
		return verifyInput{}, errors.New(problem)
	}
	return input, nil
}

// problem says what is wrong with the arguments behind the flags; empty: nothing.
func (v verifyInput) problem(args []string) string {
	alone := len(args) == 0 && len(v.attestations) > 0
	switch {
	case !alone && (len(args) != 1 || args[0] == ""):
		return "one export is needed, behind all flags"
	case alone && len(v.checkpoints) > 0:
		return "-checkpoint needs an export"
	case v.publicKey == "" && (v.pin != "" || len(v.checkpoints) > 0 || len(v.attestations) > 0):
		return "-pin, -checkpoint and -attestation need -public-key"
	}
	return ""
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
	evidence, problems, err := v.evidence()
	if err != nil {
		return exitUnusable, err
	}
	if v.export == "" {
		return v.print(out, evidence, func(w *bufio.Writer) (clean bool) {
			printAttestations(w, evidence.Attestations, problems)
			return len(problems) == 0
		})
	}
	if v.export != "-" {
		file, err := os.Open(v.export)
		if err != nil {
			return exitUnusable, err
		}
		defer func() { _ = file.Close() }() // was only read
		in = file
	}
	report, err := verifyExport(in, evidence)
	if err != nil {
		return exitUnusable, fmt.Errorf("export: %w", err)
	}
	return v.print(out, evidence, func(w *bufio.Writer) (clean bool) {
		if len(v.attestations) > 0 {
			printAttestations(w, evidence.Attestations, problems)
		}
		printReport(w, &report)
		return report.Clean() && len(problems) == 0
	})
}

func verifyExport(in io.Reader, evidence custody.Evidence) (custody.Report, error) {
	export, err := recordLines(in)
	if err != nil {
		return custody.Report{}, err
	}
	report, err := evidence.Verify(export)
	if err == nil && report.Records == 0 && report.Clean() {
		err = errors.New("no records in it") // of a command that failed, not an answer
	}
	return report, err
}

// evidence reads what an export is held against. Problems are of attestations that nobody trusted has signed.
func (v verifyInput) evidence() (e custody.Evidence, problems []error, err error) {
	e.Pinned = v.pin
	if e.Keys, err = readPublicKeys(v.publicKey); err != nil {
		return e, nil, err
	}
	if e.Checkpoints, err = readCheckpoints(v.checkpoints); err != nil {
		return e, nil, err
	}
	for _, path := range v.attestations {
		envelope, err := readAttestation(path)
		if err != nil {
			return e, nil, err
		}
		s, problem := opened(envelope, e)
		if problem != nil {
			problems = append(problems, fmt.Errorf("%s: %w", path, problem))
			continue
		}
		e.Attestations = append(e.Attestations, s)
	}
	return e, problems, nil
}

// opened returns the statement of an attestation, if a key that is trusted has signed it.
func opened(envelope custody.Envelope, e custody.Evidence) (custody.Statement, error) {
	if err := e.Keys.Check(e.Pinned); err != nil {
		return custody.Statement{}, err
	}
	return envelope.Statement(e.Keys)
}

// print fails if the result does not reach whoever asked for it.
func (v verifyInput) print(out io.Writer, e custody.Evidence, report func(w *bufio.Writer) (clean bool)) (int, error) {
	w := bufio.NewWriter(out)
	clean := report(w)
	if v.pin == "" && len(e.Keys) > 0 {
		_, _ = fmt.Fprintf(w, "public key %q was trusted as given: compare it with a second source and use -pin\n", e.Keys[0].ID)
	}
	if err := w.Flush(); err != nil {
		return exitUnusable, err
	}
	if !clean {
		return exitProblems, nil
	}
	return exitClean, nil
}
