// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command cmd runs a soak on a Vault server of its own and writes what it saw: soak-report.json, and for docs/performance.md
// soak.json and soak.svg. It ends with 1 where something is not flat, or an answer was not due.
//
//	VAULT_BIN=… KEYLIFE_PLUGIN=… go run ./test/soak/cmd -length 1h -out DIR
//	go run ./test/soak/cmd -from soak-report.json -out DIR
//
// The server ends with it, however it ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/harness"
	"github.com/keylife/vault-plugin-keylife/test/soak"
)

func main() {
	length := flag.Duration("length", time.Hour, "how long the load lasts")
	out := flag.String("out", ".", "the folder of the report")
	keys := flag.Int("keys", 0, "how many keys there are (0: as usual)")
	rate := flag.Float64("rate", 0, "requests a second (0: as usual)")
	from := flag.String("from", "", "a report to judge once more, in place of a run")
	seed := flag.Uint64("seed", 1, "of what is chosen by chance")
	flag.Parse()
	c := soak.Standard(*length)
	c.Seed = *seed
	if *keys > 0 {
		c.Keys = *keys
	}
	if *rate > 0 {
		c.Rate = *rate
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := runOrRead(ctx, *from, c, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runOrRead(ctx context.Context, from string, c soak.Config, out string) error {
	if from == "" {
		return run(ctx, c, out)
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var r soak.Report
	if err := json.Unmarshal(text, &r); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return errors.Join(r.Write(out), tell(r))
}

func run(ctx context.Context, c soak.Config, out string) error {
	dir, err := os.MkdirTemp("", "keylife-soak-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left behind spoils no result
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	s, err := harness.Launch(dir, harness.Options{LogLevel: "warn", Mounts: map[string]string{"keylife": harness.PluginName}})
	if s != nil {
		defer s.Close()
	}
	if err != nil {
		return err
	}
	samples, err := os.Create(filepath.Join(out, "samples.jsonl"))
	if err != nil {
		return err
	}
	defer samples.Close()
	lines := json.NewEncoder(samples)
	c.Progress = func(one soak.Sample) { _ = lines.Encode(one) } // the report has them, too: this is for who looks on
	r, err := soak.Run(ctx, s, c)
	if len(r.Samples) > 0 {
		err = errors.Join(err, r.Write(out))
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, s.LogTail())
	}
	return tell(r)
}

// tell prints what became of a run. The error is its verdict.
func tell(r soak.Report) error {
	section, err := r.Section()
	if err != nil {
		return err
	}
	fmt.Println(result.Markdown(section))
	fmt.Println(r.Requests, r.Consent)
	return r.Verdict()
}
