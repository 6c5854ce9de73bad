// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command inprocess makes a section of the page of what go test measured.
//
//	go test -run '^$' -bench . -benchmem -count 3 ./… | go run ./test/bench/inprocess FILE
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

const intro = `Go benchmarks, without Vault: of requests through the mount on a storage in memory, of parts of the engine, and of the client library.
Of several runs of each, the medians are told.`

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "inprocess:", err)
		os.Exit(1)
	}
}

func run(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 1 {
		return errors.New("usage: go test -run '^$' -bench . -benchmem ./... | inprocess FILE")
	}
	rows, err := parse(io.TeeReader(in, out))
	if err != nil {
		return err
	}
	s := result.Section{Title: "In process", Intro: intro, Column: "an operation", Rows: rows}
	s.Machine = result.ThisMachine()
	return s.Write(arguments[0])
}
