// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

type bench struct {
	vaultFlags
	time time.Duration
	size int
}

func benchFlags(flags *flag.FlagSet) action {
	b := &bench{}
	b.register(flags)
	flags.DurationVar(&b.time, "time", 3*time.Second, "how long to measure, all in all")
	flags.IntVar(&b.size, "size", 64, "`bytes` of a plaintext")
	return b.run
}

// rate is how often something was done in how much time.
type rate struct {
	count int
	time  time.Duration
}

func (r rate) perSecond() float64 { return float64(r.count) / r.time.Seconds() }

// rounds take turns, so that what else the machine does falls on all alike.
const rounds = 5

func (b *bench) run(ctx context.Context, a *app, args []string) (err error) {
	if len(args) > 0 || b.time <= 0 || b.size < 0 || b.size > kle1.MaxPlaintext {
		return usagef("bench: takes no file; -time is above 0 and -size at most %d", kle1.MaxPlaintext)
	}
	s, err := a.open(b.vaultFlags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	plaintext := bytes.Repeat([]byte{'x'}, b.size)
	message, err := s.key.Encrypt(ctx, plaintext, nil)
	if err != nil {
		return err
	}
	what := []struct {
		name string
		do   func() error
		rate rate
	}{
		{name: "encrypt here", do: func() error { return second(s.key.Encrypt(ctx, plaintext, nil)) }},
		{name: "decrypt here", do: func() error { return second(s.key.Decrypt(ctx, message, nil)) }},
		{name: "encrypt in Vault", do: func() error { return s.remote(ctx, plaintext) }},
	}
	for range rounds {
		for i := range what {
			if err := measure(a.now, b.time/time.Duration(rounds*len(what)), what[i].do, &what[i].rate); err != nil {
				return fmt.Errorf("%s: %w", what[i].name, err)
			}
		}
	}
	for _, w := range what {
		if _, err := fmt.Fprintf(a.stdout, "%-18s %12.0f a second\n", w.name, w.rate.perSecond()); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(a.stdout, "%-18s %12.1f, with plaintexts of %d bytes, one after the other\n", "ratio of encrypting", what[0].rate.perSecond()/what[2].rate.perSecond(), b.size)
	return err
}

func second(_ []byte, err error) error { return err }

// measure does something at least once, until the time is over.
func measure(now func() time.Time, long time.Duration, do func() error, r *rate) error {
	begin := now()
	for {
		if err := do(); err != nil {
			return err
		}
		r.count++
		if took := now().Sub(begin); took >= long {
			r.time += took
			return nil
		}
	}
}

// remote encrypts by a request a plaintext. Where Auth logs in it has no token: a login of its own gives one.
func remote(vault *api.Client, v vaultFlags) func(context.Context, []byte) error {
	path := v.mount + "/encrypt/" + url.PathEscape(v.key)
	return func(ctx context.Context, plaintext []byte) error {
		if vault.Token() == "" {
			auth, err := v.auth(vault)
			if err != nil {
				return err
			}
			if _, err := vault.Auth().Login(ctx, auth); err != nil {
				return err
			}
		}
		_, err := vault.Logical().WriteWithContext(ctx, path, map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plaintext)})
		return err
	}
}

func versionFlags(*flag.FlagSet) action {
	return func(_ context.Context, a *app, args []string) error {
		if len(args) > 0 {
			return usagef("version: takes no file")
		}
		version := "(devel)"
		if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
			version = info.Main.Version
		}
		_, err := fmt.Fprintf(a.stdout, "keylife %s, message format KLE1\n", version)
		return err
	}
}
