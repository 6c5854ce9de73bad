// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package front

import (
	"github.com/hashicorp/vault/sdk/logical"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
)

// New returns the parts of a front.
func New(off bool) (watch func(logical.Factory) logical.Factory, intercept grpc.UnaryServerInterceptor) {
	f := &front{off: off}
	return f.watch, f.intercept
}

// NewCodec returns the codec of messages.
func NewCodec() encoding.CodecV2 { return newCodec() }
