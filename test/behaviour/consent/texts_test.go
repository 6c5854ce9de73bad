// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"testing"

	"github.com/stretchr/testify/require"
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
