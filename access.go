// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// Uses returns what keys were used for, and by whom.
func (s *session) Uses() uses.Session {
	return s.b.uses.Session(s.stored.Uses(), directory{s.b.System()})
}

// CountUses is dataplane.UseCounter's.
func (s *session) CountUses(k *lifecycle.Key, counted []lifecycle.CountedUse) {
	s.b.uses.Count(s.entity, k, counted)
}

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

// Entity is uses.Directory's.
func (d directory) Entity(id string) (info uses.EntityInfo, found bool, err error) {
	p, err := d.Person(context.Background(), id)
	if err != nil || p.Gone {
		return info, false, err
	}
	info = uses.EntityInfo{Name: p.Name, Disabled: p.Disabled}
	for _, group := range p.Groups {
		info.Groups = append(info.Groups, group.Name)
	}
	return info, true, nil
}

// names returns what Vault calls entities; one that is gone is left out. It asks once for each.
func (d directory) names(ctx context.Context, entities []string) (map[string]string, error) {
	names := make(map[string]string, len(entities))
	for _, entity := range entities {
		if err := ctx.Err(); err != nil {
			return names, err
		}
		found, err := d.vault.EntityInfo(entity)
		if err != nil {
			return names, fmt.Errorf("ask Vault for entity %s: %w", entity, err)
		}
		if found != nil && found.ID == entity {
			names[entity] = found.Name
		}
	}
	return names, nil
}

// electorate is who has enrolled as an approver, and how they have voted.
type electorate struct {
	since  map[string]time.Time // by entity: when it enrolled
	votes  engine.Votes         // zero: not counted
	unread string               // why nobody knows who has enrolled; empty: it is known
}

// electorateOf reads who has enrolled. A record that is damaged is no error: a review shows all else.
func electorateOf(ctx context.Context, c *request) (electorate, error) {
	all, err := c.Approvers().Enrolments(ctx)
	if errors.Is(err, refusal.ErrUnreadable) {
		return electorate{unread: err.Error()}, nil
	}
	w := electorate{since: make(map[string]time.Time, len(all))}
	for _, e := range all {
		w.since[e.Entity] = e.Since
	}
	return w, err
}

// count reads how they have voted, where a review has any of them.
func (w *electorate) count(ctx context.Context, c *request, r uses.Review) (err error) {
	enrolled := func(e uses.Reviewed) bool { _, found := w.since[e.ID]; return found }
	if slices.ContainsFunc(r.Entities, enrolled) {
		w.votes, err = c.Approvals().Votes(ctx)
	}
	return err
}

// votesData shows an entity as an approver, where that is known. That it has never voted is not known where requests are left.
func (w electorate) votesData(entity string) map[string]any {
	if w.unread != "" {
		return nil
	}
	since, enrolled := w.since[entity]
	if !enrolled {
		return map[string]any{"approver": false}
	}
	votes := w.votes.Of[entity]
	data := map[string]any{
		"approver": true, "enrolled_time": vaultapi.Time(since), "votes": votes.Count, "last_vote_time": vaultapi.Time(votes.Last),
	}
	if votes.Count > 0 || w.votes.Left == 0 {
		data["never_voted"] = votes.Count == 0
	}
	return data
}

// notShown says which approvers are not known, and which votes are not counted.
func (w electorate) notShown() (list []string) {
	if w.unread != "" {
		list = append(list, "approvers, and their votes: "+w.unread)
	}
	if w.votes.Unread > 0 {
		list = append(list, fmt.Sprintf("votes in %d requests for consent that cannot be read", w.votes.Unread))
	}
	if w.votes.Left > 0 {
		list = append(list, fmt.Sprintf("votes in %d more requests for consent that are kept: no more are read for a page", w.votes.Left))
	}
	return list
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
		w.s.b.uses.Delete(k.ID)
	}
	return k, err
}
