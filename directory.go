// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
)

// directory is engine.Directory of Vault's identity. Each question is a call of Vault, which knows no deadline; nothing is kept,
// as a person may cease to be one at any moment.
type directory struct{ vault logical.SystemView }

// Person is engine.Directory's.
func (d directory) Person(ctx context.Context, entity string) (consent.Person, error) {
	if err := ctx.Err(); err != nil {
		return consent.Person{}, err
	}
	found, err := d.vault.EntityInfo(entity)
	switch {
	case err != nil:
		return consent.Person{}, fmt.Errorf("ask Vault for entity %s: %w", entity, err)
	case found == nil || found.ID != entity: // deleted, or merged into another
		return consent.Person{ID: entity, Gone: true}, nil
	}
	groups, err := d.vault.GroupsForEntity(entity)
	if err != nil {
		return consent.Person{}, fmt.Errorf("ask Vault for the groups of entity %s: %w", entity, err)
	}
	p := consent.Person{ID: entity, Name: found.Name, Disabled: found.Disabled}
	for _, g := range groups {
		p.Groups = append(p.Groups, consent.Group{ID: g.ID, Name: g.Name})
	}
	for _, a := range found.Aliases {
		p.Mounts = append(p.Mounts, a.MountAccessor)
	}
	return p, nil
}
