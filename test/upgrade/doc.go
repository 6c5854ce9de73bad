// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package upgrade holds what becomes of a mount and its clients when the plugin is replaced by another build, on a real Vault.
package upgrade
