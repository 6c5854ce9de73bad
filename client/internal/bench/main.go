// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command bench measures what package client costs beside a Vault that encrypts each value. scripts/bench_clients.sh starts the
// Vault and runs it; python/bench.py measures the same in Python. It prints one JSON object.
//
// What is compared is measured in turns, a round of each, and the medians of the rounds are told. CPU is that of this process and of
// Vault with its plugins.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client"
)

const (
	mount   = "transit"
	keyName = "bench"
	rounds  = 7
)

func main() {
	server := flag.Int("server", 0, "process id of Vault")
	peak := flag.Int("peak", 0, "put a stream of so many MiB through and print the peak of memory in MiB; nothing else")
	flag.Parse()
	if err := run(context.Background(), *server, *peak); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server, peak int) error {
	vault, err := api.NewClient(nil) // address and token from the environment
	if err != nil {
		return err
	}
	if peak > 0 {
		return printPeak(ctx, vault, peak)
	}
	results := map[string]any{"version": runtime.Version()}
	for _, measure := range []func(context.Context, *bench) error{fields, streams, memory} {
		if err := measure(ctx, &bench{vault: vault, meter: meter{server: server}, results: results}); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}

// bench is what the measurements work with.
type bench struct {
	vault   *api.Client
	meter   meter
	results map[string]any
}

// open makes a client of its own for each measurement.
func open(vault *api.Client) (*client.Client, *client.Key, error) {
	c, err := client.New(client.Config{Vault: vault, Mount: mount})
	if err != nil {
		return nil, nil, err
	}
	return c, c.Key(keyName), nil
}
