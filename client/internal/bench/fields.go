// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/base64"
	"errors"
	"testing"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client"
)

const (
	fieldSize = 64
	localOps  = 300_000
	vaultOps  = 2_000
)

var fieldContext = client.Context{"table": "cards", "row": "17"}

// fields compares values that are encrypted here with values that Vault's Transit encrypts.
func fields(ctx context.Context, b *bench) error {
	c, key, err := open(b.vault)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	plaintext := make([]byte, fieldSize)
	message, err := key.Encrypt(ctx, plaintext, fieldContext)
	if err != nil {
		return err
	}
	ciphertext, err := remoteEncrypt(ctx, b.vault, plaintext)
	if err != nil {
		return err
	}
	encrypt := func() error { _, err := key.Encrypt(ctx, plaintext, fieldContext); return err }
	decrypt := func() error { _, err := key.Decrypt(ctx, message, fieldContext); return err }
	used, err := b.meter.inTurns(
		step{"encrypt_local", localOps, encrypt},
		step{"encrypt_vault", vaultOps, func() error { _, err := remoteEncrypt(ctx, b.vault, plaintext); return err }},
		step{"decrypt_local", localOps, decrypt},
		step{"decrypt_vault", vaultOps, func() error { return remoteDecrypt(ctx, b.vault, ciphertext) }},
	)
	if err != nil {
		return err
	}
	for name, values := range used {
		b.results[name+"_us"] = median(values) * 1e6
	}
	b.results["encrypt_ratio"] = ratio(used["encrypt_vault"], used["encrypt_local"])
	b.results["decrypt_ratio"] = ratio(used["decrypt_vault"], used["decrypt_local"])
	b.results["encrypt_allocations"] = testing.AllocsPerRun(1000, func() { _ = encrypt() })
	b.results["decrypt_allocations"] = testing.AllocsPerRun(1000, func() { _ = decrypt() })
	return nil
}

func remoteEncrypt(ctx context.Context, vault *api.Client, plaintext []byte) (string, error) {
	body := map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plaintext)}
	answer, err := vault.Logical().WriteWithContext(ctx, mount+"/encrypt/"+keyName, body)
	if err != nil {
		return "", err
	}
	ciphertext, ok := answer.Data["ciphertext"].(string)
	if !ok {
		return "", errors.New("an answer without a ciphertext")
	}
	return ciphertext, nil
}

func remoteDecrypt(ctx context.Context, vault *api.Client, ciphertext string) error {
	answer, err := vault.Logical().WriteWithContext(ctx, mount+"/decrypt/"+keyName, map[string]any{"ciphertext": ciphertext})
	if err != nil {
		return err
	}
	text, _ := answer.Data["plaintext"].(string)
	plaintext, err := base64.StdEncoding.DecodeString(text)
	if err == nil && len(plaintext) != fieldSize {
		err = errors.New("an answer without a plaintext")
	}
	return err
}
