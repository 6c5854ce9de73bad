// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command vault-plugin-keylife is the keylife secrets engine as Vault runs it: a process that
// Vault starts, that serves every mount of the engine over gRPC, and that ends when Vault says so.
// It is not a program for people, except for one flag, -version, and three sub-commands: verify, which
// checks an export of custody records without Vault, migrate, which moves keys between Transit and
// keylife, and report, which writes what a mount shows for the controls of a standard.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"

	keylife "github.com/keylife/vault-plugin-keylife"
	"github.com/keylife/vault-plugin-keylife/internal/front"
)

const sdkModule = "github.com/hashicorp/vault/sdk"

// version is set by the linker (-X main.version=...).
var version = "v0.0.0-dev"

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "verify":
			os.Exit(verify(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
		case "migrate":
			os.Exit(migrateKeys(os.Args[2:], os.Stdout, os.Stderr))
		case "report":
			os.Exit(writeReport(os.Args[2:], os.Stdout, os.Stderr))
		}
	}
	// Vault reads the plugin's stderr line by line and takes level and fields from JSON.
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: os.Stderr, JSONFormat: true})
	if err := run(os.Args[1:], os.Stdout, logger); err != nil {
		logger.Error("plugin stopped", "error", err)
		os.Exit(1)
	}
}

// run serves until Vault ends the process. Started by hand, without the handshake that Vault puts
// into the environment, plugin.ServeMultiplex says what this binary is and exits by itself.
func run(args []string, stdout io.Writer, logger hclog.Logger) error {
	meta := &api.PluginAPIClientMeta{}
	flags := meta.FlagSet()
	showVersion := flags.Bool("version", false, "print the versions of the plugin, Go and the Vault SDK")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if *showVersion {
		return printVersion(stdout)
	}
	// What is wrong with the environment keeps no mount from starting: those that need it say so.
	factory, err := keylife.FactoryOf(version, os.Getenv, func(why error) {
		logger.Error("the plugin ends, so that Vault starts it anew: an HSM's library hangs", "error", why)
		os.Exit(1)
	})
	if err != nil {
		logger.Error("PKCS#11 is not set up as the environment says", "error", err)
	}
	return front.Serve(&plugin.ServeOpts{
		BackendFactoryFunc: factory,
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
		Logger:             logger,
	})
}

func printVersion(w io.Writer) error {
	sdk, goVersion := "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		goVersion = info.GoVersion
		for _, module := range info.Deps {
			if module.Path == sdkModule {
				sdk = module.Version
			}
		}
	}
	_, err := fmt.Fprintf(w, "vault-plugin-keylife %s\n%s\n%s %s\n", version, goVersion, sdkModule, sdk)
	return err
}
