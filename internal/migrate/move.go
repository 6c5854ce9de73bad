// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// mostRounds bounds how often a key is copied that changes at the source meanwhile.
const mostRounds = 4

// move brings a key to the target, and proves it there, until the source has not changed over that.
func (p pair) move(ctx context.Context, e *Entry) error {
	var r round
	for range mostRounds {
		var err error
		if r.source, err = p.ready(ctx, e); err != nil {
			return err
		}
		if r.target, err = p.to.find(ctx, e.Key); err != nil {
			return err
		}
		if p.DryRun {
			return e.plan(r.source, r.target)
		}
		if r.target == nil {
			r.base = r.source
			if r.target, err = p.copied(ctx, e.Key); err != nil {
				return err
			}
		}
		if done, err := p.settle(ctx, e, &r); done || err != nil {
			return err
		}
	}
	return errors.New("the key changes at the source again and again")
}

// round is a key as both show it, and as the source did when this run copied it; nil: it has not.
type round struct{ source, target, base *view }

// settle ends the work on a key, unless the source has changed meanwhile, or the target has an older copy, which is replaced.
func (p pair) settle(ctx context.Context, e *Entry, r *round) (done bool, err error) {
	proven, judged := p.judge(ctx, e.Key, r)
	if errors.As(judged, new(*unanswered)) {
		return false, judged
	}
	now, err := p.from.find(ctx, e.Key)
	switch {
	case err != nil:
		return false, err
	case now == nil || !r.source.same(now):
		return false, nil // what was judged is no more
	case judged != nil:
		return false, judged
	}
	changed := r.changed()
	if len(changed) == 0 {
		e.prove(proven, r.base != nil)
		return true, p.compareTerms(e, r)
	}
	if r.isNoOlder(proven) {
		return false, r.anotherKey(changed)
	}
	if err := p.copy(ctx, e.Key, true); err != nil {
		return false, fmt.Errorf("the target has an older copy: %w", err)
	}
	r.base = r.source
	e.note("the target had an older copy, which was replaced")
	return false, nil
}

// isNoOlder reports whether the target has not just what the source was before: of the copy of this run, whether the source is as it was
// then; else whether the source has not gone on, or a version is not proven.
func (r *round) isNoOlder(proven Proof) bool {
	if r.base != nil {
		return r.base.same(r.source)
	}
	// Replacing it must lose nothing.
	return r.target.Latest >= r.source.Latest || r.target.oldest() > r.source.oldest() || len(proven.None) > 0
}

// anotherKey is the error that the target does not have the key. What this run copied is not called another one.
func (r *round) anotherKey(why []string) error {
	text := strings.Join(why, "; ")
	if r.base != nil {
		return fmt.Errorf("the target has not what was copied there: %s", text)
	}
	return &conflict{text}
}

// ready reads the key at the source, and finds out whether it may leave.
func (p pair) ready(ctx context.Context, e *Entry) (*view, error) {
	v, err := p.from.find(ctx, e.Key)
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, errors.New("the source has no such key")
	}
	e.describe(v)
	stays, err := p.stays(ctx, e.Key, v)
	if err != nil {
		return nil, err
	}
	missing := missingFlags(v)
	if len(missing) > 0 && !p.AllowBackup {
		stays = append(stays, fmt.Sprintf("%s: not set at the source; -allow-backup sets it, and nothing unsets it", strings.Join(missing, ", ")))
	}
	if len(stays) > 0 {
		return nil, &blocked{stays}
	}
	if len(missing) == 0 || p.DryRun {
		return v, nil
	}
	if err := p.from.letOut(ctx, e.Key); err != nil {
		return nil, err
	}
	e.note("set at the source: " + strings.Join(missing, ", "))
	v.Exportable, v.PlaintextBackup = true, true
	return v, nil
}

func missingFlags(v *view) (names []string) {
	if !v.Exportable {
		names = append(names, "exportable")
	}
	if !v.PlaintextBackup {
		names = append(names, "allow_plaintext_backup")
	}
	return names
}

// stays says why the key does not leave as it is.
func (p pair) stays(ctx context.Context, key string, v *view) (why []string, err error) {
	switch {
	case v.Protection == "hsm":
		return []string{"the key is on a token, and never leaves it"}, nil
	case v.State != "" && v.State != "enabled":
		return []string{"the key is " + v.State}, nil
	case !p.from.keylife || p.to.keylife:
		return nil, nil
	}
	states, err := p.from.states(ctx, key, v.oldest(), v.Latest)
	if err != nil {
		return nil, err
	}
	return v.unknownToTransit(states), nil
}

// unknownToTransit says what of a key Transit would not hold back: it knows no states, and what must not be used here could be used there.
func (v *view) unknownToTransit(states map[int]string) (why []string) {
	if v.Hold {
		why = append(why, "legal_hold: Transit has none")
	}
	if len(v.Uses) > 0 {
		why = append(why, "allowed_uses: Transit lets a key be used for everything")
	}
	if v.Primary != v.Latest {
		why = append(why, fmt.Sprintf("primary_version is %d: Transit protects with the latest, %d", v.Primary, v.Latest))
	}
	for n := v.oldest(); n <= v.Latest; n++ {
		if state := states[n]; state != "active" && state != "deactivated" {
			why = append(why, fmt.Sprintf("version %d is %s: Transit would use it, unless min_decryption_version is above it", n, state))
		}
	}
	return why
}

func (p pair) copy(ctx context.Context, key string, force bool) error {
	backup, err := p.from.backup(ctx, key)
	if err != nil {
		return err
	}
	return p.to.restore(ctx, key, backup, p.Policy, force)
}

// copied copies the key and reads it. A refusal counts only where the key is not there: the request may have been done, and sent again.
func (p pair) copied(ctx context.Context, key string) (*view, error) {
	failed := p.copy(ctx, key, false)
	if failed != nil && !isRefused(failed) {
		return nil, failed
	}
	v, err := p.to.find(ctx, key)
	if err == nil && v == nil {
		err = failed
		if err == nil {
			err = errors.New("the target does not show the key that it restored")
		}
	}
	return v, err
}

// judge proves that what is at the target is the key, or was before the source changed. The error is [conflict] where it is another one.
func (p pair) judge(ctx context.Context, key string, r *round) (Proof, error) {
	keys, _ := publicDifferences(r.source, r.target)
	other := append(differences(identity, r.source, r.target), keys...)
	if r.target.Latest > r.source.Latest {
		other = append(other, fmt.Sprintf("latest_version: %d, at the target %d", r.source.Latest, r.target.Latest))
	}
	if len(other) > 0 {
		return Proof{}, r.anotherKey(other)
	}
	proven, err := p.prove(ctx, key, r.source, r.target)
	if u := new(unequal); errors.As(err, &u) {
		return Proof{}, r.anotherKey([]string{u.why})
	}
	return proven, err
}

// changed says what the target has otherwise, of what changes with time.
func (r *round) changed() []string {
	_, chains := publicDifferences(r.source, r.target)
	return append(differences(settings, r.source, r.target), chains...)
}

// compareTerms notes what a policy changed. Without one, nothing may have changed.
func (p pair) compareTerms(e *Entry, r *round) error {
	changed := differences(terms, r.source, r.target)
	if p.Policy != "" && r.target.Policy != p.Policy {
		changed = append(changed, fmt.Sprintf("policy: %q at the target, and not %q", r.target.Policy, p.Policy))
		return r.anotherKey(changed)
	}
	if len(changed) > 0 && r.target.Policy == "" {
		return r.anotherKey(changed)
	}
	for _, text := range changed {
		e.note("by the policy: " + text)
	}
	return nil
}
