// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

const damaged = "INC-2045: policy pci cannot be read since the restore"

// unruled is an office in which the policy of key orders asked for consent to all, and cannot be read.
func unruled(t testing.TB) *office {
	o := open(t)
	o.govern(allRules("2 of " + approvers))
	o.Must(o.as("root").Write("policies/free", "owner", "payments"))
	o.Storage.Plant("policies/pci", []byte("{"))
	o.Restart()
	return o
}

// unruledActs end the rule of the policy that cannot be read.
var unruledActs = map[string]struct {
	operation, subject string
	do                 func(o *office, reason string) mounttest.Answer
	done               func(o *office) bool
}{
	"detach": {"rebind", "key orders", func(o *office, reason string) mounttest.Answer {
		return o.as("alice").Write("keys/orders/config", "policy", "", "reason", reason)
	}, shows("keys/orders", "policy", "")},
	"bind to another policy": {"rebind", "key orders", func(o *office, reason string) mounttest.Answer {
		return o.as("alice").Write("keys/orders/config", "policy", "free", "reason", reason)
	}, shows("keys/orders", "policy", "free")},
	"write the policy": {"policy", "policy pci", func(o *office, reason string) mounttest.Answer {
		return o.as("alice").Write("policies/pci", "owner", "payments", "reason", reason)
	}, shows("policies/pci", "owner", "payments")},
}

func TestWhatEndsTheRuleOfAPolicyThatCannotBeReadIsDoneAtOnceAndReviewed(t *testing.T) {
	for name, x := range unruledActs {
		t.Run(name, func(t *testing.T) {
			o := unruled(t)
			o.as("alice").Refused(x.do(o, "too short"), "reason")
			require.False(t, x.done(o))
			require.Empty(t, o.reviews())

			o.Must(x.do(o, damaged))
			require.True(t, x.done(o))
			require.Contains(t, o.Log.String(), "[WARN]  the rule of a policy that says nothing was ended without consent")
			require.Len(t, o.reviews(), 1)
			review := o.reviews()[0]
			shown := o.review(review)
			for field, want := range map[string]any{
				"state": "open", "operation": x.operation, "subject": x.subject, "reason": damaged, "actor": "alice (alice-0000)", "rule": "not creator",
			} {
				require.Equal(t, want, shown[field], field)
			}
			require.Contains(t, shown["policy"], "pci, revision ")
			o.Refused(o.close("alice", review, "justified"), "alice")
			o.Must(o.close("bob", review, "justified"))
			require.Equal(t, "justified", o.review(review)["state"])
			o.Must(o.as("root").Write("policies/pci", "owner", "payments", "description", "mended", "reason", damaged))
			mounttest.RequireCustodyWhole(t, o.as("auditor").Mount)
		})
	}
}

func TestDeletingAPolicyThatCannotBeReadIsReviewed(t *testing.T) {
	o := unruled(t)
	o.Must(o.as("alice").Write("keys/orders/config", "policy", "", "reason", damaged))
	o.Must(o.as("alice").Delete("policies/pci", "reason", damaged))
	require.Len(t, o.reviews(), 2)
	for _, review := range o.reviews() {
		require.Equal(t, "open", o.review(review)["state"])
	}
}

func TestCustodyAloneKeepsItWhereNobodyHasEnrolled(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/pci", "owner", "o"))
	m.Must(m.Write("keys/orders", "policy", "pci"))
	m.Storage.Plant("policies/pci", []byte("{"))
	m.Restart()
	m.Must(m.Write("keys/orders/config", "policy", ""))
	require.Equal(t, 404, m.List("reviews").Status)
	journal := m.Storage.JournalOf("orders")
	require.Equal(t, "pci", journal[len(journal)-2].Details["unreadable_policy"])
}

// TestAReviewThatIsOverdueDoesNotHoldUpRecovery although nothing is done by break-glass meanwhile.
func TestAReviewThatIsOverdueDoesNotHoldUpRecovery(t *testing.T) {
	o := unruled(t)
	o.Must(unruledActs["detach"].do(o, damaged))
	o.Leap(73 * time.Hour)
	require.Equal(t, "overdue", o.review(o.reviews()[0])["state"])
	o.Must(unruledActs["write the policy"].do(o, damaged))
	require.Len(t, o.reviews(), 2)
}

func TestEachWriteOfWhatEndsAnUnreadableRuleMayFailTwice(t *testing.T) {
	for i, name := range slices.Sorted(maps.Keys(unruledActs)) {
		x := unruledActs[name]
		eachWrite(t, i, name, func(t *testing.T, at int, fate storagetest.Fate) bool {
			t.Helper()
			o := unruled(t)
			fired := false
			for range 2 {
				o.Storage.FailWriteAs(at, fate)
				x.do(o, damaged)
				fired = fired || o.Storage.Fired()
				o.Storage.Heal()
				require.Equal(t, x.done(o), len(o.reviews("state", "open")) == 1, "write %d: a review is open exactly where the act took effect", at)
			}
			if at%2 == 0 {
				o.Restart()
			}
			o.Must(x.do(o, damaged))
			require.True(t, x.done(o))
			require.Len(t, o.reviews("state", "open"), 1)
			require.True(t, fired || at > 3)
			return fired
		})
	}
}
