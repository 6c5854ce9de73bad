// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// GovernanceChange is what an operator asks to change; nil leaves a setting as it is.
type GovernanceChange struct {
	RequirePolicy *bool
	DefaultPolicy *string
	AccessLedger  *bool
	ReviewEvery   *time.Duration
	Scrub         *int
	HealthPublic  *bool
	Reason        string
}

// in returns what the change makes of it.
func (c GovernanceChange) in(g policy.Governance) (policy.Governance, error) {
	if c.RequirePolicy != nil {
		g.RequirePolicy = *c.RequirePolicy
	}
	if c.DefaultPolicy != nil {
		g.DefaultPolicy = *c.DefaultPolicy
	}
	if c.AccessLedger != nil {
		g.LedgerOff = !*c.AccessLedger
	}
	if c.HealthPublic != nil {
		g.HealthPublic = *c.HealthPublic
	}
	var err error
	if c.Scrub != nil {
		if g, err = g.WithScrub(*c.Scrub); err != nil {
			return g, err
		}
	}
	if c.ReviewEvery != nil {
		g, err = g.WithReviewEvery(*c.ReviewEvery)
	}
	return g, err
}

// Settings are those of the mount.
type Settings struct{ *Session }

// Governance returns how the mount's keys come under a policy.
func (s Settings) Governance(ctx context.Context) (policy.Governance, error) {
	return s.store.Settings.Governance(ctx)
}

// SetGovernance changes it for the keys that are made or changed from now on.
func (s Settings) SetGovernance(ctx context.Context, c GovernanceChange) (policy.Governance, error) {
	if _, err := c.in(policy.Governance{}); err != nil {
		return policy.Governance{}, err
	}
	var before policy.Governance
	var asked string
	after, err := s.store.Settings.SetGovernance(ctx, func(g policy.Governance) (policy.Governance, lifecycle.Event, error) {
		next, _ := c.in(g)
		before, asked = g, next.DefaultPolicy
		event, err := s.permitConfig(ctx, configured(g, next, c.Reason), Precondition{Reason: c.Reason})
		return next, event, err
	})
	err = s.gate().filed(ctx, err)
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		err = refusal.InvalidField("default_policy", asked, "no policy has this name")
	case errors.Is(err, refusal.ErrUnreadable):
		err = refusal.InvalidField("default_policy", asked, err.Error())
	}
	if err == nil && after != before {
		s.Log.Info("configured engine", "require_policy", after.RequirePolicy, "default_policy", after.DefaultPolicy,
			"access_ledger", !after.LedgerOff, "access_review_every", after.ReviewInterval(),
			"scrub", after.ScrubMost(), "health_public", after.HealthPublic, "reason", c.Reason)
	}
	return after, err
}

// AttestAccess keeps that somebody has reviewed who uses which keys: the time, and in custody who and why.
func (s Settings) AttestAccess(ctx context.Context, reason string) (policy.Governance, error) {
	at := s.Now()
	after, err := s.store.Settings.SetGovernance(ctx, func(g policy.Governance) (policy.Governance, lifecycle.Event, error) {
		event := lifecycle.Event{Act: string(acts.AccessReview), Reason: reason}
		if !g.Reviewed.IsZero() {
			event.Details = map[string]string{"before": g.Reviewed.UTC().Format(time.RFC3339)}
		}
		g.Reviewed = at
		return g, event, nil
	})
	if err == nil {
		s.Log.Info("access reviewed", "reason", reason)
	}
	return after, err
}

// configured is what custody says of a change of how keys come under a policy.
func configured(before, after policy.Governance, reason string) lifecycle.Event {
	details := map[string]string{}
	if before.RequirePolicy != after.RequirePolicy {
		details["require_policy"] = fmt.Sprintf("%t -> %t", before.RequirePolicy, after.RequirePolicy)
	}
	if before.DefaultPolicy != after.DefaultPolicy {
		details["default_policy"] = fmt.Sprintf("%q -> %q", before.DefaultPolicy, after.DefaultPolicy)
	}
	if before.LedgerOff != after.LedgerOff {
		details["access_ledger"] = fmt.Sprintf("%t -> %t", !before.LedgerOff, !after.LedgerOff)
	}
	if before.ReviewEvery != after.ReviewEvery {
		details["access_review_every"] = fmt.Sprintf("%s -> %s", before.ReviewInterval(), after.ReviewInterval())
	}
	if before.ScrubMost() != after.ScrubMost() {
		details["scrub"] = fmt.Sprintf("%d -> %d", before.ScrubMost(), after.ScrubMost())
	}
	if before.HealthPublic != after.HealthPublic {
		details["health_public"] = fmt.Sprintf("%t -> %t", before.HealthPublic, after.HealthPublic)
	}
	return lifecycle.Event{Act: string(acts.ConfigureEngine), Reason: reason, Details: details}
}

// KeysChange is what an operator asks to change for all keys.
type KeysChange struct {
	DisableUpsert bool
	PublicJWKS    *[]string // nil leaves it as it is
	Reason        string
}

// Keys returns the settings for all keys.
func (s Settings) Keys(ctx context.Context) (lifecycle.KeysSettings, error) {
	return s.store.Settings.KeysSettings(ctx)
}

// SetKeys changes the settings for all keys.
func (s Settings) SetKeys(ctx context.Context, c KeysChange) (lifecycle.KeysSettings, error) {
	var changed map[string]string
	after, err := s.store.Settings.SetKeysSettings(ctx, func(before lifecycle.KeysSettings) (next lifecycle.KeysSettings, e lifecycle.Event, err error) {
		next = before
		next.DisableUpsert = c.DisableUpsert
		if c.PublicJWKS != nil {
			if next, err = next.WithPublicJWKS(*c.PublicJWKS); err != nil {
				return before, e, err
			}
		}
		changed = before.Differences(next)
		e, err = s.permitConfig(ctx, lifecycle.Event{Act: string(acts.ConfigureKeys), Reason: c.Reason, Details: changed}, Precondition{Reason: c.Reason})
		return next, e, err
	})
	err = s.gate().filed(ctx, err)
	if err == nil && len(changed) > 0 {
		s.Log.Info("configured keys", "disable_upsert", after.DisableUpsert, "public_jwks", after.PublicJWKS, "reason", c.Reason)
	}
	return after, err
}

// minCacheSize is the least that a cache is worth, as in Transit.
const minCacheSize = 10

// SetCacheSize says how many versions of keys are kept in memory, from now on; 0: as many as are by default.
func (s Settings) SetCacheSize(ctx context.Context, size int, reason string) error {
	if size != 0 && size < minCacheSize {
		return refusal.InvalidField("size", size, "size must be 0 or a value greater or equal to 10")
	}
	err := s.store.Settings.SetCacheSize(ctx, size, func(was int) lifecycle.Event {
		return lifecycle.Event{
			Act: string(acts.ConfigureCache), Reason: reason, Details: map[string]string{"size": fmt.Sprintf("%d -> %d", was, size)},
		}
	})
	if err == nil {
		s.Plane.BoundCache(size)
	}
	return err
}

// Clock returns what the clock guard remembers.
func (s Settings) Clock(ctx context.Context) (lifecycle.Clock, error) {
	return s.store.Settings.Clock(ctx)
}

// AcknowledgeClock lets the clock guard believe the clock as it is now.
func (s Settings) AcknowledgeClock(ctx context.Context, reason string) error {
	now := s.Now()
	was, err := s.store.Settings.Clock(ctx)
	if err != nil {
		return err
	}
	event := lifecycle.Event{Act: string(acts.AcknowledgeClock), Reason: reason, Details: map[string]string{
		"high_water_mark": was.High.UTC().Format(time.RFC3339) + " -> " + now.UTC().Format(time.RFC3339),
	}}
	seen, why := was.Watch(now)
	if why != "" {
		event = event.With("frozen", why)
	}
	next := lifecycle.Clock{High: now, Acknowledged: seen.Acknowledged + 1}
	err = s.store.Settings.AcknowledgeClock(ctx, next, func() (lifecycle.Event, error) {
		return s.gate().permitMount(ctx, acts.GateClock, nil, Precondition{Reason: reason}, event)
	})
	if err != nil {
		return s.gate().filed(ctx, err)
	}
	s.Log.Warn("clock acknowledged", "time", now.UTC().Format(time.RFC3339), "reason", reason)
	return nil
}

// withDefaultPolicy returns a key that is being made under the policy that it gets where its maker named none.
func (s *Session) withDefaultPolicy(ctx context.Context, k lifecycle.Key, asked *string) (lifecycle.Key, error) {
	if k.Policy != "" || k.Name == lifecycle.WrappingKey {
		return k, nil
	}
	g, err := s.store.Settings.Governance(ctx)
	if err != nil {
		return k, err
	}
	if k.Policy, err = g.PolicyFor(asked); err != nil {
		return k, err
	}
	return lifecycle.New(k, k.Created)
}

// checkDetach reports whether a key may be left without a policy.
func (s *Session) checkDetach(ctx context.Context) error {
	g, err := s.store.Settings.Governance(ctx)
	if err != nil {
		return err
	}
	return g.CheckDetach()
}
