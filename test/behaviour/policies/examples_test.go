// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policies_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// examplePlans is what each document of examples/policies does to a key that is made at start, in words.
var examplePlans = map[string][]string{
	"general.hcl": {
		"2026-06-01T14:30:12Z rotate 2",
		"2026-08-31T16:22:28Z rotate 3",
		"2026-11-27T23:54:19Z rotate 4",
		"2026-11-28T14:30:12Z archive 1",
		"2027-02-27T16:22:28Z archive 2",
		"2027-02-28T12:31:48Z rotate 5",
		"2027-05-26T23:54:19Z archive 3",
		"2027-05-27T00:55:40Z rotate 6",
		"2027-08-25T04:21:11Z rotate 7",
		"2027-08-27T12:31:48Z archive 4",
	},
	"pci-dss-4.0.1.hcl": {
		"2026-09-06T00:27:30Z stage 2",
		"2026-09-13T00:27:30Z promote 2",
		"2027-02-28T02:07:58Z stage 3",
		"2027-03-07T02:07:58Z promote 3",
		"2027-08-29T00:06:44Z stage 4",
		"2027-09-05T00:06:44Z promote 4",
		"2027-09-13T00:27:30Z archive 1",
		"2028-02-20T01:51:35Z stage 5",
		"2028-02-27T01:51:35Z promote 5",
		"2028-03-06T02:07:58Z archive 2",
	},
	"signing-keys.hcl": {
		"2026-04-01T07:00:00Z stage 2",
		"2026-04-15T07:00:00Z promote 2",
		"2026-07-01T07:00:00Z stage 3",
		"2026-07-15T07:00:00Z promote 3",
		"2026-10-01T07:00:00Z stage 4",
		"2026-10-15T07:00:00Z promote 4",
		"2027-01-04T08:00:00Z stage 5",
		"2027-01-18T08:00:00Z promote 5",
		"2027-04-01T07:00:00Z stage 6",
		"2027-04-15T07:00:00Z promote 6",
	},
	"high-volume.hcl": {
		"2026-03-08T20:50:43Z rotate 2",
		"2026-03-15T23:06:41Z rotate 3",
		"2026-03-22T13:28:45Z rotate 4",
		"2026-03-29T15:47:10Z rotate 5",
		"2026-04-06T01:13:00Z rotate 6",
		"2026-04-07T20:50:43Z archive 1",
		"2026-04-12T17:11:45Z rotate 7",
		"2026-04-14T23:06:41Z archive 2",
		"2026-04-19T13:26:02Z rotate 8",
		"2026-04-21T13:28:45Z archive 3",
	},
}

func TestExamplePoliciesDoWhatTheySay(t *testing.T) {
	files, err := filepath.Glob("../../../examples/policies/*.hcl")
	require.NoError(t, err)
	require.Len(t, files, len(examplePlans), "every document has a plan, and the other way round")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			m := mounttest.New(t)
			m.Must(m.Write("policies/p", "document", string(text)))
			m.Options.Rand = strings.NewReader(strings.Repeat("the same key in every run ", 1000))
			m.Restart()
			m.Must(m.Write("keys/k", "policy", "p"))
			var plan []string
			for _, event := range m.Must(m.Read("keys/k/plan")).Data["events"].([]map[string]any) {
				plan = append(plan, fmt.Sprint(event["time"], " ", event["act"], " ", event["version"]))
			}
			require.Equal(t, examplePlans[filepath.Base(file)], plan, "%q", plan)
			require.Empty(t, m.Must(m.Read("policies/p/drift")).Data["keys"])
		})
	}
}
