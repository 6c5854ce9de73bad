// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// go test ./internal/store -run Golden -update writes the records anew. Once a release has written them, never do.
var renew = flag.Bool("update", false, "write the golden records anew")

func TestRecordsAreWrittenAsTheGoldenOnes(t *testing.T) {
	stored := goldenWorld(t).entries(t)
	for path, name := range map[string]string{
		"keys/orders": "key", "versions/orders/2": "version", "dates/paged/0": "dates",
		"config/kek": "kek", "config/archive-kek": "archive-kek", "config/custody": "custody", "config/clock": "clock",
		"policies/pci": "policy", "revisions/pci/4": "policy", "config/keys": "settings", "config/cache": "cache", "denied/orders/0": "denied",
		"leases/orders/2": "lease", "intents/reschedule/pci": "reschedule", "intents/erase/last": "erase", "intents/settle/orders": "settle",
		"intents/rewrap/use": "rewrap", "keys/resident": "key-resident", "versions/resident/1": "version-resident", "intents/objects/" + object: "object",
		"config/approvals": "approvals", "config/approvers": "approvers", "config/hsm": "hsm", "config/keks": "keks", "config/census": "census", "keys/two-alerts": "key-two-alerts",
	} {
		if *renew {
			var pretty bytes.Buffer
			require.NoError(t, json.Indent(&pretty, []byte(stored[path]), "", "  "))
			require.NoError(t, os.WriteFile(filepath.Join("testdata", "schema1", name+".json"), append(pretty.Bytes(), '\n'), 0o600))
		}
		require.JSONEq(t, golden(t, name), asTheFirstRelease(t, stored[path]), path)
	}
	for path, name := range map[string]string{"journal/orders/0000000001": "journal1", "journal/orders/0000000002": "journal2"} {
		if *renew {
			require.NoError(t, os.WriteFile(filepath.Join("testdata", "schema1", name+".json"), []byte(stored[path]), 0o600))
		}
		require.Equal(t, golden(t, name), stored[path], "what is hashed is kept to the byte")
	}
}

// sinceThen are the fields that later releases add to records: who made what they are of.
var sinceThen = []string{"created_by", "author"}

// asTheFirstRelease returns a record without the fields that it got since.
func asTheFirstRelease(t *testing.T, record string) string {
	t.Helper()
	fields := map[string]json.RawMessage{}
	require.NoError(t, json.Unmarshal([]byte(record), &fields))
	for _, name := range sinceThen {
		delete(fields, name)
	}
	text, err := json.Marshal(fields)
	require.NoError(t, err)
	return string(text)
}
