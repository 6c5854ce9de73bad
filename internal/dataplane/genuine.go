// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package dataplane

import (
	"context"
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// deniedAmong returns the items that a state denied, by the version that they say made them; nil for most requests.
func deniedAmong[I any, P itemOf[I], O resultOf](items []I, outcomes []O) (denied map[int][]cited) {
	for i := range outcomes {
		if err := outcomes[i].failure(); err == nil || !errors.Is(err, refusal.ErrDenied) {
			continue
		}
		item := P(&items[i])
		version, ok := item.citedVersion()
		if !ok {
			continue
		}
		if denied == nil {
			denied = map[int][]cited{}
		}
		denied[version] = append(denied[version], item)
	}
	return denied
}

// countDenied counts the denied uses of what the version made: what does not authenticate says nothing about whether a version
// is needed, and anybody can make it up. The outcomes stay as they are, so that nobody learns from them what authenticates. It
// reports whether it counted any.
func (s *snapshot) countDenied(ctx context.Context, denied map[int][]cited) (counted bool) {
	for version, items := range denied {
		counted = s.countGenuine(ctx, version, items) || counted
	}
	return counted
}

// countGenuine counts the items that the version made. One request of a key at a time opens material for it, and where a
// use was counted since the last tick, further ones are counted unopened: they change no date by more than a minute.
// Whatever cannot be told counts: a use that is not counted may end in a destroyed version.
func (s *snapshot) countGenuine(ctx context.Context, version int, items []cited) (counted bool) {
	count := len(items)
	if end, err := s.plane.openings.take(ctx, s.k.ID); err == nil {
		defer end()
		if !s.plane.denied.has(s.k.Name, version) {
			count = s.genuine(ctx, version, items)
		}
	}
	if count > 0 {
		s.plane.Observe.DeniedUses.Add(observe.Labels{s.k.State(version).String()}, int64(count))
		now := s.plane.Latest()
		s.plane.denied.add(s.k.Name, Denied{version: {Count: count, First: now, Last: now}})
	}
	return count > 0
}

// genuine returns how many of the items the version made. Its cipher is not kept: the state denies its use.
func (s *snapshot) genuine(ctx context.Context, version int, items []cited) (count int) {
	c := opening{s.Session, s.k.Key, version}.peek(ctx)
	if c == nil {
		var err error
		if c, err = s.witness(ctx, version, items[0]); err != nil {
			s.plane.Log.Warn("a denied use counts unseen: the version cannot be opened", "key", s.k.Name, "version", version, "error", err)
			return len(items)
		}
	}
	if err := s.connected(ctx, c); err != nil {
		return len(items) // nobody can tell
	}
	for _, item := range items {
		if item.mayBeOf(ctx, c) {
			count++
		}
	}
	return count
}

// citedVersion is [cited]'s.
func (i *Item) citedVersion() (int, bool) {
	version, payload, err := envelope.Parse(i.Text)
	return version, err == nil && !envelope.Truncated(payload)
}

// mayBeOf reports whether the item's ciphertext authenticates under the cipher, or whether nobody can tell.
func (i *Item) mayBeOf(ctx context.Context, c *envelope.Cipher) bool {
	params, err := i.params()
	if err != nil {
		return false
	}
	_, payload, err := envelope.Parse(i.Text)
	if err != nil {
		return false
	}
	_, err = c.Decrypt(ctx, payload, params)
	return err == nil || !errors.Is(err, envelope.ErrInput) && c.OnToken()
}
