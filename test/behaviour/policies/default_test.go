// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policies_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func TestAMountWithoutSettingsAsksForNoPolicy(t *testing.T) {
	m := mounttest.New(t)
	require.Equal(t, map[string]any{
		"require_policy": false, "default_policy": "", "access_ledger": true, "access_review_every": 90 * 24 * 3600, "scrub": 8, "health_public": false,
	}, m.Must(m.Read("config/engine")).Data)
	require.Equal(t, "", m.Must(m.Write("keys/k")).Data["policy"])
	m.Must(m.Write("config/engine"))
	require.NotContains(t, m.Storage.All(), "config/engine", "nothing was given, so nothing is written")
}

func TestSettingsOfTheEngineReadBackAndStayWhereTheyAreNotGiven(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("config/engine", "default_policy", "p", "reason", "as the board decided"))
	require.Contains(t, m.Log.String(), "as the board decided")
	set := m.Must(m.Write("config/engine", "require_policy", true, "default_policy", nil))
	require.Equal(t, map[string]any{
		"require_policy": true, "default_policy": "p", "access_ledger": true, "access_review_every": 90 * 24 * 3600, "scrub": 8, "health_public": false,
	}, set.Data)
	require.Len(t, set.Warnings, 1)
	m.Restart()
	require.Equal(t, set.Data, m.Must(m.Read("config/engine")).Data)
	m.Storage.Reset()
	m.Must(m.Write("config/engine", "require_policy", true, "default_policy", "p"))
	require.Zero(t, m.Storage.Reset().Writes(), "the same again writes nothing")
	require.Equal(t, false, m.Must(m.Write("config/engine", "require_policy", false, "default_policy", "")).Data["require_policy"])
	require.Equal(t, "", m.Must(m.Write("keys/k")).Data["policy"])
}

func TestAKeyWhoseMakerNamesNoPolicyGetsTheDefaultOne(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/before"))
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("policies/q", "owner", "o"))
	m.Must(m.Write("config/engine", "default_policy", "p"))
	require.Equal(t, "p", m.Must(m.Write("keys/k")).Data["policy"])
	require.Equal(t, "p", m.Must(m.Write("keys/null", "policy", nil)).Data["policy"])
	require.Equal(t, "q", m.Must(m.Write("keys/other", "policy", "q")).Data["policy"])
	require.Equal(t, "", m.Must(m.Write("keys/none", "policy", "")).Data["policy"], "who asks for none gets none")
	m.Encrypt("upserted", "x")
	require.Equal(t, "p", m.Must(m.Read("keys/upserted")).Data["policy"])
	require.Contains(t, m.Storage.All(), "bound/p/upserted")
	require.Equal(t, "", m.Must(m.Read("keys/before")).Data["policy"])
	require.Equal(t, "", m.Must(m.Write("keys/before")).Data["policy"], "a key that is there stays as it is")
}

func TestTheDefaultPolicyHasToAdmitTheKey(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "allowed_types", "aes256-gcm96", "rotation_period", "24h"))
	m.Must(m.Write("config/engine", "default_policy", "p"))
	before := m.Storage.All()
	for path, kv := range map[string][]any{
		"type": {"type", "chacha20-poly1305"}, "exportable": {"exportable", true}, "allow_plaintext_backup": {"allow_plaintext_backup", true},
		"auto_rotate_period": {"auto_rotate_period", "24h"},
	} {
		refused := m.Write("keys/k", kv...)
		require.Equal(t, 400, refused.Status)
		require.Contains(t, refused.Err, path+": ")
		require.Contains(t, refused.Err, `"p"`)
	}
	require.Equal(t, before, m.Storage.All())
}

func TestUnderRequirePolicyNoKeyIsMadeOrLeftWithoutOne(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("keys/before"))
	m.Must(m.Write("keys/k", "policy", "p"))
	m.Must(m.Write("config/engine", "require_policy", true))
	before := m.Storage.All()
	for path, kv := range map[string][]any{
		"keys/new": {}, "keys/new2": {"policy", ""}, "encrypt/new": {"plaintext", mounttest.B64("x")}, "keys/k/config": {"policy", ""}, "keys/k": {"policy", ""},
	} {
		refused := m.Write(path, kv...)
		require.Equal(t, 400, refused.Status, path)
		require.Contains(t, refused.Err, `policy: "": config/engine has require_policy`, path)
	}
	require.Equal(t, before, m.Storage.All())
	m.Encrypt("before", "a key that is there goes on")
	m.Must(m.Write("keys/before/config", "owner", "me"))
	m.Must(m.Write("keys/before", "policy", ""))
	m.Must(m.Write("keys/k/config", "owner", "me"))
	require.Equal(t, "p", m.Must(m.Write("keys/new", "policy", "p")).Data["policy"])
	m.Must(m.Write("config/engine", "default_policy", "p"))
	m.Must(m.Write("keys/new2"))
	require.Equal(t, 400, m.Write("keys/new3", "policy", "").Status)
}

func TestTheDefaultPolicyExistsAndIsNotDeleted(t *testing.T) {
	m := mounttest.New(t)
	for _, name := range []string{"none", "a/b", "a..b"} {
		refused := m.Write("config/engine", "default_policy", name)
		require.Equal(t, 400, refused.Status)
		require.Contains(t, refused.Err, `default_policy: "`+name+`"`)
	}
	refused := m.Write("config/engine", "default_polcy", "p")
	require.Equal(t, 400, refused.Status)
	require.Contains(t, refused.Err, "no such field")
	require.Empty(t, m.Storage.All())
	m.Must(m.Write("policies/p", "owner", "o"))
	m.Must(m.Write("config/engine", "default_policy", "p"))
	refused = m.Delete("policies/p")
	require.Equal(t, 400, refused.Status)
	require.Contains(t, refused.Err, `policy "p" is default_policy in config/engine`)
	require.Equal(t, 200, m.Read("policies/p").Status)
	m.Must(m.Write("config/engine", "default_policy", ""))
	m.Must(m.Delete("policies/p"))
}

func TestRequirePolicyIsTrueOrFalseAndNothingElse(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("config/engine", "require_policy", true))
	before := m.Storage.All()
	for _, bad := range badScalars[framework.TypeBool] {
		refused := m.Write("config/engine", "require_policy", bad.value)
		require.Equal(t, 400, refused.Status, "%v", bad.value)
		require.Contains(t, refused.Err, "require_policy: ")
		require.Contains(t, refused.Err, "must be true or false")
	}
	require.Equal(t, before, m.Storage.All())
	require.Equal(t, false, m.Must(m.Write("config/engine", "require_policy", "false")).Data["require_policy"])
	require.Equal(t, true, m.Must(m.Write("config/engine", "require_policy", "true")).Data["require_policy"])
}

func TestSettingsOfTheEngineCostOneReadAtTheCreationOfAKey(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/first"))
	m.Storage.Reset()
	m.Must(m.Write("keys/k"))
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 6, Puts: 4}, m.Storage.Reset(), "of the reads, one is that of the settings")
	m.Must(m.Write("config/engine", "require_policy", true))
	m.Encrypt("k", "x")
	m.Storage.Reset()
	m.Encrypt("k", "x")
	require.Zero(t, m.Storage.Reset().Total())
}

func TestAGovernedKeyIsMadeNoLooserThanItsPolicy(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/strict", "owner", "o"))
	m.Must(m.Write("policies/loose", "owner", "o", "exportable", true, "allow_plaintext_backup", true))
	m.Must(m.Write("keys/k", "policy", "strict"))
	for _, flag := range []string{"exportable", "allow_plaintext_backup"} {
		for _, path := range []string{"keys/k/config", "keys/new"} {
			refused := m.Write(path, "policy", "strict", flag, true)
			require.Equal(t, 400, refused.Status)
			require.Contains(t, refused.Err, flag+`: "true": policy "strict"`)
		}
		m.Must(m.Write("keys/k/config", "policy", "loose", flag, true))
		refused := m.Write("keys/k/config", "policy", "strict")
		require.Equal(t, 400, refused.Status)
		require.Contains(t, refused.Err, `: "true": policy "strict"`)
		m.Must(m.Write("policies/strict", flag, true))
		require.Equal(t, true, m.Must(m.Write("keys/k/config", "policy", "strict")).Data[flag])
		m.Must(m.Write("policies/strict", flag, false))
		require.NotEmpty(t, m.Must(m.Read("policies/strict/drift")).Data["keys"], "what was bound before stays, and is reported")
		m.Must(m.Write("keys/k/config", "owner", flag))
		m.Must(m.Write("keys/k/rotate", "reason", "because of a test"))
		m.Must(m.Write("policies/strict", flag, true))
	}
}
