// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package front

import (
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/plugin/pb"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// requestOf returns a request without its Data, and without what only logins, leases and Vault itself read.
func requestOf(r *pb.Request, storage logical.Storage) *logical.Request {
	req := &logical.Request{
		ID: r.ID, ReplicationCluster: r.ReplicationCluster, Operation: logical.Operation(r.Operation), Path: r.Path, Storage: storage,
		ClientToken: r.ClientToken, ClientTokenAccessor: r.ClientTokenAccessor, DisplayName: r.DisplayName, EntityID: r.EntityID,
		MountPoint: r.MountPoint, MountType: r.MountType, MountAccessor: r.MountAccessor,
	}
	if r.Connection != nil {
		req.Connection = &logical.Connection{RemoteAddr: r.Connection.RemoteAddr, RemotePort: int(r.Connection.RemotePort)}
	}
	return req
}

// replyOf returns the SDK's reply.
func replyOf(resp *logical.Response, err error, state *logical.WALState) *pb.HandleRequestReply {
	reply := &pb.HandleRequestReply{
		Err:      pb.ErrToProtoErr(err),
		WalIndex: &pb.WALIndex{LocalIndex: state.LocalIndex, ReplicatedIndex: state.ReplicatedIndex},
	}
	if isPlain(resp) {
		if data, ok := vaultapi.Encode(resp.Data); ok {
			reply.Response = &pb.Response{Data: data, Warnings: resp.Warnings}
			return reply
		}
	}
	if reply.Response, err = pb.LogicalResponseToProtoResponse(resp); err != nil {
		reply.Err = pb.ErrToProtoErr(err)
	}
	return reply
}

// isPlain reports an answer that has Data and warnings alone.
func isPlain(r *logical.Response) bool {
	return r != nil && r.Data != nil && r.Secret == nil && r.Auth == nil && r.Redirect == "" && r.WrapInfo == nil && len(r.Headers) == 0 && r.MountType == ""
}
