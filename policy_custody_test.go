// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCustodyTellsRevisionsOfOneNumberApart is about a policy that is deleted and written again: name and revision are the
// same then, and the content is not.
func TestCustodyTellsRevisionsOfOneNumberApart(t *testing.T) {
	m := newMount(t)
	m.must(m.write("keys/k"))
	var hashes []any
	for _, description := range []string{"strict", "anything goes"} {
		hash := m.must(m.write("policies/p", "owner", "o", "description", description)).data["hash"]
		hashes = append(hashes, hash)
		m.must(m.write("keys/k/config", "policy", "p"))
		for _, act := range []func(){func() {}, func() { m.ops("rotate") }, func() { m.ops("versions/1/suspend") }, func() { m.ops("hold") }} {
			act()
			require.Contains(t, m.newestRecord(2), fmt.Sprintf(`"policy_hash":"%s"`, hash))
			require.Contains(t, m.newestRecord(2), `"policy":"p","policy_revision":1`)
		}
		m.must(m.op("hold", "hold", false))
		m.must(m.op("versions/1/resume"))
		m.must(m.write("keys/k/config", "policy", ""))
		require.NotContains(t, m.newestRecord(2), "policy_hash", "no policy governs the key any more")
		m.must(m.delete("policies/p"))
	}
	require.NotEqual(t, hashes[0], hashes[1])
}

func TestCustodySaysWhichLabelsOwnerAndPolicyAKeyGot(t *testing.T) {
	m := newMount(t)
	one, two := strings.Repeat("a", 1000)+"1", strings.Repeat("a", 1000)+"2"
	for _, name := range []string{one, two} {
		m.must(m.write("policies/"+name, "owner", "o"))
	}
	m.must(m.write("keys/k", "policy", one, "owner", strings.Repeat("x", 256), "labels", map[string]any{"env": "dev", "old": "1"}))
	m.must(m.write("keys/k/config", "policy", two, "owner", strings.Repeat("y", 256), "labels", map[string]any{"env": "prod"}))
	record := m.newestRecord(2)
	for _, part := range []string{`"labels":"env: \"dev\" -> \"prod\"; old: \"1\" -> none"`, "xx -> yy", "a1 -> aa", `aa2"`} {
		require.Contains(t, strings.ReplaceAll(record, `\u003e`, ">"), part)
	}
}
