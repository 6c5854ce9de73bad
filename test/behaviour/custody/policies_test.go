// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestCustodyTellsRevisionsOfOneNumberApart is about a policy that is deleted and written again: name and revision are the
// same then, and the content is not.
func TestCustodyTellsRevisionsOfOneNumberApart(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	var hashes []any
	for _, description := range []string{"strict", "anything goes"} {
		hash := m.Must(m.Write("policies/p", "owner", "o", "description", description)).Data["hash"]
		hashes = append(hashes, hash)
		m.Must(m.Write("keys/k/config", "policy", "p"))
		for _, act := range []func(){func() {}, func() { m.K.Ops("rotate") }, func() { m.K.Ops("versions/1/suspend") }, func() { m.K.Ops("hold") }} {
			act()
			require.Contains(t, m.Storage.JournalLine(2), fmt.Sprintf(`"policy_hash":"%s"`, hash))
			require.Contains(t, m.Storage.JournalLine(2), `"policy":"p","policy_revision":1`)
		}
		m.Must(m.K.Op("hold", "hold", false))
		m.Must(m.K.Op("versions/1/resume"))
		m.Must(m.Write("keys/k/config", "policy", ""))
		require.NotContains(t, m.Storage.JournalLine(2), "policy_hash", "no policy governs the key any more")
		m.Must(m.Delete("policies/p"))
	}
	require.NotEqual(t, hashes[0], hashes[1])
}

func TestCustodySaysWhichLabelsOwnerAndPolicyAKeyGot(t *testing.T) {
	m := mounttest.New(t)
	one, two := strings.Repeat("a", 1000)+"1", strings.Repeat("a", 1000)+"2"
	for _, name := range []string{one, two} {
		m.Must(m.Write("policies/"+name, "owner", "o"))
	}
	m.Must(m.Write("keys/k", "policy", one, "owner", strings.Repeat("x", 256), "labels", map[string]any{"env": "dev", "old": "1"}))
	m.Must(m.Write("keys/k/config", "policy", two, "owner", strings.Repeat("y", 256), "labels", map[string]any{"env": "prod"}))
	record := m.Storage.JournalLine(2)
	for _, part := range []string{`"labels":"env: \"dev\" -> \"prod\"; old: \"1\" -> none"`, "xx -> yy", "a1 -> aa", `aa2"`} {
		require.Contains(t, strings.ReplaceAll(record, `\u003e`, ">"), part)
	}
}
