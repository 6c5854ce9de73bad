// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command example shows what an application does with a key: it fetches a data key, encrypts and decrypts with it, notices a
// rotation, moves what it has to the new version, and encrypts a stream.
//
//	vault secrets enable -path=keylife vault-plugin-keylife
//	vault write -f keylife/keys/orders
//	VAULT_ADDR=... VAULT_TOKEN=... go run ./example -key orders
//	vault write -f keylife/keys/orders/rotate     # when the program waits for it
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client"
)

func main() {
	mount := flag.String("mount", "keylife", "where the engine is mounted")
	name := flag.String("key", "orders", "the key")
	every := flag.Duration("every", 5*time.Second, "how often to look for a rotation")
	flag.Parse()
	if err := start(*mount, *name, *every); err != nil {
		log.Fatal(err)
	}
}

func start(mount, name string, every time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	vault, err := api.NewClient(nil) // reads VAULT_ADDR, VAULT_TOKEN, VAULT_CACERT and so on
	if err != nil {
		return err
	}
	kl, err := client.New(client.Config{Vault: vault, Mount: mount, Consumer: "example"})
	if err != nil {
		return err
	}
	return errors.Join(run(ctx, kl.Key(name), os.Stdout, every), kl.Close())
}

func run(ctx context.Context, orders *client.Key, out io.Writer, every time.Duration) error {
	card := client.Context{"table": "cards", "row": "17"} // given again to decrypt, and stored nowhere
	message, err := orders.Encrypt(ctx, []byte("4111111111111111"), card)
	if err != nil {
		return fmt.Errorf("encrypt: %w", err)
	}
	plaintext, err := orders.Decrypt(ctx, message, card)
	if err != nil {
		return fmt.Errorf("decrypt: %w", err)
	}
	before, err := client.Inspect(message) // needs no key
	if err != nil {
		return err
	}
	say(out, "encrypted %d bytes under version %d", len(plaintext), before.Version)

	say(out, "waiting for a rotation")
	if err := awaitRotation(ctx, orders, before.Version, every); err != nil {
		return err
	}
	if err := move(ctx, orders, message, card, out); err != nil {
		return err
	}
	return stream(ctx, orders, out)
}

// awaitRotation asks now and then. An application need not: Encrypt uses the new version when the data key's proof is
// renewed, within minutes.
func awaitRotation(ctx context.Context, orders *client.Key, version int, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := orders.Refresh(ctx); err != nil {
			return fmt.Errorf("refresh: %w", err)
		}
		now, err := orders.Version(ctx)
		if err != nil || now != version {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// move puts a message under the new version. The old one opens as before, until its version is archived.
func move(ctx context.Context, orders *client.Key, message []byte, card client.Context, out io.Writer) error {
	if _, err := orders.Decrypt(ctx, message, card); err != nil {
		return fmt.Errorf("decrypt after a rotation: %w", err)
	}
	moved, err := orders.Rewrap(ctx, [][]byte{message})
	if err != nil {
		return fmt.Errorf("rewrap: %w", err)
	}
	if _, err := orders.Decrypt(ctx, moved[0], card); err != nil {
		return fmt.Errorf("decrypt after a rewrap: %w", err)
	}
	after, err := client.Inspect(moved[0])
	if err != nil {
		return err
	}
	say(out, "the message is under version %d now", after.Version)
	return nil
}

// stream encrypts what need not fit into memory.
func stream(ctx context.Context, orders *client.Key, out io.Writer) error {
	name := client.Context{"file": "report"}
	var stored bytes.Buffer // a file, in an application
	w, err := orders.EncryptStream(ctx, &stored, name)
	if err != nil {
		return fmt.Errorf("encrypt a stream: %w", err)
	}
	if _, err := io.Copy(w, strings.NewReader(strings.Repeat("line\n", 1<<20))); err != nil {
		return fmt.Errorf("encrypt a stream: %w", err) // and no Close: a stream that is not whole does not open
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("encrypt a stream: %w", err)
	}
	r, err := orders.DecryptStream(ctx, &stored, name)
	if err != nil {
		return fmt.Errorf("decrypt a stream: %w", err)
	}
	n, err := io.Copy(io.Discard, r) // only io.EOF says that nothing is missing
	if err != nil {
		return fmt.Errorf("decrypt a stream: %w", err)
	}
	say(out, "a stream of %d bytes", n)
	return nil
}

func say(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
