// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

func TestAMountWithoutSettingsAsksForNoPolicy(t *testing.T) {
	m := newMount(t)
	require.Equal(t, map[string]any{"require_policy": false, "default_policy": ""}, m.must(m.read("config/engine")).data)
	require.Equal(t, "", m.must(m.write("keys/k")).data["policy"])
	m.must(m.write("config/engine"))
	require.NotContains(t, m.dump(), "config/engine", "nothing was given, so nothing is written")
}

func TestSettingsOfTheEngineReadBackAndStayWhereTheyAreNotGiven(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("config/engine", "default_policy", "p", "reason", "as the board decided"))
	require.Contains(t, m.log.String(), "as the board decided")
	set := m.must(m.write("config/engine", "require_policy", true, "default_policy", nil))
	require.Equal(t, map[string]any{"require_policy": true, "default_policy": "p"}, set.data)
	require.Len(t, set.warnings, 1)
	m.restart()
	require.Equal(t, set.data, m.must(m.read("config/engine")).data)
	m.storage.Reset()
	m.must(m.write("config/engine", "require_policy", true, "default_policy", "p"))
	require.Zero(t, m.storage.Reset().Writes(), "the same again writes nothing")
	require.Equal(t, false, m.must(m.write("config/engine", "require_policy", false, "default_policy", "")).data["require_policy"])
	require.Equal(t, "", m.must(m.write("keys/k")).data["policy"])
}

func TestAKeyWhoseMakerNamesNoPolicyGetsTheDefaultOne(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/before"))
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("policies/q", "owner", "o"))
	m.must(m.write("config/engine", "default_policy", "p"))
	require.Equal(t, "p", m.must(m.write("keys/k")).data["policy"])
	require.Equal(t, "p", m.must(m.write("keys/null", "policy", nil)).data["policy"])
	require.Equal(t, "q", m.must(m.write("keys/other", "policy", "q")).data["policy"])
	require.Equal(t, "", m.must(m.write("keys/none", "policy", "")).data["policy"], "who asks for none gets none")
	m.encrypt("upserted", "x")
	require.Equal(t, "p", m.must(m.read("keys/upserted")).data["policy"])
	require.Contains(t, m.dump(), "bound/p/upserted")
	require.Equal(t, "", m.must(m.read("keys/before")).data["policy"])
	require.Equal(t, "", m.must(m.write("keys/before")).data["policy"], "a key that is there stays as it is")
}

func TestTheDefaultPolicyHasToAdmitTheKey(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o", "allowed_types", "aes256-gcm96", "rotation_period", "24h"))
	m.must(m.write("config/engine", "default_policy", "p"))
	before := m.dump()
	for path, kv := range map[string][]any{
		"type": {"type", "chacha20-poly1305"}, "exportable": {"exportable", true}, "allow_plaintext_backup": {"allow_plaintext_backup", true},
		"auto_rotate_period": {"auto_rotate_period", "24h"},
	} {
		refused := m.write("keys/k", kv...)
		require.Equal(t, 400, refused.status)
		require.Contains(t, refused.err, path+": ")
		require.Contains(t, refused.err, `"p"`)
	}
	require.Equal(t, before, m.dump())
}

func TestUnderRequirePolicyNoKeyIsMadeOrLeftWithoutOne(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("keys/before"))
	m.must(m.write("keys/k", "policy", "p"))
	m.must(m.write("config/engine", "require_policy", true))
	before := m.dump()
	for path, kv := range map[string][]any{
		"keys/new": {}, "keys/new2": {"policy", ""}, "encrypt/new": {"plaintext", b64("x")}, "keys/k/config": {"policy", ""}, "keys/k": {"policy", ""},
	} {
		refused := m.write(path, kv...)
		require.Equal(t, 400, refused.status, path)
		require.Contains(t, refused.err, `policy: "": config/engine has require_policy`, path)
	}
	require.Equal(t, before, m.dump())
	m.encrypt("before", "a key that is there goes on")
	m.must(m.write("keys/before/config", "owner", "me"))
	m.must(m.write("keys/before", "policy", ""))
	m.must(m.write("keys/k/config", "owner", "me"))
	require.Equal(t, "p", m.must(m.write("keys/new", "policy", "p")).data["policy"])
	m.must(m.write("config/engine", "default_policy", "p"))
	m.must(m.write("keys/new2"))
	require.Equal(t, 400, m.write("keys/new3", "policy", "").status)
}

func TestTheDefaultPolicyExistsAndIsNotDeleted(t *testing.T) {
	m := newMount(t)
	for _, name := range []string{"none", "a/b", "a..b"} {
		refused := m.write("config/engine", "default_policy", name)
		require.Equal(t, 400, refused.status)
		require.Contains(t, refused.err, `default_policy: "`+name+`"`)
	}
	refused := m.write("config/engine", "default_polcy", "p")
	require.Equal(t, 400, refused.status)
	require.Contains(t, refused.err, "no such field")
	require.Empty(t, m.dump())
	m.must(m.write("policies/p", "owner", "o"))
	m.must(m.write("config/engine", "default_policy", "p"))
	refused = m.delete("policies/p")
	require.Equal(t, 400, refused.status)
	require.Contains(t, refused.err, `policy "p" is default_policy in config/engine`)
	require.Equal(t, 200, m.read("policies/p").status)
	m.must(m.write("config/engine", "default_policy", ""))
	m.must(m.delete("policies/p"))
}

func TestRequirePolicyIsTrueOrFalseAndNothingElse(t *testing.T) {
	m := newMount(t)
	m.must(m.write("config/engine", "require_policy", true))
	before := m.dump()
	for _, bad := range badScalars[framework.TypeBool] {
		refused := m.write("config/engine", "require_policy", bad.value)
		require.Equal(t, 400, refused.status, "%v", bad.value)
		require.Contains(t, refused.err, "require_policy: ")
		require.Contains(t, refused.err, "must be true or false")
	}
	require.Equal(t, before, m.dump())
	require.Equal(t, false, m.must(m.write("config/engine", "require_policy", "false")).data["require_policy"])
	require.Equal(t, true, m.must(m.write("config/engine", "require_policy", "true")).data["require_policy"])
}

func TestSettingsOfTheEngineCostOneReadAtTheCreationOfAKey(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/first"))
	m.storage.Reset()
	m.must(m.write("keys/k"))
	require.Equal(t, storagetest.Counts{Lists: 1, Gets: 6, Puts: 4}, m.storage.Reset(), "of the reads, one is that of the settings")
	m.must(m.write("config/engine", "require_policy", true))
	m.encrypt("k", "x")
	m.storage.Reset()
	m.encrypt("k", "x")
	require.Zero(t, m.storage.Reset().Total())
}

func TestAGovernedKeyIsMadeNoLooserThanItsPolicy(t *testing.T) {
	m := newMount(t)
	m.must(m.write("policies/strict", "owner", "o"))
	m.must(m.write("policies/loose", "owner", "o", "exportable", true, "allow_plaintext_backup", true))
	m.must(m.write("keys/k", "policy", "strict"))
	for _, flag := range []string{"exportable", "allow_plaintext_backup"} {
		for _, path := range []string{"keys/k/config", "keys/new"} {
			refused := m.write(path, "policy", "strict", flag, true)
			require.Equal(t, 400, refused.status)
			require.Contains(t, refused.err, flag+`: "true": policy "strict"`)
		}
		m.must(m.write("keys/k/config", "policy", "loose", flag, true))
		refused := m.write("keys/k/config", "policy", "strict")
		require.Equal(t, 400, refused.status)
		require.Contains(t, refused.err, `: "true": policy "strict"`)
		m.must(m.write("policies/strict", flag, true))
		require.Equal(t, true, m.must(m.write("keys/k/config", "policy", "strict")).data[flag])
		m.must(m.write("policies/strict", flag, false))
		require.NotEmpty(t, m.must(m.read("policies/strict/drift")).data["keys"], "what was bound before stays, and is reported")
		m.must(m.write("keys/k/config", "owner", flag))
		m.must(m.write("keys/k/rotate", "reason", "because of a test"))
		m.must(m.write("policies/strict", flag, true))
	}
}
