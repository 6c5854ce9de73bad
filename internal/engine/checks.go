// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// checkTime bounds one check.
const checkTime = 5 * time.Second

// checkError is a check of the policy that failed. It does not unwrap: whatever the cause would be elsewhere, here it
// is a check that failed.
type checkError struct {
	when, name string
	cause      error
	refused    bool // the caller is told to wait, rather than that keylife is broken
}

func (e checkError) Error() string { return fmt.Sprintf("%s %s failed: %v", e.when, e.name, e.cause) }

// Is lets it be told that the caller may wait, and that the wrapper is away: a check that could not ask it says nothing.
func (e checkError) Is(target error) bool {
	return e.refused && target == refusal.ErrRefused || target == envelope.ErrUnavailable && errors.Is(e.cause, target)
}

// IsCheck reports whether an error is that of a check that failed.
func IsCheck(err error) bool { return errors.As(err, new(checkError)) }

// checkRun is one run of checks on a version of a key. What it reads of a version, it reads from storage, and once.
type checkRun struct {
	Acts
	at     time.Time
	k      lifecycle.Key
	rules  policy.EffectiveRules
	number int // the version that is, or was, promoted
	stored map[int]lifecycle.Version
}

func (a Acts) newCheckRun(k lifecycle.Key, policy *policy.Policy, number int, at time.Time) *checkRun {
	return &checkRun{Acts: a, at: at, k: k, rules: k.RulesFor(policy), number: number, stored: map[int]lifecycle.Version{}}
}

// check is one check that a policy can ask for.
type check struct {
	run     func(t *checkRun, ctx context.Context) error
	refused bool
}

// preChecks run before a version is promoted. For a new version, storage_writable is part of the commit: the entry is
// read back between its write and that of the record.
var preChecks = map[string]check{
	"hsm_healthy": {run: (*checkRun).wrapperWorks, refused: true},
	checkStorage:  {run: (*checkRun).staysStored},
	"clock_sane":  {run: (*checkRun).clockIsSane, refused: true},
}

// checkStorage is the check that a rotation leaves to its commit.
const checkStorage = "storage_writable"

// postChecks run after a version was promoted.
var postChecks = map[string]check{
	"round_trip":           {run: (*checkRun).roundTrips},
	"old_version_decrypts": {run: (*checkRun).oldRoundTrips},
	"fingerprint_unique":   {run: (*checkRun).isAnother},
}

// errUnknownCheck reports a check that a newer release may know: it fails.
var errUnknownCheck = errors.New("this release does not know the check")

// run does the checks in the order of the policy, up to the first that fails.
func (t *checkRun) run(ctx context.Context, when string, known map[string]check, names []string) error {
	for _, name := range names {
		one, ok := known[name]
		if !ok {
			return checkError{when: when, name: name, cause: errUnknownCheck}
		}
		if err := t.bounded(ctx, one.run); err != nil {
			return refusal.Because(refusal.ByPolicy, checkError{when, name, err, one.refused})
		}
	}
	return nil
}

func (t *checkRun) bounded(ctx context.Context, run func(*checkRun, context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return run(t, ctx)
}

// Promotion is a version that is to be promoted.
type Promotion struct {
	Key      lifecycle.Key
	Policy   *policy.Policy
	Version  int
	Incident bool // the version replaces a compromised one
}

// PreCheck returns what the policy's checks before a promotion found. They never keep a compromised version in force: where
// they fail for an incident, it is only logged.
func (p *Prepared) PreCheck(of Promotion, at time.Time) error {
	if of.Policy == nil || len(of.Policy.PreChecks) == 0 {
		return nil
	}
	err := p.found(preCheck, of, at)
	if err != nil && of.Incident && !isUnprepared(err) {
		p.Log.Error("a compromised version is replaced although a check failed", "key", of.Key.Name, "version", of.Version, "error", err)
		return nil
	}
	return err
}

// preChecksText is what custody keeps of the checks before a new version is promoted: "clock_sane=passed,hsm_healthy=failed". They
// have run, unless the version is staged. That it is stored is checked with the commit, of which custody keeps the outcome.
func (p *Prepared) preChecksText(of Promotion, why Rotation, withCommit bool) string {
	if of.Policy == nil || why.Stage {
		return ""
	}
	var failed checkError
	_ = errors.As(p.ran[of.id(preCheck)], &failed)
	outcome, texts := "passed", make([]string, len(of.Policy.PreChecks))
	for i, name := range of.Policy.PreChecks {
		texts[i] = name + "=" + outcome
		switch {
		case name == failed.name:
			texts[i], outcome = name+"=failed", "not_run" // they end with the first that fails
		case name == checkStorage && withCommit:
			texts[i] = name + "=with_commit"
		case name == checkStorage:
			texts[i] = name + "=skipped"
		}
	}
	return strings.Join(texts, ",")
}

// The times of checks.
const (
	preCheck  = "pre-check"
	postCheck = "post-check"
)

// checkID names a run of checks. What it found counts for that revision of the key, under that revision of the policy.
type checkID struct {
	when           string
	keyID          string
	revision       int
	policy         string
	policyRevision int
	version        int
}

func (of Promotion) id(when string) checkID {
	return checkID{when, of.Key.ID, of.Key.Revision, of.Policy.Name, of.Policy.Revision, of.Version}
}

// found returns what the checks of the policy found. They run while the key's lock is free: they ask a wrapper, and storage.
func (p *Prepared) found(when string, of Promotion, at time.Time) error {
	known, names := preChecks, of.Policy.PreChecks
	if when == postCheck {
		known, names = postChecks, of.Policy.PostChecks
	}
	id := of.id(when)
	if err, ok := p.ran[id]; ok {
		return err
	}
	return p.lacks(func(ctx context.Context) error {
		err := p.newCheckRun(of.Key, of.Policy, of.Version, at).run(ctx, when, known, names)
		p.ran[id] = err
		if of.Incident { // which goes on
			return nil
		}
		return err
	})
}

// wrapperWorks wraps and unwraps a random probe with the wrapper of material in use; for a tick, once.
func (t *checkRun) wrapperWorks(ctx context.Context) error {
	if w, ok := t.data.Wrappers.(*tickWrappers); ok {
		return w.probed(ctx, t.probe)
	}
	return t.probe(ctx)
}

func (t *checkRun) probe(ctx context.Context) error {
	wrapper, _, err := t.data.Wrappers.Wrapper(ctx, envelope.PurposeOnline, false)
	if err != nil {
		return err
	}
	probe, about := make([]byte, 32), []byte("keylife/probe/v1")
	if _, err := io.ReadFull(t.Rand, probe); err != nil {
		return fmt.Errorf("draw probe: %w", err)
	}
	wrapped, err := wrapper.Wrap(ctx, probe, about)
	if err != nil {
		return err
	}
	opened, err := wrapper.Unwrap(ctx, wrapped, about)
	if err == nil && !bytes.Equal(opened, probe) {
		err = errors.New("what was wrapped unwraps to something else")
	}
	return err
}

// staysStored opens the stored entry of a staged version. A new one has none yet; see [lifecycle.Commit].
func (t *checkRun) staysStored(ctx context.Context) error {
	if t.number > t.k.Latest {
		return nil
	}
	m, err := t.data.Materials().Load(ctx, &t.k, t.number)
	m.Wipe()
	return err
}

func (t *checkRun) clockIsSane(ctx context.Context) error {
	clock, err := t.store.Settings.Clock(ctx)
	if err != nil {
		return err
	}
	if behind := clock.Behind(t.at); behind != "" {
		return errors.New(behind + "; once it is right, acknowledge it on config/clock")
	}
	return nil
}

// roundTrips encrypts and decrypts with the material that storage holds, not with what is in memory.
func (t *checkRun) roundTrips(ctx context.Context) error { return t.roundTrip(ctx, t.number) }

// oldRoundTrips does the same with the version before, so that what it encrypted can still be read.
func (t *checkRun) oldRoundTrips(ctx context.Context) error {
	if old := t.k.RollbackTarget(); old != 0 && t.k.Permissions(t.rules).ToProcess(old) == nil {
		return t.roundTrip(ctx, old)
	}
	return nil
}

func (t *checkRun) roundTrip(ctx context.Context, number int) error {
	v, err := t.version(ctx, number)
	if err != nil {
		return err
	}
	open := func() (envelope.Material, error) {
		return t.data.Materials().Open(ctx, &t.k, v, envelope.PurposeOnline)
	}
	if len(v.Sealed) == 0 { // on its way between the archive and where it is in use
		open = func() (envelope.Material, error) { return t.data.Materials().Load(ctx, &t.k, number) }
	}
	material, err := open()
	if err != nil {
		return fmt.Errorf("version %d: %w", number, err)
	}
	defer material.Wipe()
	if material.Fingerprint() != v.Fingerprint {
		return fmt.Errorf("version %d: the material is not that of the fingerprint", number)
	}
	c, err := t.data.Materials().CipherOf(&t.k, number, material)
	if err == nil {
		err = c.SelfTest(ctx)
	}
	if err != nil {
		return fmt.Errorf("version %d: %w", number, err)
	}
	return nil
}

// isAnother compares fingerprints with the version made before and with the one that a rollback leads to. It is bounded
// to these two, whatever the number of versions: a source of randomness that repeats itself shows there.
func (t *checkRun) isAnother(ctx context.Context) error {
	v, err := t.version(ctx, t.number)
	if err != nil {
		return err
	}
	for _, other := range []int{t.number - 1, t.k.RollbackTarget()} {
		if other < 1 {
			continue
		}
		o, err := t.version(ctx, other)
		switch {
		case errors.Is(err, refusal.ErrNotFound): // of a version that is no more
		case err != nil:
			return err
		case o.Fingerprint == v.Fingerprint:
			return fmt.Errorf("versions %d and %d have the same material", other, t.number)
		}
	}
	return nil
}

func (t *checkRun) version(ctx context.Context, number int) (lifecycle.Version, error) {
	if v, ok := t.stored[number]; ok {
		return v, nil
	}
	v, err := t.store.Versions.Version(ctx, t.k.Name, number)
	if err == nil {
		t.stored[number] = v
	}
	return v, err
}
