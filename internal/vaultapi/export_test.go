// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import "github.com/hashicorp/hcl/v2"

// Problem is what Parse reports of what the parser of HCL says.
func (h HCL) Problem(said hcl.Diagnostics) error { return h.problem(said) }
