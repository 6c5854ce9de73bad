// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
)

// TestAVoteThatIsForgedInStorageIsFoundByVerification, and votes that were cast are none.
func TestAVoteThatIsForgedInStorageIsFoundByVerification(t *testing.T) {
	for _, forged := range []bool{false, true} {
		o := retiring(t, "2 of "+approvers)
		request := o.asked("alice", retire1, "reason", why)
		o.approve(request, "bob")
		if forged {
			record := struct {
				Schema int `json:"schema"`
				consent.Request
			}{Schema: 1}
			require.NoError(t, json.Unmarshal(o.Storage.All()["approvals/"+request], &record.Request))
			vote := record.Votes[0]
			vote.Entity, vote.Name = id("carol"), "carol"
			record.Votes, record.Approved = append(record.Votes, vote), vote.At
			text, err := json.Marshal(record)
			require.NoError(t, err)
			o.Storage.Plant("approvals/"+request, text)
			o.Restart()
		} else {
			o.approve(request, "carol")
		}
		o.Must(o.as("alice").Write(retire1, "reason", why))
		found := o.Must(o.as("auditor").Write("custody/verify")).Data
		require.Equal(t, !forged, found["valid"], "%v", found)
		if forged {
			require.Contains(t, fmt.Sprint(found["problems"]), `consent without a vote: retire was done with the consent of entity "`+id("carol")+`" to request "`+request+`"`)
		}
	}
}
