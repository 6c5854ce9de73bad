// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/report"
)

const reportUsage = `usage: vault-plugin-keylife report -tag TAG [-mount PATH] [-from TIME] [-to TIME] [-format md|html] [-keys FILE [-pin KEYID]] [-save FILE]
       vault-plugin-keylife report -from-file FILE -keys FILE [-pin KEYID] [-format md|html]

Reads what a mount shows for the controls of a standard, page by page, verifies the signatures, and writes one report to standard output.
Address, token, namespace and TLS are those of the Vault CLI. With -from-file it needs no Vault: the file has pages that -save wrote, or
Vault's JSON responses one after the other. Exits 0 if the report is written, 1 if a page is not what the mount signed or pages are
missing, 2 if that cannot be told.

`

// reporting is everything report was told.
type reporting struct {
	tag, mount, from, to string
	format               string
	keys, pin            string
	fromFile, save       string
}

// formats are the forms that a report is written in.
var formats = map[string]func(io.Writer, report.Whole) error{"md": report.Markdown, "html": report.HTML}

// writeReport is the sub-command.
func writeReport(args []string, out, errs io.Writer) int {
	r, err := parseReport(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return exitClean
	}
	if err != nil {
		return exitUnusable // the flag package has said why
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = r.run(ctx, out)
	switch {
	case err == nil:
		return exitClean
	case errors.Is(err, custody.ErrSignature), errors.Is(err, custody.ErrKeys), errors.Is(err, report.ErrPage):
		_, _ = fmt.Fprintf(errs, "report: %v\n", err)
		return exitProblems
	}
	_, _ = fmt.Fprintf(errs, "report: %v\n", err)
	return exitUnusable
}

func parseReport(args []string, errs io.Writer) (*reporting, error) {
	r := &reporting{mount: "keylife", format: "md"}
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.Usage = func() {
		_, _ = io.WriteString(errs, reportUsage)
		flags.PrintDefaults()
	}
	for _, f := range []struct {
		to          *string
		name, usage string
	}{
		{&r.tag, "tag", "`tag` of a standard or a control, as in a policy's compliance"},
		{&r.from, "from", "acts count from this `time` on, RFC 3339; 365 days before -to unless given"},
		{&r.to, "to", "acts count before this `time`, RFC 3339; now unless given"},
		{&r.format, "format", "`form` of the report: md or html; md unless given"},
		{&r.keys, "keys", "`file` with the public keys that sign pages; the mount is asked for them unless given"},
		{&r.pin, "pin", "`id` that the first public key must have"},
		{&r.fromFile, "from-file", "`file` with the pages"},
		{&r.save, "save", "`file` that gets the pages, for -from-file"},
	} {
		flags.Func(f.name, f.usage, given(func(text string) { *f.to = text }))
	}
	flags.Func("mount", "`path` of the mount; keylife unless given", given(func(path string) { r.mount = strings.Trim(path, "/") }))
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if problem := r.problem(flags.NArg()); problem != "" {
		_, _ = fmt.Fprintf(errs, "report: %s\n", problem)
		flags.Usage()
		return nil, errors.New(problem)
	}
	return r, nil
}

// problem says what is wrong with the flags.
func (r *reporting) problem(more int) string {
	ofVault := r.tag != "" || r.from != "" || r.to != "" || r.save != ""
	switch {
	case more > 0:
		return "there is something behind the flags"
	case formats[r.format] == nil:
		return "-format is md or html"
	case r.fromFile == "" && r.tag == "":
		return "-tag or -from-file is needed"
	case r.fromFile != "" && ofVault:
		return "-tag, -from, -to and -save do not go with -from-file"
	case r.fromFile != "" && r.keys == "":
		return "-from-file needs -keys"
	}
	return ""
}

func (r *reporting) run(ctx context.Context, out io.Writer) error {
	signed, keys, err := r.gather(ctx)
	if err != nil {
		return err
	}
	whole, err := verified(signed, keys, r.pin)
	if err != nil {
		return err
	}
	whole.Trust = r.trust(keys)
	var text bytes.Buffer // nothing is written of a report that cannot be written whole
	if err := formats[r.format](&text, whole); err != nil {
		return err
	}
	_, err = out.Write(text.Bytes())
	return err
}

// trust says why the public keys are trusted.
func (r *reporting) trust(keys custody.PublicKeys) string {
	switch {
	case r.pin != "":
		return "the public keys begin with " + r.pin + ", which was pinned"
	case r.keys != "":
		return "the public keys were given in a file: compare " + keys[0].ID + " with a second source"
	default:
		return "the mount itself gave the public keys: compare " + keys[0].ID + " with a second source"
	}
}

// gather returns the pages and the public keys, from files or from Vault.
func (r *reporting) gather(ctx context.Context) (signed []custody.Signed, keys custody.PublicKeys, err error) {
	if keys, err = readPublicKeys(r.keys); err != nil {
		return nil, nil, err
	}
	if r.fromFile != "" {
		signed, err = readPages(r.fromFile)
		return signed, keys, err
	}
	client, err := vaultClient()
	if err != nil {
		return nil, nil, err
	}
	source := reportSource{mount{client, r.mount}}
	if keys == nil {
		if keys, err = source.publicKeys(ctx); err != nil {
			return nil, nil, err
		}
	}
	if signed, err = source.pages(ctx, r.tag, r.from, r.to); err != nil || r.save == "" {
		return signed, keys, err
	}
	return signed, keys, savePages(r.save, signed)
}

// verified opens the pages and joins them.
func verified(signed []custody.Signed, keys custody.PublicKeys, pin string) (whole report.Whole, err error) {
	if err := keys.Check(pin); err != nil {
		return whole, err
	}
	var pages []report.Page
	signers := map[string]bool{}
	for i, s := range signed {
		text, err := s.OpenReport(keys)
		if err != nil {
			return whole, fmt.Errorf("page %d: %w", i+1, err)
		}
		page, err := report.Decode(text)
		if err != nil {
			return whole, fmt.Errorf("page %d: %w", i+1, err)
		}
		pages = append(pages, page)
		if !signers[s.KeyID] {
			signers[s.KeyID] = true
			whole.Signers = append(whole.Signers, s.KeyID)
		}
	}
	whole.Pages = len(pages)
	whole.Page, err = report.Join(pages)
	return whole, err
}
