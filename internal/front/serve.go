// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package front

import (
	"math"
	"os"
	"runtime"

	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"github.com/hashicorp/vault/sdk/plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
)

// Variable names what turns the interceptor off in the environment of the plugin, by the value off: all calls reach the SDK's server
// then. It is for whoever suspects the interceptor of an answer, and for tests that compare.
const Variable = "KEYLIFE_FRONT"

// Serve is [plugin.ServeMultiplex] with the interceptor. It returns when Vault ends the process.
func Serve(o *plugin.ServeOpts) error {
	if err := pluginutil.OptionallyEnableMlock(); err != nil {
		return err
	}
	f := &front{off: os.Getenv(Variable) == "off"}
	slack := make([]byte, slackSize)
	defer runtime.KeepAlive(slack)
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig,
		VersionedPlugins: f.protocols(o),
		Logger:           o.Logger,
		TLSProvider:      o.TLSProviderFunc, // of protocols before 5
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return goplugin.DefaultGRPCServer(append(opts, f.options()...))
		},
	})
	return nil
}

// protocols are the versions of the SDK's protocol, of which 5 serves several mounts by one process.
func (f *front) protocols(o *plugin.ServeOpts) map[int]goplugin.PluginSet {
	sets := map[int]goplugin.PluginSet{}
	for _, version := range []int{3, 4, 5} {
		sets[version] = goplugin.PluginSet{plugin.BackendPluginName: &plugin.GRPCBackendPlugin{
			Factory: f.watch(o.BackendFactoryFunc), Logger: o.Logger, MultiplexingSupport: version == 5,
		}}
	}
	return sets
}

// window is how many bytes Vault may send before it waits for us. A window of a fixed size spares a ping with each request, by which
// gRPC else finds out how large it should be; this one takes most batches at once.
const window = 4 << 20

// options are the SDK's, and what makes calls cheaper.
func (f *front) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(math.MaxInt32),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.UnaryInterceptor(f.intercept),
		grpc.ForceServerCodecV2(newCodec()),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
		// A worker's stack has grown already. A call that finds none that is free has a goroutine of its own.
		grpc.NumStreamWorkers(uint32(4 * runtime.GOMAXPROCS(0))), //nolint:gosec // a few
		experimental.BufferPool(buffers()),
	}
}

// buffers are those for messages. A buffer is cleared before it is used again, all of it: gRPC's own pool has one size for all that is
// between 32 KiB and 1 MiB, where batches are.
func buffers() mem.BufferPool {
	sizes := []int{256}
	for size := 4 << 10; size <= 4<<20; size *= 2 {
		sizes = append(sizes, size)
	}
	return mem.NewTieredBufferPool(sizes...)
}

// slackSize is how many bytes the garbage collector counts that are not there: nobody writes to them, so they have no memory. The memory of
// most mounts is so small that it would else run each few hundred requests. Where a mount has much in memory it runs as always.
const slackSize = 64 << 20
