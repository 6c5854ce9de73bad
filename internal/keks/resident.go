// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// checkResidents refuses to take away the token that holds the keys themselves.
func (s *Session) checkResidents(ctx context.Context, what string) error {
	keys, left, err := s.store.Material.Residents(ctx)
	switch {
	case err != nil:
		return err
	case keys > 0:
		return refusal.Refusedf("%s: %d keys have protection=hsm: their versions are on the token and never leave it; destroy or delete these keys first", what, keys)
	case left > 0:
		return refusal.Refusedf("%s: %d keys on the token have still to be destroyed, which a tick does", what, left)
	}
	return nil
}
