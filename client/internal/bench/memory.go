// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

const (
	dataKeys   = 10_000
	batchSize  = 250
	peakPieces = 10 << 10 // a stream of 10 GiB
)

// memory tells how much 10,000 data keys take, and a stream.
func memory(ctx context.Context, b *bench) error {
	messages, err := manyMessages(ctx, b.vault)
	if err != nil {
		return err
	}
	c, key, err := open(b.vault)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	before := heap()
	if _, err := key.DecryptMany(ctx, messages); err != nil {
		return err
	}
	b.results["data_keys_mib"] = float64(heap()-before) / (1 << 20)
	held := 0
	for _, stats := range c.Stats() {
		held += stats.DataKeys
	}
	if held != dataKeys {
		return fmt.Errorf("%d data keys in memory, want %d", held, dataKeys)
	}
	runtime.KeepAlive(messages)
	b.results["data_keys"] = dataKeys
	b.results["stream_peak_mib"], err = peakOfOther()
	return err
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what a pool held is gone with the second one
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc) //nolint:gosec // G115: no heap has 2^63 bytes
}

// manyMessages are as many messages, each with a data key of its own. Transit encrypts the data keys, which is what it does where it makes
// them itself.
func manyMessages(ctx context.Context, vault *api.Client) ([][]byte, error) {
	var messages [][]byte
	for len(messages) < dataKeys {
		keys, items := make([][]byte, batchSize), make([]any, batchSize)
		for i := range keys {
			keys[i] = make([]byte, kle1.KeySize)
			_, _ = rand.Read(keys[i]) // never fails
			items[i] = map[string]any{"plaintext": base64.StdEncoding.EncodeToString(keys[i])}
		}
		edks, err := encryptBatch(ctx, vault, items)
		if err != nil {
			return nil, err
		}
		for i, edk := range edks {
			key, err := kle1.New(keyName, edk, keys[i])
			if err != nil {
				return nil, err
			}
			message, err := key.Seal(nil, nil)
			if err != nil {
				return nil, err
			}
			messages = append(messages, message)
		}
	}
	return messages, nil
}

func encryptBatch(ctx context.Context, vault *api.Client, items []any) ([]string, error) {
	answer, err := vault.Logical().WriteWithContext(ctx, mount+"/encrypt/"+keyName, map[string]any{"batch_input": items})
	if err != nil {
		return nil, err
	}
	results, _ := answer.Data["batch_results"].([]any)
	if len(results) != len(items) {
		return nil, fmt.Errorf("a batch of %d has %d results", len(items), len(results))
	}
	edks := make([]string, len(results))
	for i, result := range results {
		fields, _ := result.(map[string]any)
		edks[i], _ = fields["ciphertext"].(string)
	}
	return edks, nil
}

// peakOfOther runs this program again for a stream alone.
func peakOfOther() (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	out, err := exec.Command(self, "-peak", strconv.Itoa(peakPieces)).Output() //nolint:gosec // G204: itself
	if err != nil {
		return 0, fmt.Errorf("stream in a process of its own: %w", err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}
