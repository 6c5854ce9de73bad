// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// cost is what a request takes of storage and of Vault, beside what every request takes.
type cost struct {
	storagetest.Counts
	vault int
}

// done is the status of a request that does something, whatever it answers.
const done = 2

// of counts a request; it demands the status, or the kind of status.
func (o *office) of(status int, send func() mounttest.Answer) cost {
	o.t.Helper()
	o.Storage.Reset()
	o.System.Reset()
	got := send()
	require.Contains(o.t, []int{got.Status, got.Status / 100}, status, got.Err)
	return cost{o.Storage.Reset(), o.System.Reset()}
}

// TestWhatNoRuleAsksForCostsNothingMore under a policy of which the rules are about other acts, nor does what uses a key.
func TestWhatNoRuleAsksForCostsNothingMore(t *testing.T) {
	makeBackup(t)
	mounttest.NewForImports(t)
	for i, x := range kinds() {
		if racetest.Spared(t, i) {
			continue
		}
		if x.gate == "policy" || x.gate == "approvals" { // what has other rules is another policy, or other settings
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var costs []cost
			for _, with := range []bool{false, true} {
				o := x.stand(t)
				others := map[string]any{}
				for _, gate := range x.gates() {
					if gate != x.gate && with {
						others[string(gate)] = oneOf
					}
				}
				o.Must(o.as("root").Write(x.rules(), "approvals", others, "reason", why))
				o.Must(o.Read("keys/orders"))
				o.Must(o.Read("config/approvals"))
				costs = append(costs, o.of(done, func() mounttest.Answer { return x.do(o) }))
			}
			require.Equal(t, costs[0], costs[1])
		})
	}
	o := open(t)
	o.govern(allRules("2 of " + approvers))
	ciphertext := o.Encrypt("orders", "secret")
	require.Equal(t, cost{}, o.of(200, func() mounttest.Answer { return o.Write("encrypt/orders", "plaintext", mounttest.B64("x")) }))
	require.Equal(t, cost{}, o.of(200, func() mounttest.Answer { return o.Write("decrypt/orders", "ciphertext", ciphertext) }))
}

// TestWhatConsentCosts is the table of docs/limits.md.
func TestWhatConsentCosts(t *testing.T) {
	o := retiring(t, "2 of "+approvers)
	retire := func() mounttest.Answer { return o.as("alice").Write(retire1, "reason", why) }
	free := retiring(t, "2 of "+approvers)
	free.Must(free.as("root").Write("policies/pci", "approvals", map[string]any{}))
	free.Must(free.Read("keys/orders"))
	plain := free.of(200, func() mounttest.Answer { return free.as("alice").Write(retire1, "reason", why) })

	o.Must(o.as("auditor").Read("keys/orders"))
	asked := o.of(428, retire)
	again := o.of(428, retire)
	request := idIn.FindString(retire().Err)
	vote := func(who string) func() mounttest.Answer {
		return func() mounttest.Answer { return o.as(who).Write("approvals/" + request + "/approve") }
	}
	first, repeated, second := o.of(200, vote("bob")), o.of(200, vote("bob")), o.of(200, vote("carol"))
	shown := o.of(200, func() mounttest.Answer { return o.as("auditor").Read("approvals/" + request) })
	third := o.of(200, vote("dave"))
	execution := o.of(200, retire)
	execution.Gets, execution.Puts, execution.Lists = execution.Gets-plain.Gets, execution.Puts-plain.Puts, execution.Lists-plain.Lists
	execution.Deletes, execution.vault = execution.Deletes-plain.Deletes, execution.vault-plain.vault
	for _, row := range []struct {
		name      string
		want, got cost
	}{
		{"asked", cost{storagetest.Counts{Gets: 9, Lists: 1, Puts: 3}, 2}, asked},
		{"asked again", cost{storagetest.Counts{Gets: 4, Lists: 1}, 0}, again},
		{"the first vote", cost{storagetest.Counts{Gets: 6, Puts: 3}, 2}, first},
		{"that vote again", cost{storagetest.Counts{Gets: 4}, 2}, repeated},
		{"the second vote", cost{storagetest.Counts{Gets: 5, Puts: 3}, 4}, second},
		{"the third vote", cost{storagetest.Counts{Gets: 5, Puts: 3}, 6}, third},
		{"shown, with two votes", cost{storagetest.Counts{Gets: 3}, 4}, shown},
		{"executed with three votes, besides", cost{storagetest.Counts{Gets: 2, Puts: 1}, 6}, execution},
	} {
		require.Equal(t, row.want, row.got, row.name)
	}
}
