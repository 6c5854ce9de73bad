// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"errors"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Rotate makes a new version of the key and lets it protect from now on or, staged, only when it is promoted.
func (s Versions) Rotate(ctx context.Context, name string, stage bool, pre Precondition) (View, error) {
	return s.RotateTo(ctx, name, lifecycle.NextType{}, stage, pre)
}

// RotateTo is [Versions.Rotate] to a version of that type.
func (s Versions) RotateTo(ctx context.Context, name string, to lifecycle.NextType, stage bool, pre Precondition) (View, error) {
	k, err := s.Acts().UpdatePrepared(ctx, name, func(p *Prepared, k lifecycle.Key, at time.Time) (lifecycle.Commit, error) {
		if err := refusal.CheckRevision(pre.CAS, k.Revision); err != nil {
			return lifecycle.Commit{}, err
		}
		return p.NewVersion(ctx, k, Rotation{Trigger: lifecycle.ByOperator, Reason: pre.Reason, Stage: stage, Next: to, BreakGlass: pre.BreakGlass}, at)
	})
	if errors.Is(err, refusal.ErrRepeated) {
		return s.answerAgain(ctx, k)
	}
	if err != nil {
		if dataplane.IsFault(err) && !errors.Is(err, refusal.ErrNotFound) {
			s.Log.Error("rotation failed", "key", name, "trigger", string(lifecycle.ByOperator), "error", err)
		}
		return View{}, err
	}
	s.Log.Info("rotated key", "key", name, "version", k.Latest, "trigger", string(lifecycle.ByOperator), "staged", stage, "reason", pre.Reason)
	if k, err = s.SystemActs().CheckPromoted(ctx, k); err != nil {
		return View{}, err
	}
	return Keys(s).shown(ctx, k)
}

// answerAgain answers a request that came again, and completes what the first one may have left.
func (s Versions) answerAgain(ctx context.Context, k lifecycle.Key) (View, error) {
	pending := s.Acts().relocateNow(ctx, k.Name)
	k, err := s.SystemActs().CheckPromoted(ctx, k)
	if err != nil {
		return View{}, err
	}
	view, err := Keys(s).shown(ctx, k)
	view.Pending = pending
	return view, err
}
