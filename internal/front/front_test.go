// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package front_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin/pb"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/keylife/vault-plugin-keylife/internal/front"
)

// mount answers directly what has the path direct, and notes what it was asked.
type mount struct {
	logical.Backend
	asked []*logical.Request
	body  string
	resp  *logical.Response
	err   error
}

func (m *mount) Direct(ctx context.Context, req *logical.Request, body string) (*logical.Response, bool, error) {
	if req.Path != "direct" {
		return nil, false, nil
	}
	if state := logical.IndexStateFromContext(ctx); state != nil {
		state.LocalIndex = 7 // as storage does that is replicated
	}
	m.asked, m.body = append(m.asked, req), body
	return m.resp, true, m.err
}

func (m *mount) DirectExists(_ context.Context, req *logical.Request) (found, exists, ok bool) {
	return true, true, req.Path == "direct"
}

// process is a plugin's process with a mount whose id is one.
type process struct {
	t         *testing.T
	intercept grpc.UnaryServerInterceptor
	mount     *mount
	storage   logical.Storage
	sdk       int // calls that reached the SDK
}

func start(t *testing.T, off bool) *process {
	t.Helper()
	p := &process{t: t, mount: &mount{}, storage: &logical.InmemStorage{}}
	var watch func(logical.Factory) logical.Factory
	watch, p.intercept = front.New(off)
	_, err := watch(func(context.Context, *logical.BackendConfig) (logical.Backend, error) { return p.mount, nil })(
		calling("one"), &logical.BackendConfig{StorageView: p.storage})
	require.NoError(t, err)
	return p
}

// calling is the context of a call, with pairs of more metadata.
func calling(id string, more ...string) context.Context {
	md := metadata.Pairs(append(more, pluginutil.MultiplexingCtxKey, id, ":authority", "localhost", "content-type", "application/grpc", "user-agent", "grpc-go")...)
	return metadata.NewIncomingContext(context.Background(), md)
}

func (p *process) call(ctx context.Context, method string, args any) any {
	p.t.Helper()
	reply, err := p.intercept(ctx, args, &grpc.UnaryServerInfo{FullMethod: method}, func(context.Context, any) (any, error) {
		p.sdk++
		return nil, nil
	})
	require.NoError(p.t, err)
	return reply
}

func (p *process) handle(ctx context.Context, req *pb.Request) *pb.HandleRequestReply {
	p.t.Helper()
	reply, _ := p.call(ctx, pb.Backend_HandleRequest_FullMethodName, &pb.HandleRequestArgs{Request: req}).(*pb.HandleRequestReply)
	return reply
}

func TestADirectAnswerIsTheSDKs(t *testing.T) {
	type answer struct {
		*logical.Response
		error
	}
	for what, a := range map[string]answer{
		"data":             {&logical.Response{Data: map[string]any{"ciphertext": "vault:v1:AA==", "key_version": 1, "valid": true}}, nil},
		"a warning":        {&logical.Response{Data: map[string]any{"a": "<b>"}, Warnings: []string{"look"}}, nil},
		"a list":           {&logical.Response{Data: map[string]any{"batch_results": []any{map[string]any{"a": 1.5}}}}, nil},
		"nothing":          {nil, nil},
		"no data":          {&logical.Response{}, nil},
		"a refusal":        {logical.ErrorResponse("no"), logical.ErrInvalidRequest},
		"a status":         {nil, logical.CodedError(409, "another revision")},
		"a failure":        {nil, errors.New("storage fails")},
		"a secret":         {&logical.Response{Secret: &logical.Secret{LeaseID: "l"}, Data: map[string]any{"a": "b"}}, nil},
		"a redirect":       {&logical.Response{Redirect: "there", Data: map[string]any{"a": "b"}}, nil},
		"headers":          {&logical.Response{Headers: map[string][]string{"A": {"b"}}, Data: map[string]any{"a": "b"}}, nil},
		"a status of HTTP": {&logical.Response{Data: map[string]any{logical.HTTPStatusCode: 202, logical.HTTPRawBody: "{}"}}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			p := start(t, false)
			p.mount.resp, p.mount.err = a.Response, a.error
			reply := p.handle(calling("one"), &pb.Request{Path: "direct"})
			require.Zero(t, p.sdk)
			sdk, err := pb.LogicalResponseToProtoResponse(a.Response)
			require.NoError(t, err)
			want, err := pb.ProtoResponseToLogicalResponse(sdk)
			require.NoError(t, err)
			got, err := pb.ProtoResponseToLogicalResponse(reply.Response)
			require.NoError(t, err)
			require.Equal(t, want, got)
			require.Equal(t, pb.ErrToProtoErr(a.error), reply.Err)
			require.EqualValues(t, 7, reply.WalIndex.LocalIndex)
		})
	}
}

func TestADirectRequestHasWhatVaultSays(t *testing.T) {
	p := start(t, false)
	p.handle(calling("one"), &pb.Request{
		ID: "id", Operation: "update", Path: "direct", Data: `{"plaintext":"AA=="}`, EntityID: "entity", DisplayName: "alice", ClientToken: "token",
		ClientTokenAccessor: "accessor", MountPoint: "keylife/", MountType: "keylife", MountAccessor: "keylife_1", Connection: &pb.Connection{RemoteAddr: "::1", RemotePort: 7},
	})
	require.Equal(t, []*logical.Request{{
		ID: "id", Operation: logical.UpdateOperation, Path: "direct", EntityID: "entity", DisplayName: "alice", ClientToken: "token",
		ClientTokenAccessor: "accessor", MountPoint: "keylife/", MountType: "keylife", MountAccessor: "keylife_1",
		Connection: &logical.Connection{RemoteAddr: "::1", RemotePort: 7}, Storage: p.storage,
	}}, p.mount.asked)
	require.Equal(t, `{"plaintext":"AA=="}`, p.mount.body)
}

func TestOtherCallsAreTheSDKs(t *testing.T) {
	for what, call := range map[string]func(p *process) any{
		"another path":  func(p *process) any { return p.handle(calling("one"), &pb.Request{Path: "other"}) },
		"another mount": func(p *process) any { return p.handle(calling("two"), &pb.Request{Path: "direct"}) },
		"no mount":      func(p *process) any { return p.handle(context.Background(), &pb.Request{Path: "direct"}) },
		"no request":    func(p *process) any { return p.handle(calling("one"), nil) },
		"a snapshot's": func(p *process) any {
			return p.handle(calling("one"), &pb.Request{Path: "direct", RequiresSnapshotID: "s"})
		},
		"a recovery": func(p *process) any {
			return p.handle(calling("one"), &pb.Request{Path: "direct", RecoverSourcePath: "s"})
		},
		"a state of the caller": func(p *process) any {
			return p.handle(calling("one", "index_state_cluster_id", ""), &pb.Request{Path: "direct"})
		},
		"existence elsewhere": func(p *process) any {
			return p.call(calling("one"), pb.Backend_HandleExistenceCheck_FullMethodName, &pb.HandleExistenceCheckArgs{Request: &pb.Request{Path: "other"}})
		},
		"another method": func(p *process) any { return p.call(calling("one"), pb.Backend_Type_FullMethodName, &pb.Empty{}) },
		"a mount that is gone": func(p *process) any {
			p.call(calling("one"), pb.Backend_Cleanup_FullMethodName, &pb.Empty{})
			p.sdk = 0
			return p.handle(calling("one"), &pb.Request{Path: "direct"})
		},
	} {
		t.Run(what, func(t *testing.T) {
			p := start(t, false)
			require.Empty(t, call(p))
			require.Equal(t, 1, p.sdk)
			require.Empty(t, p.mount.asked)
		})
	}
}

func TestExistenceIsAnsweredDirectly(t *testing.T) {
	p := start(t, false)
	reply := p.call(calling("one"), pb.Backend_HandleExistenceCheck_FullMethodName, &pb.HandleExistenceCheckArgs{Request: &pb.Request{Path: "direct"}})
	require.Equal(t, &pb.HandleExistenceCheckReply{CheckFound: true, Exists: true}, reply)
	require.Zero(t, p.sdk)
}

func TestTheFrontCanBeTurnedOff(t *testing.T) {
	p := start(t, true)
	require.Empty(t, p.handle(calling("one"), &pb.Request{Path: "direct"}))
	require.Equal(t, 1, p.sdk)
}

func TestAMountThatCannotBeMadeAnswersNothing(t *testing.T) {
	watch, intercept := front.New(false)
	failed := errors.New("failed")
	_, err := watch(func(context.Context, *logical.BackendConfig) (logical.Backend, error) { return &mount{}, failed })(calling("one"), &logical.BackendConfig{})
	require.ErrorIs(t, err, failed)
	p := &process{t: t, mount: &mount{}, intercept: intercept}
	require.Empty(t, p.handle(calling("one"), &pb.Request{Path: "direct"}))
	require.Equal(t, 1, p.sdk)
}
