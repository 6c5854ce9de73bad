// Command transitplugin is HashiCorp's Transit engine as an external plugin, for `make bench`: in the position of keylife, with the
// two calls over gRPC that a request to a plugin costs.
//
// Transit is BUSL-1.1, as Vault is: this binary is built to measure and never distributed.
package main

import (
	"context"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/builtin/logical/transit"
	"github.com/hashicorp/vault/sdk/logical"
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

// factory makes the engine as Transit's own does, but for the storage: an external plugin has none yet, and Transit reads the size
// of its cache. Of an empty storage it reads the default.
func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	early := *config
	early.StorageView = &logical.InmemStorage{}
	b, err := transit.Backend(ctx, &early)
	if err != nil {
		return nil, err
	}
	return b, b.Setup(ctx, config)
}
