// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"io"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// How many snapshots a mount keeps in memory: about 32 MiB of keys and 64 MiB of ciphers, when full.
const (
	keysCached     = 32768
	policiesCached = 1024
	ciphersCached  = 65536
)

// Config is what an [Engine] is made from.
type Config struct {
	Now  func() time.Time
	Rand io.Reader
	Log  hclog.Logger

	KeyTime time.Duration // what a tick spends on one key at most; 0: ten seconds
}

// Engine runs the use cases of one mount. It is safe for concurrent use.
type Engine struct {
	now  func() time.Time
	rand io.Reader
	log  hclog.Logger

	keys     *cache[string, *lifecycle.Key]
	policies *cache[string, *lifecycle.Policy]
	ciphers  *cache[cipherID, *envelope.Cipher] // grouped by the name of the key

	meters      *cache[versionID, *meter]
	successions turns // of keys of which a version has reached its limit, by id

	denied   denials
	openings turns         // of keys of which a denied use is looked into, by id
	keyTime  time.Duration // what a tick spends on one key at most
	clock    clock
	scrub    scrub
}

// New returns an engine.
func New(c Config) *Engine {
	return &Engine{
		now: c.Now, rand: c.Rand, log: c.Log,
		keys:     newCache[string, *lifecycle.Key](keysCached),
		policies: newCache[string, *lifecycle.Policy](policiesCached),
		ciphers:  newGroups[cipherID, *envelope.Cipher](ciphersCached, cipherID.group),
		meters:   newCache[versionID, *meter](metersKept),
		keyTime:  cmp.Or(c.KeyTime, tickKeyTime),
	}
}

// DisableCache makes every request read storage, for mounts with force_no_cache. Meters stay: they are no copy of what
// is stored, but what is ahead of it.
func (e *Engine) DisableCache() {
	e.keys.disable()
	e.policies.disable()
	e.ciphers.disable()
}

// ForgetKey drops what is cached of a key, because another node changed it. Ciphers of versions that the change
// erased must not outlive it, so all of the name's go, whether or not the key itself is still in memory.
func (e *Engine) ForgetKey(name string) {
	e.ciphers.dropGroup(name)
	e.keys.drop(name)
}

// ForgetPolicy drops what is cached of a policy, because another node changed it.
func (e *Engine) ForgetPolicy(name string) { e.policies.drop(name) }

// key returns the committed key. The snapshot is shared: it must not be changed.
func (e *Engine) key(ctx context.Context, r Repo, name string) (*lifecycle.Key, error) {
	return e.keys.get(name, func() (*lifecycle.Key, error) {
		k, err := r.Key(ctx, name)
		return &k, err
	})
}

// update commits an act on a key, with the intent to move what material it displaces, and forgets the snapshot it replaces,
// also when the outcome is unknown.
func (e *Engine) update(
	ctx context.Context, r Repo, name string, act func(lifecycle.Key) (lifecycle.Commit, error),
) (lifecycle.Key, error) {
	defer e.keys.drop(name)
	return r.UpdateKey(ctx, name, func(k lifecycle.Key) (lifecycle.Commit, error) {
		c, err := act(k)
		c.Relocate = k.Displaced(c.Key)
		return c.WithSuccessorDetails(k), err
	})
}

// commit completes a commit whose key and event are decided: when the key is looked at next, which version the clock
// archives next, and under which policy it happened.
func (e *Engine) commit(ctx context.Context, r Repo, c lifecycle.Commit, p *lifecycle.Policy) (lifecycle.Commit, error) {
	c.Key = c.Key.WithoutPendingChecks(p)
	key, err := e.withOldest(ctx, r, c.Key, p)
	switch {
	case err == nil:
		c.Key = key
	case !lifecycle.Op(c.Event.Act).Urgent(): // which leaves to a later act what the clock archives next
		return c, err
	}
	c.Key.Alert = lifecycle.Plan(c.Key, p, e.now()).Alert()
	c.Key.Due = e.due(c.Key, p)
	c.Event = c.Event.Under(p)
	return c, nil
}

// withOldest names the version that the clock archives next. Its date is looked for only when the one that was has gone.
func (e *Engine) withOldest(ctx context.Context, r Repo, k lifecycle.Key, p *lifecycle.Policy) (lifecycle.Key, error) {
	v := k.OldestDeactivated()
	if k.RulesFor(p).ArchiveAfter == 0 || v == 0 || !k.Overrides[v].At.IsZero() {
		return k.WithOldest(p, nil), nil
	}
	if v == k.Oldest.Version {
		return k, nil
	}
	dates, err := r.Dates(ctx, k, v+1)
	return k.WithOldest(p, dates), err
}

// rulesFor returns the rules in force for a key.
func (e *Engine) rulesFor(ctx context.Context, r Repo, k *lifecycle.Key) (lifecycle.EffectiveRules, error) {
	p, err := e.policyOf(ctx, r, *k)
	return k.RulesFor(p), err
}

// due returns the time to list the key under: when the plan wants it looked at, though not in the past, which the
// tick has left behind.
func (e *Engine) due(k lifecycle.Key, p *lifecycle.Policy) time.Time {
	now := e.now()
	wake := lifecycle.Plan(k, p, now).Wake
	if pending := lifecycle.PendingTransitions(k, p, now); len(pending) > 0 && (wake.IsZero() || pending[0].At.Before(wake)) {
		wake = pending[0].At
	}
	switch {
	case k.NeedsPostChecks(p) && !k.Due.IsZero() && k.Due.Before(now):
		return k.Due // where a tick that rotates late is at work: the checks move it in a moment
	case k.NeedsSuccessor(), k.NeedsPostChecks(p), !wake.IsZero() && wake.Before(now):
		return now
	default:
		return wake
	}
}
