// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"fmt"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

// ungoverned and governed are the rules without a policy, and with one that allows nothing.
var ungoverned, governed = lifecycle.Key{}.RulesFor(nil), policy.EffectiveRules{}

func TestStatesHaveNamesThatAreReadBack(t *testing.T) {
	for _, s := range lifecycle.States() {
		require.NotEmpty(t, s.String())
		require.Equal(t, s, lifecycle.ParseState(s.String()))
	}
	require.Len(t, lifecycle.States(), int(lifecycle.Destroyed))
	for _, name := range []string{"", "none", "Active", "ACTIVE", "unknown"} {
		require.Equal(t, lifecycle.NoState, lifecycle.ParseState(name))
	}
	for _, s := range keyStates {
		got, ok := lifecycle.ParseKeyState(s.String())
		require.True(t, ok)
		require.Equal(t, s, got)
	}
	_, ok := lifecycle.ParseKeyState("")
	require.False(t, ok)
}

func TestStateIsDerivedFromThePointersOfTheKey(t *testing.T) {
	const (
		no   = lifecycle.NoState
		act  = lifecycle.Active
		deac = lifecycle.Deactivated
		arch = lifecycle.Archived
		dest = lifecycle.Destroyed
	)
	for name, row := range map[string]struct {
		latest, decryption, available int
		want                          []lifecycle.State // of versions -1 ... latest+1
	}{
		"one version":                 {1, 1, 0, []lifecycle.State{no, no, act, no}},
		"rotated":                     {3, 1, 0, []lifecycle.State{no, no, deac, deac, act, no}},
		"floor":                       {4, 3, 0, []lifecycle.State{no, no, arch, arch, deac, act, no}},
		"floor at the latest":         {3, 3, 0, []lifecycle.State{no, no, arch, arch, act, no}},
		"trimmed below the floor":     {4, 3, 2, []lifecycle.State{no, no, dest, arch, deac, act, no}},
		"trimmed up to the floor":     {4, 3, 3, []lifecycle.State{no, no, dest, dest, deac, act, no}},
		"trimmed all but the primary": {3, 3, 3, []lifecycle.State{no, no, dest, dest, act, no}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKey(t, row.latest)
			k.MinDecryption, k.MinAvailable = row.decryption, row.available
			for i, want := range row.want {
				require.Equal(t, want, k.State(i-1), "version %d", i-1)
			}
		})
	}
}

func TestRequestWithoutAVersionGetsThePrimary(t *testing.T) {
	for _, rules := range []policy.EffectiveRules{ungoverned, governed} {
		got, err := may(newKey(t, 5), rules).ToProtect(0)
		require.NoError(t, err)
		require.Equal(t, 5, got)
	}
}

func TestEncryptionFloorRefusesAPinnedVersionBelowIt(t *testing.T) {
	k := newKey(t, 4)
	k.MinEncryption = 3
	_, err := k.Permissions(ungoverned).ToProtect(2)
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.ErrorContains(t, err, "key_version 2, minimum 3")
	got, err := k.Permissions(ungoverned).ToProtect(3)
	require.NoError(t, err)
	require.Equal(t, 3, got)
	require.NoError(t, k.Permissions(ungoverned).ToProcess(2), "the floor is for encryption only")
}

func TestVersionsThatNeverWereAreTheCallersMistake(t *testing.T) {
	k := newKey(t, 2)
	_, err := k.Permissions(ungoverned).ToProtect(-1)
	require.ErrorIs(t, err, refusal.ErrInvalid)
	require.ErrorContains(t, err, "key_version -1")
	_, err = k.Permissions(ungoverned).ToProtect(3)
	require.ErrorIs(t, err, refusal.ErrInvalid)
	require.ErrorContains(t, err, "key_version 3, latest 2")
	require.ErrorIs(t, k.Permissions(ungoverned).ToProcess(3), refusal.ErrInvalid)
	require.ErrorIs(t, k.Permissions(ungoverned).ToProcess(0), refusal.ErrRefused)
	require.ErrorIs(t, k.Permissions(ungoverned).ToProcess(-1), refusal.ErrRefused)
}

func TestUsesOfVersionsThatNeverWereAreNotCounted(t *testing.T) {
	k := newKey(t, 2)
	for _, v := range []int{-5, -1, 0, 3} {
		require.NotErrorIs(t, k.Permissions(ungoverned).ToProcess(v), refusal.ErrDenied, v)
	}
}

func TestKeyWithoutAnActiveVersionSaysWhy(t *testing.T) {
	k := steps(t, newKey(t, 5), 5, lifecycle.Suspend)
	_, err := k.Permissions(ungoverned).ToProtect(0)
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, err, `key "orders" cannot encrypt: its version 5 is suspended [version_suspended]`)

	_, err = may(steps(t, newKey(t, 5), 5, lifecycle.Lapse), governed).ToProtect(0)
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.NotContains(t, err.Error(), "version 0", "there is no such version")
}

func TestKeyThatIsSuspendedOrArchivedProcessesNothing(t *testing.T) {
	rules := policy.EffectiveRules{CompromisedProcessing: true}
	for _, s := range keyStates[1:] {
		for _, h := range histories() {
			err := may(moved(t, h.key(t), s), rules).ToProcess(h.version)
			require.ErrorIs(t, err, refusal.ErrRefused, "key %s, version %s", s, h.name)
		}
	}
}

// The codes are a contract with clients (docs/data-plane.md).
func TestWhatAStateRefusesEndsInItsCode(t *testing.T) {
	rules := policy.EffectiveRules{}
	uses := func(k lifecycle.Key, v int) map[string]error {
		_, protect := k.Permissions(rules).ToProtect(v)
		return map[string]error{"protect": protect, "process": k.Permissions(rules).ToProcess(v), "rewrap": k.Permissions(rules).ToRewrap(v), "verify": k.Permissions(rules).ToVerify(v)}
	}
	for _, h := range histories() {
		k := h.key(t)
		for use, err := range uses(k, h.version) {
			if err != nil && h.version >= k.MinEncryption {
				require.Regexp(t, fmt.Sprintf(` \[version_%s\]$`, h.state), err, "%s of %s", use, h.name)
			}
		}
		for _, s := range keyStates[1:] {
			for use, err := range uses(moved(t, k, s), h.version) {
				if err != nil && h.version >= k.MinEncryption {
					require.Regexp(t, fmt.Sprintf(` \[(key_%s|version_%s|version_%s)\]$`, s, h.state, lifecycle.Destroyed), err, "%s of %s, key %s", use, h.name, s)
				}
			}
		}
	}
	for _, v := range []int{0, -1} {
		require.ErrorContains(t, may(newKey(t, 2), rules).ToProcess(v), " [version_none]")
	}
	_, err := may(steps(t, newKey(t, 5), 5, lifecycle.Lapse), rules).ToProtect(5)
	require.ErrorContains(t, err, "it lapsed, or failed a check after its promotion [version_deactivated]")
}

func TestAKeyThatIsStoppedAsAWholeSaysSo(t *testing.T) {
	for _, s := range keyStates[1:] {
		k := inKeyState(t, s)
		for _, v := range []int{0, 1, k.Primary} {
			_, err := k.Permissions(policy.EffectiveRules{PinnedEncrypt: true}).ToProtect(v)
			require.ErrorIs(t, err, refusal.ErrRefused)
			require.EqualError(t, err, fmt.Sprintf(`key "orders" cannot encrypt: the key as a whole is %s [key_%[1]s]`, s))
		}
	}
}
