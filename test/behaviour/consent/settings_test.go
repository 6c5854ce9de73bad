// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatOnlyTightensTheSettingsIsDoneAtOnce, and nothing that loosens one of them.
func TestWhatOnlyTightensTheSettingsIsDoneAtOnce(t *testing.T) {
	rules := func(of ...string) map[string]any {
		all := map[string]any{"approvals": "1 of " + approvers}
		for i := 0; i < len(of); i += 2 {
			all[of[i]] = of[i+1]
		}
		return all
	}
	for name, row := range map[string]struct{ tighter, looser []any }{
		"a rule":         {[]any{"approvals", rules("clock", oneOf)}, []any{"approvals", map[string]any{}}},
		"more persons":   {[]any{"approvals", rules("approvals", "2 of "+approvers)}, []any{"approvals", rules("approvals", "1 of "+approvers+", others")}},
		"acknowledging":  {[]any{"acknowledge_every", "48h"}, []any{"acknowledge_every", "9000h"}},
		"waiting":        {[]any{"approver_wait", "48h"}, []any{"approver_wait", "1h"}},
		"the auth mount": {[]any{"auth_mount", "userpass-1"}, []any{"auth_mount", "userpass-1", "review_within", "96h"}},
		"reviews":        {[]any{"review_within", "24h", "break_glass_operations", []string{}}, []any{"break_glass_operations", []string{"promote", "resume"}}},
		"who breaks it":  {[]any{"break_glass_groups", []string{}}, []any{"break_glass_groups", []string{"others"}}},
		"root":           {[]any{"break_glass_root", false}, []any{"break_glass_root", true}},
		"duties":         {[]any{"duties", "Look."}, []any{"duties", "Look.", "break_glass_root", true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := open(t)
			o.Must(o.as("root").Write("config/approvals", "approvals", rules(), "reason", why))
			before := o.Must(o.Read("config/approvals")).Data
			o.asked("alice", "config/approvals", append(row.looser, "reason", why)...)
			require.Equal(t, before, o.Must(o.Read("config/approvals")).Data)

			tightened := o.Must(o.as("alice").Write("config/approvals", row.tighter...)).Data
			require.Equal(t, tightened, o.Must(o.Read("config/approvals")).Data)
			o.asked("alice", "config/approvals", append(row.looser, "reason", why)...)
		})
	}
}
