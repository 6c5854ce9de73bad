// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
)

// Uses returns what keys were used for, and by whom.
func (s *session) Uses() uses.Session {
	return s.b.uses.Session(s.stored.Uses(), directory{s.b.System()})
}

// CountUses is dataplane.UseCounter's.
func (s *session) CountUses(k *lifecycle.Key, counted []lifecycle.CountedUse) {
	s.b.uses.Count(s.entity, k, counted)
}

// directory is uses.Directory: what Vault knows of entities of the mount's namespace.
type directory struct{ system logical.SystemView }

// Entity is uses.Directory's.
func (d directory) Entity(id string) (info uses.EntityInfo, found bool, err error) {
	entity, err := d.system.EntityInfo(id)
	if err != nil {
		return info, false, fmt.Errorf("ask Vault for entity %s: %w", id, err)
	}
	if entity == nil || entity.ID != id { // it was merged away
		return info, false, nil
	}
	info = uses.EntityInfo{Name: entity.Name, Disabled: entity.Disabled}
	groups, err := d.system.GroupsForEntity(id)
	if err != nil {
		return info, true, fmt.Errorf("ask Vault for the groups of entity %s: %w", id, err)
	}
	for _, group := range groups {
		info.Groups = append(info.Groups, group.Name)
	}
	return info, true, nil
}

// watchedKeys is engine.KeyStore: it counts the acts of who asks.
type watchedKeys struct {
	store.Keys
	s *session
}

func (w watchedKeys) counted(k lifecycle.Key) { w.s.b.uses.Manage(w.s.entity, k.ID, k.Name) }

// CreateKey is engine.KeyStore's.
func (w watchedKeys) CreateKey(ctx context.Context, c lifecycle.Commit) error {
	err := w.Keys.CreateKey(ctx, c)
	if err == nil {
		w.counted(c.Key)
	}
	return err
}

// UpdateKey is engine.KeyStore's. What changes nothing, and what custody does not keep, is no act.
func (w watchedKeys) UpdateKey(ctx context.Context, name string, act func(lifecycle.Key) (lifecycle.Commit, error)) (lifecycle.Key, error) {
	var before lifecycle.Key
	var decided lifecycle.Commit
	next, err := w.Keys.UpdateKey(ctx, name, func(k lifecycle.Key) (c lifecycle.Commit, err error) {
		before = k
		decided, err = act(k)
		return decided, err
	})
	if err == nil && decided.Event.Act != "" && (decided.KeyStays || next.Revision != before.Revision) {
		w.counted(next)
	}
	return next, err
}

// DeleteKey is engine.KeyStore's.
func (w watchedKeys) DeleteKey(ctx context.Context, name string, allow func(lifecycle.Key) error, reason string) (lifecycle.Key, error) {
	k, err := w.Keys.DeleteKey(ctx, name, allow, reason)
	if err == nil {
		w.counted(k)
	}
	return k, err
}
