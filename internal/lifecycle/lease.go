// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// LeaseRequest asks for a lease on what a version may protect.
type LeaseRequest struct {
	KeyID      string
	Version    int
	Need, Want policy.Usage  // at least, and at best
	Most       policy.Limits // of what is leased of the version in all
}
