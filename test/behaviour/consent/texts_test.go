// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// TestPeopleAreCalledWhatTheDirectoryCallsThem, and not what their tokens are called.
func TestPeopleAreCalledWhatTheDirectoryCallsThem(t *testing.T) {
	o := retiring(t, oneOf)
	o.System.Person(id("alice"), "Alice Ng")
	o.System.Person(id("bob"), "Bob Ito", approvers)
	request := o.asked("alice", retire1, "reason", why)
	o.approve(request, "bob")
	shown := o.Must(o.as("auditor").Read("approvals/" + request)).Data
	require.Equal(t, "Alice Ng ("+id("alice")+")", shown["requester"])
	require.Contains(t, shown["status"], "to be executed by Alice Ng until ")
	require.Equal(t, "Bob Ito", shown["votes"].([]any)[0].(map[string]any)["name"])
	o.Refused(o.as("bob").Write("approvals/"+request+"/withdraw", "reason", why), "Alice Ng ("+id("alice")+") asked for it")

	o.System.Gone(id("alice"))
	other := o.asked("alice", retire1, "reason", why+", by nobody that Vault knows")
	require.Equal(t, "userpass-alice ("+id("alice")+")", o.Must(o.as("auditor").Read("approvals/" + other)).Data["requester"])
}

// TestAReviewCallsPeopleWhatTheDirectoryCallsThem, where they are in it; see [TestATokenWithoutAnEntityMayBreakTheGlassWhereTheMountSaysSo].
func TestAReviewCallsPeopleWhatTheDirectoryCallsThem(t *testing.T) {
	o := glass(t, oneOf)
	o.System.Person(id("erin"), "Erin Oh", "on-call")
	o.System.Person(id("bob"), "Bob Ito", approvers)
	o.Must(o.as("erin").Write(promote2, "break_glass", true, "reason", emergency))
	review := o.reviews()[0]
	o.Must(o.close("bob", review, "justified"))
	shown := o.review(review)
	require.Equal(t, "Erin Oh ("+id("erin")+")", shown["actor"])
	require.Equal(t, "Bob Ito ("+id("bob")+")", shown["reviewer"])
}

// TestUntilWhenARequestIsOpen: to be approved, and then to be executed, also where it is pending again because a vote does not count
// any more. A vote in that time approves it.
func TestUntilWhenARequestIsOpen(t *testing.T) {
	for name, row := range map[string]struct{ approvalTTL, executionTTL time.Duration }{
		"executed after the last day to approve":  {time.Hour, 48 * time.Hour},
		"executed before the last day to approve": {48 * time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			o := retiring(t, "2 of "+approvers, "approval_ttl", row.approvalTTL.String(), "execution_ttl", row.executionTTL.String())
			openUntil := func(at time.Time) {
				t.Helper()
				until := "until " + at.UTC().Format(time.RFC3339)
				require.Contains(t, o.as("alice").Write(retire1, "reason", why).Err, "is open "+until)
				require.Contains(t, o.Must(o.as("auditor").Read("approvals/" + o.requests()[0])).Data["status"], until)
			}
			request := o.asked("alice", retire1, "reason", why)
			openUntil(mounttest.Start.Add(row.approvalTTL))
			o.approve(request, "bob", "carol")
			o.System.Person(id("bob"), "bob")
			openUntil(mounttest.Start.Add(row.executionTTL))

			o.Clock.Add(row.executionTTL - time.Second)
			require.Equal(t, "pending", o.state(request))
			o.approve(request, "dave")
			require.Equal(t, "approved", o.state(request))
			o.System.Person(id("carol"), "carol")
			openUntil(mounttest.Start.Add(row.executionTTL))
			o.Clock.Add(time.Second)
			require.Equal(t, "expired", o.state(request))
		})
	}
}

// TestACommandIsToldInWhatItDiffersFromWhatWasApproved, the first field of those that differ, each time it is refused.
func TestACommandIsToldInWhatItDiffersFromWhatWasApproved(t *testing.T) {
	long := why + ", and a reason that goes on for longer than the line of an error should be"
	for field, row := range map[string]struct {
		path, reason, says string
		meanwhile          []any // settings of the key that somebody writes after the approval
	}{
		"reason":   {path: retire1, reason: long, says: `"` + why + `" there, "` + long[:64] + `"... here`},
		"version":  {path: "keys/orders/versions/2/retire", reason: long, says: `"1" there, "2" here`},
		"revision": {path: retire1, reason: why, says: `"5" there, "6" here`, meanwhile: []any{"owner", "payments"}},
	} {
		t.Run(field, func(t *testing.T) {
			o := retiring(t, oneOf)
			request := o.asked("alice", retire1, "reason", why)
			if field != "revision" {
				require.NotContains(t, o.as("alice").Write(row.path, "reason", row.reason).Err, "differs", "it was not approved")
			}
			o.approve(request, "bob")
			if row.meanwhile != nil {
				o.Must(o.as("founder").Write("keys/orders/config", row.meanwhile...))
			}
			for range 2 {
				refused := o.as("alice").Write(row.path, "reason", row.reason)
				require.Equal(t, 428, refused.Status)
				require.Contains(t, refused.Err, "Request "+request+" was approved, and differs in "+field+": "+row.says)
			}
			require.NotContains(t, o.as("carol").Write(row.path, "reason", row.reason).Err, "differs", "it is another person's")
			require.NotContains(t, o.as("alice").Write("keys/orders/versions/1/restore", "reason", row.reason).Err, "differs", "it is another act")
		})
	}
}
