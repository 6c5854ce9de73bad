// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

type inspect struct {
	json, census bool
	counts       census
	failed       bool
}

// census counts messages by key and version.
type census struct {
	Keys       map[string]map[int]int `json:"keys"`
	Unreadable int                    `json:"unreadable"` // no messages, and what could not be read
}

// line is what is told of one file.
type line struct {
	Path    string `json:"path"`
	Key     string `json:"key,omitempty"`
	Version int    `json:"version,omitempty"`
	Form    string `json:"form,omitempty"` // field, stream or text
	Error   string `json:"error,omitempty"`
}

func inspectFlags(flags *flag.FlagSet) action {
	i := &inspect{counts: census{Keys: map[string]map[int]int{}}}
	flags.BoolVar(&i.json, "json", false, "write JSON: one object a message, or one of the census")
	flags.BoolVar(&i.census, "census", false, "write how many messages there are of each key and version, and no line a file")
	return i.run
}

func (i *inspect) run(ctx context.Context, a *app, args []string) error {
	if len(args) == 0 || len(args) == 1 && args[0] == standard {
		f := found{path: standard, named: true}
		f.err = f.readFrom(a.stdin)
		if err := i.see(a.stdout, f); err != nil {
			return err
		}
	} else if err := walk(ctx, args, func(f found) error { return i.see(a.stdout, f) }); err != nil {
		return err
	}
	if i.census {
		if err := i.writeCensus(a.stdout); err != nil {
			return err
		}
	}
	if i.failed {
		return errToldAlready
	}
	return nil
}

// see counts and tells one file. What a folder holds beside messages is told, and no failure.
func (i *inspect) see(w io.Writer, f found) error {
	l := line{Path: f.path}
	if f.err != nil {
		i.counts.Unreadable++
		i.failed = i.failed || f.failure()
		l.Error = f.told()
	} else {
		i.counts.add(f)
		l.Key, l.Version, l.Form = f.key, f.version, f.form()
	}
	if i.census {
		return nil
	}
	return l.write(w, i.json)
}

func (l line) write(w io.Writer, asJSON bool) error {
	var err error
	switch {
	case asJSON:
		err = json.NewEncoder(w).Encode(l)
	case l.Error != "":
		_, err = fmt.Fprintf(w, "%s\t%s\n", l.Path, l.Error)
	default:
		_, err = fmt.Fprintf(w, "%s\t%s\tversion %d\t%s\n", l.Path, l.Key, l.Version, l.Form)
	}
	return err
}

// failure tells whether the run did not do what it was told.
func (f *found) failure() bool {
	return f.named || !errors.Is(f.err, kle1.ErrInvalidMessage) && !errors.Is(f.err, errLink)
}

func (f *found) told() string {
	if errors.Is(f.err, kle1.ErrInvalidMessage) {
		return "no message"
	}
	return f.err.Error()
}

func (f *found) form() string {
	switch {
	case f.text:
		return "text"
	case f.suite == kle1.Stream:
		return "stream"
	}
	return "field"
}

func (c *census) add(f found) {
	if c.Keys[f.key] == nil {
		c.Keys[f.key] = map[int]int{}
	}
	c.Keys[f.key][f.version]++
}

func (i *inspect) writeCensus(w io.Writer) error {
	if i.json {
		return json.NewEncoder(w).Encode(i.counts)
	}
	for _, name := range slices.Sorted(maps.Keys(i.counts.Keys)) {
		versions := i.counts.Keys[name]
		for _, version := range slices.Sorted(maps.Keys(versions)) {
			if _, err := fmt.Fprintf(w, "%s\tversion %d\t%d\n", name, version, versions[version]); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "unreadable\t\t%d\n", i.counts.Unreadable)
	return err
}
