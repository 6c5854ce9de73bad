// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package front

import (
	"github.com/hashicorp/vault/sdk/logical"
	"google.golang.org/grpc"
)

// New returns the parts of a front.
func New(off bool) (watch func(logical.Factory) logical.Factory, intercept grpc.UnaryServerInterceptor) {
	f := &front{off: off}
	return f.watch, f.intercept
}
