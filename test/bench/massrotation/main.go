// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command massrotation measures what applications feel while very many keys rotate at once. A real Vault server has keys
// (10,000) under one policy, whose schedule is set to one minute. Encryptions come at a fixed rate meanwhile, half of them by
// keys that nothing is done to, and half by some of those that rotate. A tick rotates for 20 seconds of each minute and rests, so that each
// minute has a time of rotations and a time without: what is compared are these two, minute by minute.
//
//	VAULT_BIN=… KEYLIFE_PLUGIN=… go run ./test/bench/massrotation -out massrotation.json
//
// It writes a section for docs/performance.md and takes about 10 minutes, of which 2 are spent on making the keys. The server ends with it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

func main() {
	out := flag.String("out", "massrotation.json", "the file of the section")
	keys := flag.Int("keys", 10_000, "how many keys rotate")
	rate := flag.Float64("rate", 200, "encryptions a second")
	flag.Parse()
	warn()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *keys, *rate, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, keys int, rate float64, out string) error {
	dir, err := os.MkdirTemp("", "keylife-massrotation-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what is left behind spoils no result
	s, err := harness.Launch(dir, harness.Options{LogLevel: "warn", Mounts: map[string]string{"keylife": harness.PluginName}})
	if s != nil {
		defer s.Close()
	}
	if err != nil {
		return err
	}
	m := &mount{server: s, keys: keys}
	if err := m.create(ctx); err != nil {
		return fmt.Errorf("make the keys: %w", err)
	}
	measured, err := m.measure(ctx, rate)
	if err != nil {
		return errors.Join(err, errors.New(s.LogTail()))
	}
	section, err := measured.section(keys, rate)
	if err != nil {
		return err
	}
	fmt.Println(result.Markdown(section))
	return section.Write(out)
}

// warn tells of a machine that does something else, on which the slowest hundredth says nothing of rotations.
func warn() {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return // another system than Linux
	}
	var load float64
	if _, err := fmt.Sscan(string(text), &load); err == nil && load > 1 {
		fmt.Fprintf(os.Stderr, "the machine does something else (load %.1f): what is measured says little\n", load)
	}
}
