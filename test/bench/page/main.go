// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command page writes sections of results into docs/performance.md, between two markers.
//
//	go run ./test/bench/page PAGE SECTION.json...
//
// The text around the markers is for people to write; what is between them is made of the files alone.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

const (
	begin = "<!-- measured: make bench -->"
	end   = "<!-- end of what make bench measured -->"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return errors.New("usage: page PAGE SECTION.json, or several")
	}
	text, err := os.ReadFile(arguments[0])
	if err != nil {
		return err
	}
	sections, err := result.Load(arguments[1:]...)
	if err != nil {
		return err
	}
	made, err := fill(string(text), sections)
	if err != nil {
		return fmt.Errorf("%s: %w", arguments[0], err)
	}
	return os.WriteFile(arguments[0], []byte(made), 0o644)
}

// fill replaces what is between the markers of a page.
func fill(page string, sections []result.Section) (string, error) {
	before, rest, opened := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		return "", fmt.Errorf("the page has no %s followed by %s", begin, end)
	}
	return before + begin + "\n\n" + targets(sections) + "\n\n" + result.Markdown(sections...) + "\n\n" + end + after, nil
}

// targets sums up what became of all targets.
func targets(sections []result.Section) string {
	var missed []string
	all := 0
	for _, s := range sections {
		for _, o := range s.Outcomes() {
			if all++; !o.Met {
				missed = append(missed, fmt.Sprintf("- %s: %s.", o.What, o.Told))
			}
		}
	}
	switch {
	case all == 0:
		return "No target was set."
	case len(missed) == 0:
		return fmt.Sprintf("All of %d targets were met.", all)
	default:
		return fmt.Sprintf("Of %d targets, %d were met. Missed:\n\n%s", all, all-len(missed), strings.Join(missed, "\n"))
	}
}
