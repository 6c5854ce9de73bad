// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

// system is who acts when nobody asked.
var system = store.Caller{Actor: custody.Actor{System: true}}

// callerOf is on whose behalf the request acts, from what Vault says of it.
func (b *backend) callerOf(req *logical.Request) store.Caller {
	if req.Operation == logical.RollbackOperation {
		return system
	}
	who := store.Caller{
		RequestID: custody.Clip(req.ID),
		Actor: custody.Actor{
			EntityID:    custody.Clip(req.EntityID),
			DisplayName: custody.Clip(req.DisplayName),
		},
		Accessor: func() string { return accessorHMAC(req) },
	}
	if req.Connection != nil {
		who.Actor.Address = custody.Clip(req.Connection.RemoteAddr)
	}
	return who
}

// accessorHMAC tells tokens apart without the accessor, with which a token can be revoked. An accessor is random enough
// that its digest does not give it away.
func accessorHMAC(req *logical.Request) string {
	if req.ClientTokenAccessor == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte("keylife/accessor/v1"))
	mac.Write([]byte(req.ClientTokenAccessor))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}
