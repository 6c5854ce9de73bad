// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// policyActs are writes about policies, every one of which is made to fail once.
var policyActs = []act{
	{
		name: "write a policy as a document",
		run:  func(m *mount) answer { return m.write("policies/p", "document", general) },
		after: func(t *testing.T, m *mount) {
			require.Equal(t, general, m.must(m.read("policies/p")).data["document"])
			requireRevisions(t, m, 1)
		},
	},
	{
		name: "write a document over fields",
		prepare: func(m *mount) {
			m.must(m.write("policies/p", "owner", "o", "rotation_period", "24h"))
			m.must(m.write("keys/k", "policy", "p"))
		},
		run: func(m *mount) answer { return m.write("policies/p", "document", general) },
		after: func(t *testing.T, m *mount) {
			requireRevisions(t, m, 2)
			plan := m.must(m.write("policies/p/plan")).data["keys"].([]map[string]any)[0]
			require.Equal(t, m.read("keys/k").data["next_rotation_time"], plan["next_rotation_time"].(map[string]any)["to"])
		},
	},
	{
		name:    "write the text of a document anew",
		prepare: func(m *mount) { m.must(m.write("policies/p", "document", `owner = "o"`)) },
		run:     func(m *mount) answer { return m.write("policies/p", "document", `owner = "o" # the same`) },
		after:   func(t *testing.T, m *mount) { requireRevisions(t, m, 2) },
	},
	{
		name:    "configure the engine",
		prepare: func(m *mount) { m.must(m.write("policies/p", "owner", "o")) },
		run: func(m *mount) answer {
			return m.write("config/engine", "require_policy", true, "default_policy", "p")
		},
		after: func(t *testing.T, m *mount) {
			require.Equal(t, "p", m.must(m.write("keys/k")).data["policy"])
		},
	},
	{
		name: "create under the default policy",
		prepare: func(m *mount) {
			m.must(m.write("policies/p", "owner", "o", "rotation_period", "24h"))
			m.must(m.write("config/engine", "require_policy", true, "default_policy", "p"))
		},
		run: func(m *mount) answer { return m.write("encrypt/k", "plaintext", b64("x")) },
		after: func(t *testing.T, m *mount) {
			require.Equal(t, "p", m.must(m.read("keys/k")).data["policy"])
		},
	},
	{
		name: "take the default away and delete the policy",
		prepare: func(m *mount) {
			m.must(m.write("policies/p", "owner", "o"))
			m.must(m.write("config/engine", "default_policy", "p"))
		},
		run: func(m *mount) answer {
			if got := m.write("config/engine", "default_policy", ""); got.status >= 300 {
				return got
			}
			return m.delete("policies/p")
		},
		after: func(t *testing.T, m *mount) {
			require.Equal(t, 404, m.read("policies/p").status)
			require.Equal(t, "", m.must(m.read("config/engine")).data["default_policy"])
		},
	},
}

// requireRevisions holds that all revisions up to the one in force can be read, and no others.
func requireRevisions(t *testing.T, m *mount, n int) {
	t.Helper()
	numbers := m.must(m.list("policies/p/revisions")).data["keys"].([]string)
	require.Len(t, numbers, n, "the act happened, and happened once")
	for i, number := range numbers {
		require.Equal(t, i+1, m.must(m.read("policies/p/revisions/" + number)).data["revision"])
	}
	require.Equal(t, m.read("policies/p").data, m.read(fmt.Sprint("policies/p/revisions/", n)).data)
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
		m := newMount(t)
		if a.prepare != nil {
			a.prepare(m)
		}
		m.storage.FailWriteAs(at, fate)
		a.run(m)
		fired := m.storage.Fired()
		m.storage.Heal()
		m.restart()
		if name := m.must(m.read("config/engine")).data["default_policy"]; name != "" {
			require.Equal(t, 200, m.read("policies/"+name.(string)).status)
		}
		if !fired {
			return
		}
	}
}
