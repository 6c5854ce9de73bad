// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// s3cr3t stands for what is stored and must not be quoted.
const s3cr3t = "s3cr3t"

// damages are ways in which a request cannot be read or understood, by what they make of its record.
func damages() map[string]func(t *testing.T, record string) string {
	put := func(text string) func(*testing.T, string) string {
		return func(*testing.T, string) string { return text }
	}
	with := func(fields ...any) func(*testing.T, string) string {
		return func(t *testing.T, text string) string {
			record := map[string]any{}
			require.NoError(t, json.Unmarshal([]byte(text), &record))
			for i := 0; i < len(fields); i += 2 {
				record[fields[i].(string)] = fields[i+1]
			}
			changed, err := json.Marshal(record)
			require.NoError(t, err)
			return string(changed)
		}
	}
	vote := map[string]any{"entity": id("bob"), "name": "bob", "approve": true, "at": mounttest.Start.Format(time.RFC3339)}
	return map[string]func(*testing.T, string) string{
		"nothing":                put(""),
		"garbage":                put("\x00" + s3cr3t),
		"null":                   put("null"),
		"a part of it":           func(_ *testing.T, record string) string { return record[:len(record)/2] },
		"another kind of record": put(`{"schema":1,"created":{"secret":"` + s3cr3t + `"}}`),
		"an empty record":        put(`{"schema":1}`),
		"a newer schema":         put(`{"schema":2,"secret":"` + s3cr3t + `"}`),
		"no digest":              with("digest", ""),
		"another digest":         with("digest", fmt.Sprintf("%064d", 7)),
		"other content":          with("content", map[string]any{"operation": "retire", "reason": s3cr3t}),
		"a rule that is none":    with("rule", s3cr3t),
		"a rule of nobody":       with("rule", "not creator"),
		"no round":               with("round", 0),
		"no date":                with("created", "0001-01-01T00:00:00Z"),
		"no time to approve":     with("approve_for", 0),
		"no time to execute":     with("execute_for", -1),
		"one person twice":       with("votes", []any{vote, vote}),
		"a vote of nobody":       with("votes", []any{map[string]any{"approve": true}}),
	}
}

// TestARequestThatCannotBeReadIsNoConsentAndStopsNoOther: it is shown as what it is.
func TestARequestThatCannotBeReadIsNoConsentAndStopsNoOther(t *testing.T) {
	all := damages()
	for i, name := range slices.Sorted(maps.Keys(all)) {
		if racetest.Spared(t, i) {
			continue
		}
		damage := all[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := retiring(t, oneOf)
			request := o.asked("alice", retire1, "reason", why)
			o.approve(request, "bob")
			path := "approvals/" + request
			o.Storage.Plant(path, []byte(damage(t, string(o.Storage.All()[path]))))
			o.Restart()
			require.NoError(t, o.Tick(), "it is left out of what waits for people")
			require.NotContains(t, fmt.Sprint(o.Must(o.as("root").Read("calendar")).Data), request)

			o.Refused(o.as("alice").Write(retire1, "reason", why), request, "cannot be read", "another reason")
			require.Equal(t, "archived", o.StatesOf("orders")[0])
			for _, step := range []string{"approve", "deny", "withdraw"} {
				kv := []any{"reason", why}
				if step == "approve" {
					kv = nil
				}
				o.Refused(o.as("bob").Write(path+"/"+step, kv...), request, "cannot be read", "nothing can be done with it")
			}
			shown := o.Must(o.as("auditor").Read(path)).Data
			require.Equal(t, []any{request, "unreadable", "", "", 0}, []any{shown["id"], shown["state"], shown["subject"], shown["rule"], shown["given"]})
			require.Contains(t, shown["status"], "unreadable: request ")
			listed := o.Must(o.List("approvals"))
			require.Equal(t, "unreadable", listed.Data["key_info"].(map[string]any)[request].(map[string]any)["state"])
			require.Empty(t, listed.Warnings)
			require.Equal(t, []string{request}, o.Must(o.List("approvals", "state", "unreadable")).Data["keys"])
			for _, filter := range [][]any{{"state", "approved"}, {"key", "orders"}, {"mine", true}} {
				require.NotContains(t, fmt.Sprint(o.as("alice").List("approvals", filter...).Data["keys"]), request)
			}
			o.manyAsk()
			require.NotContains(t, o.Log.String(), s3cr3t)
		})
	}
}

// TestADamagedKeyStopsNoRequestAboutAnother, though the state of what was asked about it is not known.
func TestADamagedKeyStopsNoRequestAboutAnother(t *testing.T) {
	o := retiring(t, oneOf)
	o.Must(o.as("founder").Write("keys/other", "policy", "pci", "reason", why))
	o.Must(o.as("founder").Write("keys/other/rotate", "reason", why))
	o.Must(o.as("founder").Write("keys/other/versions/1/archive", "reason", why))
	o.asked("alice", "keys/other/versions/1/retire", "reason", why)
	o.Storage.Plant("keys/other", []byte("{"))
	o.Restart()
	o.manyAsk()
}

// manyAsk has carol and dave ask for more than are kept before those that are kept are looked at, and the last is executed.
func (o *office) manyAsk() {
	o.t.Helper()
	for i := range 18 {
		o.asked([]string{"carol", "dave"}[i%2], retire1, "reason", fmt.Sprint(why, i))
	}
	last := o.asked("alice", retire1, "reason", why+", asked anew")
	o.approve(last, "bob")
	o.Must(o.as("alice").Write(retire1, "reason", why+", asked anew"))
}
