// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// act is something that an operator or an application does, if it is allowed now.
func (s *simulation) act() {
	acts := []func() error{
		s.rotateByHand, s.rotateByHand, s.stageByHand, s.promoteByHand, s.rollBack, s.rollBack,
		s.operate, s.operate, s.operate, s.operateKey, s.hold, s.exhaust, s.exhaust, s.deny, s.deny, s.deny, s.deny, s.revise, s.revise, s.breakOrMend,
	}
	if err := acts[s.r.IntN(len(acts))](); err != nil {
		require.ErrorIs(s.t, err, refusal.ErrRefused)
		s.seen["refused"]++
	}
}

// admitted is the policy's answer to a new version by hand.
func (s *simulation) admitted() error { return s.policy.AdmitsVersion(s.key.Type, s.now) }

func (s *simulation) rotateByHand() error {
	next, err := s.key.Rotate(lifecycle.ByOperator, "", time.Time{}, s.now)
	if err == nil {
		err = s.admitted()
	}
	if err != nil {
		return err
	}
	s.dates[next.Latest] = s.now
	s.commit("by operator", next)
	return nil
}

func (s *simulation) stageByHand() error {
	next, err := s.key.Stage(lifecycle.ByOperator, "", time.Time{}, s.now)
	if err == nil {
		err = s.admitted()
	}
	if err != nil {
		return err
	}
	s.dates[next.Latest] = s.now
	s.commit("staged", next)
	return nil
}

func (s *simulation) promoteByHand() error {
	if s.key.Staged == 0 {
		return nil
	}
	return s.apply(lifecycle.Promote, s.key.Staged, s.order(s.key.Staged))
}

// rollBack undoes a promotion, as a rule one of a moment ago.
func (s *simulation) rollBack() error {
	if s.r.IntN(4) > 0 {
		_ = s.rotateByHand()
	}
	next, _, err := s.key.Apply(lifecycle.Rollback, 0, s.order(0))
	if err == nil {
		require.NotZero(s.t, s.key.RulesFor(&s.policy).RollbackWindow, "rolled back where the policy allows none")
		s.commit("rolled back", next)
	}
	return err
}

// operate does something to one version, as a rule one of the newest.
func (s *simulation) operate() error {
	op := pick(s.r, lifecycle.Suspend, lifecycle.Resume, lifecycle.Resume, lifecycle.Archive, lifecycle.Recover, lifecycle.Retire,
		lifecycle.Restore, lifecycle.Restore, lifecycle.ReportCompromise)
	v := max(1, s.key.Latest-s.r.IntN(6))
	o := s.order(v)
	if op == lifecycle.Recover && s.r.IntN(2) == 0 {
		o.Until = s.now.Add(10 * day)
	}
	return s.apply(op, v, o)
}

// operateKey stops a key as a whole, or lets it go on.
func (s *simulation) operateKey() error {
	switch s.key.Status.State {
	case lifecycle.Enabled:
		op := pick(s.r, lifecycle.Suspend, lifecycle.Suspend, lifecycle.Archive)
		err := s.apply(op, 0, s.order(0))
		s.seen["key "+s.key.Status.State.String()]++
		return err
	case lifecycle.KeySuspended:
		return s.apply(lifecycle.Resume, 0, s.order(0))
	case lifecycle.KeyArchived:
		return s.apply(pick(s.r, lifecycle.Recover, lifecycle.Recover, lifecycle.Retire), 0, s.order(0))
	case lifecycle.KeyRetired:
		return s.apply(lifecycle.Restore, 0, s.order(0))
	}
	return nil
}

func (s *simulation) hold() error {
	next := s.key.WithHold(!s.key.Hold)
	if next.Hold {
		s.seen["held"]++
	}
	s.commit("hold", next)
	return nil
}

// exhaust lets the active version reach its usage limit.
func (s *simulation) exhaust() error {
	if s.key.RulesFor(&s.policy).Limits.None() || s.key.Primary == 0 {
		return nil
	}
	if s.policy.OnLimit == policy.OnLimitBlock {
		s.seen["blocked"]++
	}
	s.commit("exhausted", usedUp(s.key, &s.policy, s.now))
	return nil
}

// deny lets somebody use what is out of use.
func (s *simulation) deny() error {
	for v := s.key.Latest; v > 0 && v > s.key.Latest-200; v-- {
		err := s.key.Permissions(s.key.RulesFor(&s.policy)).ToProcess(v)
		if err == nil || s.r.IntN(2) == 0 || s.key.State(v) == lifecycle.Destroyed {
			continue
		}
		require.ErrorIs(s.t, err, refusal.ErrDenied)
		s.seen["denied"]++
		s.denied[v] = s.now
		s.rules.quiet(s, v)
		return nil
	}
	return nil
}

// revise writes the policy anew, where the clock shows no time that was before.
func (s *simulation) revise() error {
	if s.weather.behind[s.minute] || s.now.Before(s.policy.Created) {
		return nil
	}
	before := s.policy
	s.policy = simPolicy(s.t, s.r, before.Revision+1, s.now).Revised(&before)
	if s.policy.QuietPeriod.Duration < before.QuietPeriod.Duration {
		s.seen["looser"]++
		require.NotZero(s.t, s.policy.LongerQuiet)
	}
	s.seen["revised"]++
	s.key = s.key.WithOldest(&s.policy, s.dates)
	return nil
}

// breakOrMend changes how likely attempts fail.
func (s *simulation) breakOrMend() error {
	s.failing = pick(s.r, 0, 0, 0.1, 0.95)
	return nil
}
