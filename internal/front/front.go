// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package front

import (
	"context"
	"sync"

	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin/pb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Direct is a backend that answers some requests from their encoded form. A method that is not ok has done nothing: the request goes
// the way of all others.
type Direct interface {
	// Direct is HandleRequest for a request of which body is the Data, as JSON.
	Direct(ctx context.Context, req *logical.Request, body string) (resp *logical.Response, ok bool, err error)
	// DirectExists is HandleExistenceCheck for a request without Data.
	DirectExists(ctx context.Context, req *logical.Request) (found, exists, ok bool)
}

// mount is a backend and its storage.
type mount struct {
	Direct
	storage logical.Storage
}

// front knows the mounts of a process, by the id that Vault puts into the metadata of their calls.
type front struct {
	off    bool     // it answers nothing
	mounts sync.Map // of mount, by id
}

// watch returns a factory that notes the backends that it makes.
func (f *front) watch(factory logical.Factory) logical.Factory {
	return func(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
		b, err := factory(ctx, conf)
		if d, ok := b.(Direct); ok && err == nil && !f.off {
			md, _ := metadata.FromIncomingContext(ctx)
			f.mounts.Store(idOf(md), mount{d, conf.StorageView})
		}
		return b, err
	}
}

// idOf is the id of the mount that a call is for. A process that serves one mount alone has none.
func idOf(md metadata.MD) string {
	if ids := md.Get(pluginutil.MultiplexingCtxKey); len(ids) == 1 {
		return ids[0]
	}
	return ""
}

// intercept is a [grpc.UnaryServerInterceptor].
func (f *front) intercept(ctx context.Context, call any, info *grpc.UnaryServerInfo, sdk grpc.UnaryHandler) (any, error) {
	switch call := call.(type) {
	case *pb.HandleRequestArgs:
		if reply := f.answer(ctx, call.Request); reply != nil {
			return reply, nil
		}
	case *pb.HandleExistenceCheckArgs:
		if reply := f.exists(ctx, call.Request); reply != nil {
			return reply, nil
		}
	}
	if info.FullMethod == pb.Backend_Cleanup_FullMethodName {
		md, _ := metadata.FromIncomingContext(ctx)
		f.mounts.Delete(idOf(md))
	}
	return sdk(ctx, call)
}

// mountOf returns the mount that a request is for; false: none answers it directly. What Vault asks of a snapshot, or of a node that
// has to have seen a write, is the SDK's.
func (f *front) mountOf(ctx context.Context, req *pb.Request) (mount, bool) {
	md, _ := metadata.FromIncomingContext(ctx)
	if req == nil || req.RequiresSnapshotID != "" || req.RecoverSourcePath != "" || isStated(md) {
		return mount{}, false
	}
	m, ok := f.mounts.Load(idOf(md))
	if !ok {
		return mount{}, false
	}
	return m.(mount), true //nolint:forcetypeassert // all are
}

// isStated reports a call with more in its metadata than the id of a mount and what gRPC has there: a state that the SDK reads.
func isStated(md metadata.MD) bool {
	for name := range md {
		switch name {
		case pluginutil.MultiplexingCtxKey, ":authority", "content-type", "user-agent", "grpc-accept-encoding":
		default:
			return true
		}
	}
	return false
}

func (f *front) exists(ctx context.Context, req *pb.Request) *pb.HandleExistenceCheckReply {
	m, ok := f.mountOf(ctx, req)
	if !ok {
		return nil
	}
	found, exists, ok := m.DirectExists(ctx, requestOf(req, m.storage))
	if !ok {
		return nil
	}
	return &pb.HandleExistenceCheckReply{CheckFound: found, Exists: exists}
}

func (f *front) answer(ctx context.Context, req *pb.Request) *pb.HandleRequestReply {
	m, ok := f.mountOf(ctx, req)
	if !ok {
		return nil
	}
	state := &logical.WALState{}
	resp, ok, err := m.Direct.Direct(logical.IndexStateContext(ctx, state), requestOf(req, m.storage), req.Data)
	if !ok {
		return nil
	}
	return replyOf(resp, err, state)
}
