// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"
)

func TestWhoCannotBeToldFromOthersAsksForNothing(t *testing.T) {
	o := retiring(t, oneOf)
	o.Refused(o.as("root").Write(retire1, "reason", why), "a token without an entity")
	o.Refused(o.as("alice").Write(retire1, "reason", "a    b     "), "reason", "at least 10 bytes")
	require.Empty(t, o.List("approvals").Data["keys"])
	request := o.asked("alice", retire1, "reason", why)
	o.Refused(o.as("root").Write("approvals/"+request+"/approve"), "without an entity")
	for _, verb := range []string{"deny", "withdraw"} {
		o.Refused(o.as("root").Write("approvals/"+request+"/"+verb, "reason", why), "without an entity")
	}
	o.Refused(o.as("bob").Write("approvals/"+request+"/withdraw", "reason", why), "alice", "nobody else withdraws it")
	o.Refused(o.as("mallory").Write("approvals/"+request+"/approve"), "is no entity of this Vault any more")
	o.System.Person(id("mallory"), "mallory", approvers)
	o.Refused(o.as("mallory").Write("approvals/"+request+"/approve"), "has not enrolled")
	o.Refused(o.as("mallory").Write("approvals/"+request+"/deny", "reason", why), "has not enrolled")
	require.Equal(t, "pending", o.state(request))
}

// TestWhoCeasesToCountTakesTheVoteAlong, and it counts again when the person does.
func TestWhoCeasesToCountTakesTheVoteAlong(t *testing.T) {
	for name, change := range map[string]struct{ away, back func(o *office) }{
		"disabled": {func(o *office) {
			o.System.Entity(&logical.Entity{ID: id("bob"), Name: "bob", Disabled: true}, approvers)
		}, func(o *office) { o.System.Person(id("bob"), "bob", approvers) }},
		"gone":       {func(o *office) { o.System.Gone(id("bob")) }, func(o *office) { o.System.Person(id("bob"), "bob", approvers) }},
		"not in one": {func(o *office) { o.System.Person(id("bob"), "bob", "others") }, func(o *office) { o.System.Person(id("bob"), "bob", approvers) }},
	} {
		t.Run(name, func(t *testing.T) {
			o := retiring(t, "2 of "+approvers)
			request := o.asked("alice", retire1, "reason", why)
			o.approve(request, "bob", "carol")
			change.away(o)
			require.Equal(t, "pending", o.state(request))
			require.Equal(t, 428, o.as("alice").Write(retire1, "reason", why).Status)
			change.back(o)
			require.Equal(t, "approved", o.state(request))
			o.Must(o.as("alice").Write(retire1, "reason", why))
		})
	}
	o := retiring(t, "2 of "+approvers)
	request := o.asked("alice", retire1, "reason", why)
	o.approve(request, "bob")
	o.System.Person(id("bob"), "bob")
	o.approve(request, "carol")
	o.System.Person(id("bob"), "bob", approvers)
	require.Equal(t, "pending", o.state(request), "no vote has made it enough")
	o.approve(request, "carol") // again
	require.Equal(t, "approved", o.state(request))
}

func TestWhoLeavesTheApproversAndComesBackIsNew(t *testing.T) {
	o := retiring(t, oneOf)
	request := o.asked("alice", retire1, "reason", why)
	o.approve(request, "bob")
	o.Must(o.as("bob").Delete("approvers/"+id("bob"), "reason", why))
	o.Clock.Add(time.Minute)
	o.enrol("bob")
	require.Equal(t, "pending", o.state(request))
	again := o.Must(o.as("bob").Write("approvals/" + request + "/approve")).Data
	require.Equal(t, 0, again["given"], "it is the vote that was there")
	o.approve(request, "carol")
	require.Equal(t, "approved", o.state(request))
}

func TestAnotherPersonThanWhoMadeIt(t *testing.T) {
	o := open(t)
	o.govern(map[string]any{"promote": "not creator"})
	o.Must(o.as("bob").Write("keys/orders/rotate", "stage", true, "reason", why))
	o.Refused(o.as("root").Write("keys/orders/versions/2/promote", "reason", why), "a token without an entity")
	o.Refused(o.as("bob").Write("keys/orders/versions/2/promote", "reason", why), "that was you")
	o.Must(o.as("founder").Write("keys/orders/versions/2/promote", "reason", why))
	require.Empty(t, o.List("approvals").Data["keys"])
}

func TestWhoHasAPartInItIsNotCounted(t *testing.T) {
	for _, row := range []struct{ exclude, refused string }{
		{"requester,creator,author", "bob carol"}, {"requester,creator", "bob"}, {"requester,author", "carol"}, {"requester", ""},
	} {
		t.Run(row.exclude, func(t *testing.T) {
			o := open(t)
			o.Must(o.as("carol").Write("policies/pci", "owner", "payments", "approvals", map[string]any{"archive": "2 of " + approvers}, "approval_exclude", row.exclude, "min_versions_kept", 0))
			o.Must(o.as("bob").Write("keys/orders", "policy", "pci", "reason", why))
			o.Must(o.as("dave").Write("keys/orders/rotate", "reason", why))
			request := o.asked("alice", "keys/orders/versions/1/archive", "reason", why)
			for _, who := range []string{"bob", "carol"} {
				got := o.as(who).Write("approvals/" + request + "/approve")
				require.Equal(t, strings.Contains(row.refused, who), got.Status == 400, got.Err)
			}
		})
	}
}

// TestWhoEnrolsWhileTheClockIsBehindIsNewToWhatWasAskedBefore: an enrolment is dated as requests are, by no time before that which
// the clock guard has seen.
func TestWhoEnrolsWhileTheClockIsBehindIsNewToWhatWasAskedBefore(t *testing.T) {
	for _, back := range []time.Duration{30 * time.Minute, 0} {
		o := retiring(t, oneOf, "approval_ttl", "14d")
		o.System.Person(id("mallory"), "mallory", approvers)
		o.Must(o.as("root").Write("config/approvals", "approver_wait", 0))
		o.Clock.Add(time.Hour)
		require.NoError(t, o.Tick())
		seen := o.Clock.Now().UTC().Format(time.RFC3339)
		request := o.asked("alice", retire1, "reason", why)
		o.Clock.Add(-back)
		o.enrol("mallory")
		require.Equal(t, seen, o.Must(o.Read("approvers/" + id("mallory"))).Data["since_time"])
		require.Equal(t, true, o.Must(o.Read("approvers/" + id("mallory"))).Data["able"])
		o.Clock.Add(2 * time.Hour)
		o.Refused(o.as("mallory").Write("approvals/"+request+"/approve"), "has enrolled after it was asked for")
	}
}
