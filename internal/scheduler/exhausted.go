// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// ReplaceExhausted notes that the active version of the key has reached its limit, being used that much, and does to the
// key what a tick would. It does so for a request, and on nobody's behalf. The error is that nothing is known of the key's
// policy; that something else failed is logged, as the request goes on with the version there is and a tick tries again.
func (s *Session) ReplaceExhausted(ctx context.Context, k lifecycle.Key, used policy.Usage) error {
	policy, err := s.data.PolicyOf(ctx, &k)
	if err != nil {
		return err
	}
	limits, now := k.RulesFor(policy).Limits, s.Now()
	noted := k.Exhausted(used, limits, now)
	if noted.Rotation == k.Rotation && !lifecycle.Plan(noted, policy, now).ToRotate() {
		return nil // known, and for a tick or an operator
	}
	_, err = s.acts.Update(ctx, k.Name, func(current lifecycle.Key, at time.Time) (lifecycle.Commit, error) {
		if current.ID != k.ID || current.Primary != k.Primary {
			return lifecycle.Commit{Key: current}, nil
		}
		return s.acts.Complete(ctx, lifecycle.Commit{Key: current.Exhausted(used, limits, at)}, policy, at)
	})
	if err != nil {
		s.acts.Log.Error("usage limit reached, and it could not be noted", "key", k.Name, "version", k.Primary, "error", err)
		return nil
	}
	p := processor{Session: s, report: &Report{}, started: s.Now()}
	_, err = p.processKey(ctx, time.Time{}, k.Name)
	switch {
	case errors.Is(err, envelope.ErrUnavailable): // no failure of the key
		s.acts.Log.Warn("deferred: usage limit reached, and the successor waits for the wrapper of key material", "key", k.Name, "error", err)
	case err != nil:
		_ = p.noteFailure(ctx, k.Name, err) // logged there; a tick comes to the key anyway
	}
	return nil
}
