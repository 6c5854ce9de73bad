// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"os/exec"
	"runtime"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui"
	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
)

// uiCommand shows the mount in a browser.
type uiCommand struct {
	mount, listen string
	noOpen        bool
}

func uiFlags(flags *flag.FlagSet) action {
	u := &uiCommand{}
	flags.StringVar(&u.mount, "mount", "keylife", "`path` where the engine is mounted")
	flags.StringVar(&u.listen, "listen", "127.0.0.1:0", "`address` to listen at: 127.0.0.1 and a port, 0 for a free one")
	flags.BoolVar(&u.noOpen, "no-open", false, "print the link and start no browser")
	return u.run
}

// run serves pages until it is interrupted.
func (u *uiCommand) run(ctx context.Context, a *app, args []string) error {
	if len(args) > 0 {
		return usagef("ui: takes no file")
	}
	if u.mount == "" {
		return usagef("ui: -mount must not be empty")
	}
	vault, err := api.NewClient(nil) // reads VAULT_*
	if err != nil {
		return fmt.Errorf("settings of Vault: %w", err)
	}
	if err := useToken(vault, ""); err != nil {
		return err
	}
	server, err := ui.New(mount.New(vault, u.mount), u.listen, rand.Reader, a.now)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	link := server.Link()
	tell(a.stdout, "%s/ on %s, for one browser on this machine, until Ctrl-C:\n\n  %s\n\nThe link works once.\n", u.mount, vault.Address(), link)
	if !u.noOpen {
		a.browse(ctx, link)
	}
	return server.Serve(ctx)
}

// openers start the browser of whoever is logged in, by operating system.
var openers = map[string][]string{"darwin": {"open"}, "windows": {"rundll32", "url.dll,FileProtocolHandler"}, "linux": {"xdg-open"}}

// browse has the operating system open a link. Where it cannot, the link is printed already.
func browse(ctx context.Context, link string) {
	opener := openers[runtime.GOOS]
	if opener == nil {
		return
	}
	command := exec.CommandContext(ctx, opener[0], append(opener[1:len(opener):len(opener)], link)...) //nolint:gosec // G204: a fixed command, and a link of our own
	if command.Start() == nil {
		go func() { _ = command.Wait() }() // it ends with ctx at the latest
	}
}
