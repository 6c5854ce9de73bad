// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package crash_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// commented is a policy as a text with comments, which reads back as it was written.
const commented = "# Keys of the shops.\nowner = \"team-payments\"\nrotation_period = \"30d\" /* a month */\n"

// policyActs are writes about policies, every one of which is made to fail once.
var policyActs = []act{
	{
		name: "write a policy as a document",
		run:  func(m *mounttest.Mount) mounttest.Answer { return m.Write("policies/p", "document", commented) },
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, commented, m.Must(m.Read("policies/p")).Data["document"])
			requireRevisions(t, m, 1)
		},
	},
	{
		name: "write a document over fields",
		prepare: func(m *mounttest.Mount) {
			m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "24h"))
			m.Must(m.Write("keys/k", "policy", "p"))
		},
		run: func(m *mounttest.Mount) mounttest.Answer { return m.Write("policies/p", "document", commented) },
		after: func(t *testing.T, m *mounttest.Mount) {
			requireRevisions(t, m, 2)
			plan := m.Must(m.Write("policies/p/plan")).Data["keys"].([]map[string]any)[0]
			require.Equal(t, m.Read("keys/k").Data["next_rotation_time"], plan["next_rotation_time"].(map[string]any)["to"])
		},
	},
	{
		name:    "write the text of a document anew",
		prepare: func(m *mounttest.Mount) { m.Must(m.Write("policies/p", "document", `owner = "o"`)) },
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("policies/p", "document", `owner = "o" # the same`)
		},
		after: func(t *testing.T, m *mounttest.Mount) { requireRevisions(t, m, 2) },
	},
	{
		name:    "configure the engine",
		prepare: func(m *mounttest.Mount) { m.Must(m.Write("policies/p", "owner", "o")) },
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("config/engine", "require_policy", true, "default_policy", "p")
		},
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, "p", m.Must(m.Write("keys/k")).Data["policy"])
		},
	},
	{
		name: "attest an access review",
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("access-review/attest", "reason", "because of a test")
		},
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, false, m.Must(m.Read("access-review")).Data["due"])
		},
	},
	{
		name: "bound the cache",
		run:  func(m *mounttest.Mount) mounttest.Answer { return m.Write("cache-config", "size", 10) },
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, 10, m.Must(m.Read("cache-config")).Data["size"])
		},
	},
	{
		name: "create under the default policy",
		prepare: func(m *mounttest.Mount) {
			m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "24h"))
			m.Must(m.Write("config/engine", "require_policy", true, "default_policy", "p"))
		},
		run: func(m *mounttest.Mount) mounttest.Answer {
			return m.Write("encrypt/k", "plaintext", mounttest.B64("x"))
		},
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, "p", m.Must(m.Read("keys/k")).Data["policy"])
		},
	},
	{
		name: "take the default away and delete the policy",
		prepare: func(m *mounttest.Mount) {
			m.Must(m.Write("policies/p", "owner", "o"))
			m.Must(m.Write("config/engine", "default_policy", "p"))
		},
		run: func(m *mounttest.Mount) mounttest.Answer {
			if got := m.Write("config/engine", "default_policy", ""); got.Status >= 300 {
				return got
			}
			return m.Delete("policies/p")
		},
		after: func(t *testing.T, m *mounttest.Mount) {
			require.Equal(t, 404, m.Read("policies/p").Status)
			require.Equal(t, "", m.Must(m.Read("config/engine")).Data["default_policy"])
		},
	},
}

// requireRevisions holds that all revisions up to the one in force can be read, and no others.
func requireRevisions(t *testing.T, m *mounttest.Mount, n int) {
	t.Helper()
	numbers := m.Must(m.List("policies/p/revisions")).Data["keys"].([]string)
	require.Len(t, numbers, n, "the act happened, and happened once")
	for i, number := range numbers {
		require.Equal(t, i+1, m.Must(m.Read("policies/p/revisions/" + number)).Data["revision"])
	}
	require.Equal(t, m.Read("policies/p").Data, m.Read(fmt.Sprint("policies/p/revisions/", n)).Data)
}

func TestEveryActOnPoliciesSurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	for i, a := range policyActs {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", a.name, fate), func(t *testing.T) {
				t.Parallel()
				crashLoop(t, a, fate)
				requireDefaultExists(t, a, fate)
			})
		}
	}
}

// requireDefaultExists holds right after every failure: a default policy is one that exists, so that keys can be made.
func requireDefaultExists(t *testing.T, a act, fate storagetest.Fate) {
	t.Helper()
	for at := 1; ; at++ {
		m := mounttest.New(t)
		if a.prepare != nil {
			a.prepare(m)
		}
		m.Storage.FailWriteAs(at, fate)
		a.run(m)
		fired := m.Storage.Fired()
		m.Storage.Heal()
		m.Restart()
		if name := m.Must(m.Read("config/engine")).Data["default_policy"]; name != "" {
			require.Equal(t, 200, m.Read("policies/"+name.(string)).Status)
		}
		if !fired {
			return
		}
	}
}
