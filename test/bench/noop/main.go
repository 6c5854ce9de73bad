// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command noop is the floor of Vault's plugin boundary: an engine on the stock SDK with the paths of Transit that computes nothing.
// What it is to encrypt it sends back behind a prefix, and its signatures are constant. What a request to it costs is what any
// engine costs that is served so. It is for measuring, and protects nothing.
package main

import (
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/sdk/plugin"
)

func main() {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Info, Output: os.Stderr, JSONFormat: true})
	if err := serve(os.Args[1:], logger); err != nil {
		logger.Error("plugin stopped", "error", err)
		os.Exit(1)
	}
}

func serve(args []string, logger hclog.Logger) error {
	meta := &api.PluginAPIClientMeta{}
	if err := meta.FlagSet().Parse(args); err != nil {
		return err
	}
	return plugin.ServeMultiplex(&plugin.ServeOpts{
		BackendFactoryFunc: factory,
		TLSProviderFunc:    api.VaultPluginTLSProvider(meta.GetTLSConfig()),
		Logger:             logger,
	})
}
