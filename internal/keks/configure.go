// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// Change makes new settings of those in force, or of the defaults. pin says that it sets where the PIN comes from.
type Change func(s tokens.Settings) (next tokens.Settings, pin bool)

// Test is what a token was found to be able to.
type Test struct {
	Token  cryptoki.Token
	Choice hsm.Choice // of the settings that do not let keys be made: none
}

// Configure puts settings in force that the token has passed the self-test with, and makes the keys that are missing.
func (s *Session) Configure(ctx context.Context, change Change, reason string) (found Test, err error) {
	try, err := s.try(ctx, change)
	if err != nil {
		return found, err
	}
	defer func() {
		err = errors.Join(err, try.end())
		s.Forget()
		s.Ring.Forget()
	}()
	use, stored, next := try.use, try.stored, try.next
	if next.Enabled || !stored.Configured || next.Connection() != stored.Settings.Connection() {
		if found, err = s.test(ctx, use, next, stored); err != nil {
			return found, outward(err)
		}
	}
	if _, err := s.store.Instance(ctx); err != nil { // custody needs it
		return found, err
	}
	event, err := s.consented(ctx, acts.ConfigureHSM, lifecycle.Event{Reason: reason, Details: differences(stored, next)})
	if err != nil {
		return found, err
	}
	if err := s.beginRewraps(ctx, stored, next); err != nil {
		return found, err
	}
	err = s.store.Tokens.SetHSM(ctx, event, func(keyring.HSM) (tokens.Settings, bool, error) { return next, true, nil })
	if err != nil {
		return found, err
	}
	s.Log.Info("configured HSM", "library", next.Library, "enabled", next.Enabled, "reason", reason)
	return found, outward(s.complete(ctx, use, found.Choice.Suite, reason))
}

// beginRewraps notes that the keys on the token begin to wrap, or cease to, with settings that are to be put in force. They do
// not cease to while the token holds the keys themselves.
func (s *Session) beginRewraps(ctx context.Context, stored keyring.HSM, next tokens.Settings) error {
	if stored.Configured && stored.Settings.Enabled == next.Enabled {
		return nil
	}
	if stored.Configured && !next.Enabled {
		if err := s.checkResidents(ctx, "enabled: false"); err != nil {
			return err
		}
	}
	stored.Configured, stored.Settings = true, next
	for _, purpose := range Purposes {
		active, ok := stored.ActiveOf(purpose)
		if !ok && next.Enabled {
			continue // it is noted when a key is made
		}
		if err := s.store.Material.BeginRewrap(ctx, purpose, active.ID); err != nil {
			return err
		}
	}
	return nil
}

// Test finds out what the token can with settings that are not put in force.
func (s *Session) Test(ctx context.Context, change Change) (found Test, err error) {
	try, err := s.try(ctx, change)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, try.end()) }()
	found, err = s.test(ctx, try.use, try.next, try.stored)
	return found, outward(err)
}

// attempt is a token by settings that are asked for, while no other act runs.
type attempt struct {
	stored keyring.HSM
	next   tokens.Settings
	use    *tokens.Use
	end    func() error
}

// try begins an attempt with what change makes of the settings in force, or of the defaults.
func (s *Session) try(ctx context.Context, change Change) (a attempt, err error) {
	end, err := s.begin(ctx)
	if err != nil {
		return a, err
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	if a.stored, err = s.store.Tokens.HSM(ctx); err != nil {
		return a, err
	}
	settings := tokens.Defaults()
	if a.stored.Configured {
		settings = a.stored.Settings
	}
	var pin bool
	if a.next, pin = change(settings); pin {
		a.next.PINUpdated = s.Now()
	}
	a.next.PINRejected = time.Time{}
	if err := check(s.Host, a.next); err != nil {
		return a, err
	}
	use, done, err := s.Ring.Try(a.next)
	if err != nil {
		return a, err
	}
	a.use, a.end = use, func() error {
		defer end()
		return done()
	}
	return a, nil
}

// check refuses settings that break a rule.
func check(host *tokens.Host, n tokens.Settings) error {
	if field, rule := host.CheckPINSource(n); field != "" {
		return refusal.InvalidField(field, map[string]string{"pin_env": n.PINEnv, "pin_file": n.PINFile}[field], rule)
	}
	choices := []struct {
		field, value string
		of           []string
	}{
		{"library", n.Library, host.Aliases()},
		{"mechanism", string(n.Mechanism), []string{string(hsm.Auto), string(hsm.AESGCM), string(hsm.AESCBC), string(hsm.RSAOAEP)}},
		{"gcm_iv_mode", string(n.IVMode), []string{string(hsm.IVCaller), string(hsm.IVToken), string(hsm.IVAppended)}},
		{"rsa_oaep_hash", string(n.OAEPHash), []string{string(tokens.SHA256), string(tokens.SHA1)}},
		{"degraded_mode", string(n.DegradedMode), []string{string(tokens.FailClosed), string(tokens.ServeCached)}},
		{"random_source", string(n.RandomSource), []string{string(hsm.RandomOS), string(hsm.RandomHSM), string(hsm.RandomMixed)}},
		{"random_policy", string(n.RandomPolicy), []string{string(hsm.RandomRequire), string(hsm.RandomPrefer)}},
	}
	for _, c := range choices {
		if slices.Contains(c.of, c.value) {
			continue
		}
		rule := "must be one of " + strings.Join(c.of, ", ")
		if len(c.of) == 0 {
			rule = "no PKCS#11 library is set up: see " + tokens.LibrariesEnv
		}
		return refusal.InvalidField(c.field, c.value, rule)
	}
	return checkNumbers(n)
}

// longestInMemory bounds how long material that a token wrapped is used without the token.
const longestInMemory = 7 * 24 * time.Hour

func checkNumbers(n tokens.Settings) error {
	isTimeout := func(d time.Duration) bool { return d >= time.Second && d <= time.Minute }
	for _, rule := range []struct {
		field string
		value any
		kept  bool
		rule  string
	}{
		{"token_label", n.Label, n.Label != "" || n.Serial != "", "give token_label, token_serial, or both"},
		{"max_sessions", n.MaxSessions, n.MaxSessions >= 1 && n.MaxSessions <= 1024, "must be from 1 to 1024"},
		{"call_timeout", n.CallTimeout, isTimeout(n.CallTimeout), "must be from 1s to 1m"},
		{"acquire_timeout", n.AcquireTimeout, isTimeout(n.AcquireTimeout), "must be from 1s to 1m"},
		{"kek_rotation_period", n.RotationPeriod, n.RotationPeriod == 0 || n.RotationPeriod >= time.Hour, "must be 0, or at least 1h"},
		{"cache_ttl", n.CacheTTL, n.CacheTTL >= 0 && n.CacheTTL <= longestInMemory, "must be from 0 to 7d"},
		{"cache_ttl", n.CacheTTL, n.CacheTTL > 0 || n.DegradedMode != tokens.ServeCached, "must not be 0 with degraded_mode serve_cached"},
		{"degraded_max_age", n.DegradedMaxAge, n.DegradedMaxAge >= time.Second && n.DegradedMaxAge <= longestInMemory, "must be from 1s to 7d"},
		{
			"degraded_max_age", n.DegradedMaxAge, n.DegradedMaxAge >= n.CacheTTL || n.DegradedMode != tokens.ServeCached,
			"must be at least cache_ttl with degraded_mode serve_cached",
		},
		{"health_interval", n.HealthInterval, n.HealthInterval >= time.Second && n.HealthInterval <= time.Hour, "must be from 1s to 1h"},
	} {
		if !rule.kept {
			return refusal.InvalidField(rule.field, rule.value, rule.rule)
		}
	}
	return nil
}

// test shows that the token can what it has to, and holds the keys that the mount has on it.
func (s *Session) test(ctx context.Context, use *tokens.Use, next tokens.Settings, stored keyring.HSM) (found Test, err error) {
	if found.Token, err = use.Info(ctx); err != nil {
		return found, err
	}
	if next.AllowGenerate {
		if found.Choice, err = hsm.Choose(ctx, use, next.Options(), s.Now(), s.Rand); err != nil {
			return found, err
		}
	} else if err = use.Check(ctx); err != nil {
		return found, err
	}
	if err := testRandom(ctx, use, next, s.Rand); err != nil {
		return found, err
	}
	for _, k := range stored.KEKs {
		if !k.Opens() {
			continue
		}
		held, err := hsm.NewWrapper(use, k.KEK, s.Rand)
		if err != nil {
			return found, err
		}
		if err := held.Check(ctx); err != nil {
			return found, fmt.Errorf("the token has to hold the keys that the mount uses: %w", err)
		}
	}
	return found, nil
}

// testRandom draws random bytes as new material will, where they are the token's.
func testRandom(ctx context.Context, use *tokens.Use, next tokens.Settings, os io.Reader) error {
	if next.RandomSource == hsm.RandomOS {
		return nil
	}
	random, err := hsm.NewRandom(next.RandomSource, hsm.RandomRequire, os, use)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(random.Reader(ctx, "self-test"), make([]byte, 64))
	return err
}

// differences are what custody says of a change of settings. Of the PIN it says that there is another.
func differences(stored keyring.HSM, next tokens.Settings) map[string]string {
	was, d := stored.Settings, map[string]string{}
	note := func(field string, was, next any) {
		if was != next {
			d[field] = fmt.Sprintf("%v -> %v", text(was), text(next))
		}
	}
	note("enabled", was.Enabled, next.Enabled)
	note("library", was.Library, next.Library)
	note("token_label", was.Label, next.Label)
	note("token_serial", was.Serial, next.Serial)
	note("mechanism", was.Mechanism, next.Mechanism)
	note("gcm_iv_mode", was.IVMode, next.IVMode)
	note("rsa_oaep_hash", was.OAEPHash, next.OAEPHash)
	note("allow_generate_kek", was.AllowGenerate, next.AllowGenerate)
	note("kek_rotation_period", was.RotationPeriod, next.RotationPeriod)
	note("kek_min_age", was.MinAge, next.MinAge)
	note("cache_ttl", was.CacheTTL, next.CacheTTL)
	note("degraded_mode", was.DegradedMode, next.DegradedMode)
	note("degraded_max_age", was.DegradedMaxAge, next.DegradedMaxAge)
	note("health_interval", was.HealthInterval, next.HealthInterval)
	note("random_source", was.RandomSource, next.RandomSource)
	note("random_policy", was.RandomPolicy, next.RandomPolicy)
	note("pin_env", was.PINEnv, next.PINEnv)
	note("pin_file", was.PINFile, next.PINFile)
	if was.PINUpdated != next.PINUpdated {
		d["pin"] = "set"
	}
	return d
}

// text is a value as the settings show it.
func text(value any) any {
	if d, ok := value.(time.Duration); ok {
		return schedule.DurationText(d)
	}
	return value
}

// Delete takes the token away from the mount. Nothing may be wrapped by its keys any more: all of them are retired, at least.
func (s *Session) Delete(ctx context.Context, reason string) (left int, err error) {
	end, err := s.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer end()
	h, err := s.Read(ctx)
	if err != nil {
		return 0, err
	}
	if err := s.checkResidents(ctx, "config/hsm"); err != nil {
		return 0, err
	}
	for _, k := range h.KEKs {
		switch {
		case k.State == keyring.Retired:
			left++
			if err := s.unreferenced(ctx, k); err != nil {
				return 0, err
			}
		case k.State != keyring.Destroyed || !k.Gone:
			return 0, refusal.Refusedf("config/hsm: key %x is %s: with enabled=false what it wraps is wrapped anew without the HSM; it can be retired then", k.ID, k.State)
		}
	}
	event, err := s.consented(ctx, acts.DeleteHSM, lifecycle.Event{Reason: reason})
	if err != nil {
		return 0, err
	}
	err = s.store.Tokens.SetHSM(ctx, event, func(now keyring.HSM) (tokens.Settings, bool, error) {
		if len(now.KEKs) != len(h.KEKs) {
			return now.Settings, now.Configured, refusal.Refusedf("config/hsm: its keys were changed meanwhile")
		}
		return tokens.Settings{}, false, nil
	})
	s.Forget()
	s.Ring.Forget()
	if err == nil {
		s.Log.Info("deleted HSM", "reason", reason)
	}
	return left, err
}
