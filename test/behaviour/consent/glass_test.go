// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

const (
	emergency = "INC-2044: the active version is blocked by a failed check"
	looked    = "the incident was real, and nobody was on duty"
	promote2  = "keys/orders/versions/2/promote"
)

// reviewIn finds the id of a review.
var reviewIn = regexp.MustCompile(`rv-[a-z2-7]{26}`)

// glass is an office in which erin and frank are on call, and version 2 of orders is staged.
func glass(t testing.TB, promote string, settings ...any) *office {
	o := open(t)
	for _, name := range []string{"erin", "frank"} {
		o.System.Person(id(name), name, "on-call")
	}
	o.Must(o.as("root").Write("config/approvals", append([]any{"break_glass_groups", "on-call"}, settings...)...))
	o.govern(map[string]any{"promote": promote, "retire": "1 of " + approvers, "resume": "1 of " + approvers})
	o.Must(o.as("alice").Write("keys/orders/rotate", "stage", true, "reason", "a version to promote"))
	return o
}

// broken is glass after erin promoted version 2 by break-glass, and the id of the review.
func broken(t testing.TB, settings ...any) (o *office, review string) {
	o = glass(t, "1 of "+approvers, settings...)
	o.Must(o.as("erin").Write(promote2, "break_glass", true, "reason", emergency))
	return o, o.reviews()[0]
}

func (o *office) reviews(kv ...any) []string {
	o.t.Helper()
	listed := o.as("auditor").List("reviews", kv...)
	if listed.Status == 404 { // as an empty list is answered
		return nil
	}
	return o.Must(listed).Data["keys"].([]string)
}

func (o *office) review(id string) map[string]any {
	o.t.Helper()
	return o.Must(o.as("auditor").Read("reviews/" + id)).Data
}

func (o *office) close(who, review, verdict string) mounttest.Answer {
	return o.as(who).Write("reviews/"+review+"/close", "verdict", verdict, "reason", looked)
}

func TestBreakGlassActsAtOnceAndLeavesAReview(t *testing.T) {
	o := glass(t, "2 of "+approvers)
	require.Equal(t, 428, o.as("erin").Write(promote2, "reason", emergency).Status, "without break_glass the rule holds for who is on call, too")
	o.Must(o.as("erin").Write(promote2, "break_glass", true, "reason", emergency))
	require.Equal(t, "active", o.StatesOf("orders")[1])
	require.Contains(t, o.Log.String(), "[WARN]  break-glass: acted without the consent that a rule asks for")

	require.Len(t, o.reviews(), 1)
	review := o.reviews()[0]
	require.Regexp(t, "^"+reviewIn.String()+"$", review)
	shown := o.review(review)
	for field, want := range map[string]any{
		"id": review, "state": "open", "operation": "promote", "subject": "key orders", "version": 2, "reason": emergency,
		"actor": "erin (erin-0000)", "rule": "2 of key-approvers", "policy": "pci, revision 1",
		"created_time": mounttest.Start.UTC().Format(time.RFC3339), "due_time": mounttest.Start.Add(72 * time.Hour).UTC().Format(time.RFC3339),
		"verdict": "", "reviewer": "", "closed_time": "", "closing_reason": "",
	} {
		require.Equal(t, want, shown[field], field)
	}
	begun := o.record("promote")
	require.Equal(t, begun.Seq, shown["custody_seq"])
	require.Equal(t, "true", begun.Details["break_glass"])
	require.Equal(t, review, begun.Details["review"])
	require.Equal(t, "2 of key-approvers", begun.Details["needs"])
	require.Empty(t, begun.Details["approval"])
	row := o.Must(o.List("reviews")).Data["key_info"].(map[string]any)[review].(map[string]any)
	require.Equal(t, "erin (erin-0000)", row["actor"])
}

// record returns the newest custody record that begins such an act on orders.
func (o *office) record(act string) (found custody.Record) {
	o.t.Helper()
	for _, rec := range o.Storage.JournalOf("orders") {
		if rec.Act == act {
			found = rec
		}
	}
	require.NotZero(o.t, found.Seq, act)
	return found
}

func TestWhoMayBreakTheGlass(t *testing.T) {
	try := func(o *office, who string, kv ...any) mounttest.Answer {
		return o.as(who).Write(promote2, append([]any{"break_glass", true, "reason", emergency}, kv...)...)
	}
	for name, refused := range map[string]struct {
		say string
		do  func(o *office) mounttest.Answer
	}{
		"nobody of the groups": {"alice (alice-0000) is in none of break_glass_groups", func(o *office) mounttest.Answer { return try(o, "alice") }},
		"an approver":          {"bob (bob-0000) is in none of break_glass_groups", func(o *office) mounttest.Answer { return try(o, "bob") }},
		"a token alone":        {"break_glass_root of config/approvals is false", func(o *office) mounttest.Answer { return try(o, "root") }},
		"an entity that is disabled": {"erin (erin-0000) is disabled", func(o *office) mounttest.Answer {
			o.System.Entity(&logical.Entity{ID: id("erin"), Name: "erin", Disabled: true}, "on-call")
			return try(o, "erin")
		}},
		"an entity that is gone": {"erin-0000 is no entity of this Vault any more", func(o *office) mounttest.Answer {
			o.System.Gone(id("erin"))
			return try(o, "erin")
		}},
		"a short reason": {`reason: "because of it all": promote of version 2 of key "orders" by break-glass`, func(o *office) mounttest.Answer {
			return try(o, "erin", "reason", "because of it all")
		}},
		"a reason of spaces": {"at least 20 bytes", func(o *office) mounttest.Answer { return try(o, "erin", "reason", strings.Repeat(" ", 40)+"x") }},
		"another operation": {"break_glass: resume is none of break_glass_operations of config/approvals (promote)", func(o *office) mounttest.Answer {
			o.Must(o.as("alice").Write("keys/orders/suspend", "reason", "to be resumed by break-glass"))
			return o.as("erin").Write("keys/orders/resume", "break_glass", true, "reason", emergency)
		}},
		"what takes away": {"break_glass: this path has no such field", func(o *office) mounttest.Answer {
			return o.as("erin").Write("keys/orders/versions/1/retire", "break_glass", true, "reason", emergency)
		}},
		"a rotation": {"break_glass is for promote, rollback, resume, recover, restore", func(o *office) mounttest.Answer {
			return o.as("erin").Write("keys/orders/rotate", "break_glass", true, "reason", emergency)
		}},
		"the settings of a key": {"break_glass", func(o *office) mounttest.Answer {
			return o.as("erin").Write("keys/orders/config", "break_glass", true, "min_decryption_version", 1)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := glass(t, "1 of "+approvers)
			o.Refused(refused.do(o), refused.say)
			require.NotEqual(t, "active", o.StatesOf("orders")[1])
			require.Empty(t, o.reviews(), "nothing is written")
		})
	}
}

func TestATokenWithoutAnEntityMayBreakTheGlassWhereTheMountSaysSo(t *testing.T) {
	o := glass(t, "1 of "+approvers, "break_glass_root", true)
	o.Must(o.as("root").Write(promote2, "break_glass", true, "reason", emergency))
	review := o.reviews()[0]
	require.Equal(t, "root", o.review(review)["actor"])
	o.Refused(o.close("root", review, "justified"), "a token without an entity cannot be told from others")
	o.Must(o.close("bob", review, "justified"))
}

func TestWhereNoRuleAsksBreakGlassChangesNothing(t *testing.T) {
	o := open(t)
	o.govern(map[string]any{"retire": "1 of " + approvers})
	o.Must(o.as("alice").Write("keys/orders/rotate", "stage", true, "reason", "a version to promote"))
	o.Storage.Reset()
	o.Must(o.as("alice").Write(promote2, "break_glass", true, "reason", "short"))
	with := o.Storage.Reset()
	require.Empty(t, o.reviews())
	require.Empty(t, o.record("promote").Details["break_glass"])

	o = open(t)
	o.govern(map[string]any{"retire": "1 of " + approvers})
	o.Must(o.as("alice").Write("keys/orders/rotate", "stage", true, "reason", "a version to promote"))
	o.Storage.Reset()
	o.Must(o.as("alice").Write(promote2, "reason", "short"))
	require.Equal(t, o.Storage.Reset(), with, "nor does it cost anything")
}

func TestOfARuleThatAsksForAnotherPersonOnlyItsBreachIsReviewed(t *testing.T) {
	o := glass(t, "not creator")
	o.Must(o.as("erin").Write(promote2, "break_glass", true, "reason", emergency))
	require.Empty(t, o.reviews(), "alice made it")

	o = glass(t, "not creator")
	o.System.Person(id("alice"), "alice", "on-call")
	o.Refused(o.as("alice").Write(promote2, "reason", emergency), "needs another person than who made it")
	o.Must(o.as("alice").Write(promote2, "break_glass", true, "reason", emergency))
	review := o.reviews()[0]
	require.Equal(t, "not creator", o.review(review)["rule"])
	o.Refused(o.close("frank", review, "justified"), "has not enrolled")
	o.Must(o.close("bob", review, "justified"))
}

func TestWhoMayCloseAReview(t *testing.T) {
	o, review := broken(t)
	o.Refused(o.close("erin", review, "justified"), "erin (erin-0000) did it, and does not close its review")
	o.System.Person(id("erin"), "erin", "on-call", approvers)
	o.enrol("erin")
	o.Refused(o.close("erin", review, "justified"), "did it")
	o.Refused(o.close("frank", review, "justified"), "frank (frank-0000) has not enrolled as an approver")
	o.System.Person(id("dave"), "dave")
	o.Refused(o.close("dave", review, "justified"), "is in none of the groups key-approvers")
	o.System.Person(id("grace"), "grace", approvers)
	o.enrol("grace")
	o.Refused(o.close("grace", review, "justified"), "has enrolled less than approver_wait ago")
	o.Leap(25 * time.Hour)
	o.Must(o.close("grace", review, "justified"))
}

func TestAVerdictIsForOnce(t *testing.T) {
	o, review := broken(t)
	path := "reviews/" + review + "/close"
	for _, wrong := range []struct {
		say string
		kv  []any
	}{
		{`verdict: "": must be justified or rejected`, []any{"reason", looked}},
		{`verdict: "void": must be justified or rejected`, []any{"verdict", "void", "reason", looked}},
		{`reason: "short": at least 10 bytes`, []any{"verdict", "rejected", "reason", "short"}},
		{"reason", []any{"verdict", "rejected"}},
		{"at most 512 bytes", []any{"verdict", "rejected", "reason", strings.Repeat("x", 513)}},
	} {
		o.Refused(o.as("bob").Write(path, wrong.kv...), wrong.say)
	}
	o.Refused(o.close("bob", "rv-"+strings.Repeat("a", 26), "rejected"), "review not found")
	states := o.StatesOf("orders")
	require.Equal(t, "rejected", o.Must(o.close("bob", review, "rejected")).Data["state"])
	require.Contains(t, o.Log.String(), "[WARN]  closed the review of an act by break-glass")
	require.Equal(t, states, o.StatesOf("orders"), "it undoes nothing")
	shown := o.review(review)
	require.Equal(t, []any{"rejected", "bob (bob-0000)", looked}, []any{shown["verdict"], shown["reviewer"], shown["closing_reason"]})

	o.Storage.Reset()
	o.Must(o.close("bob", review, "rejected"))
	require.Zero(t, o.Storage.Reset().Writes(), "the same again changes nothing")
	o.Refused(o.close("bob", review, "justified"), "is rejected: nothing can be done with it any more")
	o.Refused(o.close("carol", review, "rejected"), "is rejected: nothing can be done with it any more")
	begun := o.record("close-review")
	require.Equal(t, looked, begun.Reason)
	require.Equal(t, "rejected", begun.Details["verdict"])
	require.Equal(t, review, begun.Details["review"])
	require.Equal(t, "erin (erin-0000)", begun.Details["actor"])
	mounttest.RequireCustodyWhole(t, o.Mount)

	require.Equal(t, []string{review}, o.reviews("state", "rejected"))
	require.Empty(t, o.reviews("state", "open"))
	o.Refused(o.List("reviews", "state", "closed"), `state: "closed": must be one of open, overdue, justified, rejected and void`)
}

func TestWhileAReviewIsOverdueNobodyBreaksTheGlass(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	o, review := broken(t, "review_within", "24h")
	again := func() mounttest.Answer {
		o.Must(o.as("alice").Write("keys/orders/rotate", "stage", true, "reason", "one more version to promote"))
		return o.as("frank").Write("keys/orders/versions/3/promote", "break_glass", true, "reason", emergency)
	}
	o.Leap(24*time.Hour - time.Minute)
	require.Equal(t, "open", o.review(review)["state"])
	o.Leap(time.Minute)
	require.Equal(t, "overdue", o.review(review)["state"])
	require.Equal(t, []string{review}, o.reviews("state", "overdue"))
	o.Refused(again(), "break_glass: review "+review+`, of promote of "orders" by erin (erin-0000), is overdue since `)
	require.Equal(t, 428, o.as("frank").Write("keys/orders/versions/3/promote", "reason", emergency).Status, "consent may be asked for")
	o.Must(o.close("bob", review, "justified"))
	o.Must(o.as("frank").Write("keys/orders/versions/3/promote", "break_glass", true, "reason", emergency))
	require.Len(t, o.reviews(), 2)

	o.Leap(91 * 24 * time.Hour)
	require.Equal(t, []string{"overdue", "justified"}, o.statesOfReviews(), "until it is closed a review stays")
	open := o.reviews("state", "overdue")[0]
	for _, name := range []string{"bob", "carol", "dave"} {
		o.enrol(name)
	}
	o.Must(o.close("carol", open, "justified"))
	require.Equal(t, []string{open}, o.reviews(), "what was closed 90 days ago is dropped; custody has it")
}

func (o *office) statesOfReviews() []string {
	states := map[string]bool{}
	for _, id := range o.reviews() {
		states[fmt.Sprint(o.review(id)["state"])] = true
	}
	var all []string
	for _, state := range []string{"open", "overdue", "justified", "rejected", "void"} {
		if states[state] {
			all = append(all, state)
		}
	}
	return all
}

// TestWhatGivesBackIsDoneByBreakGlass goes through all operations, of versions and of keys.
func TestWhatGivesBackIsDoneByBreakGlass(t *testing.T) {
	all := "promote,rollback,resume,recover,restore"
	rules := map[string]any{}
	for _, operation := range strings.Split(all, ",") {
		rules[operation] = "1 of " + approvers
	}
	for _, x := range []struct {
		path    string
		prepare []string
	}{
		{"versions/1/resume", []string{"versions/1/suspend"}},
		{"resume", []string{"suspend"}},
		{"soft-delete-restore", []string{"suspend"}},
		{"versions/1/recover", []string{"rotate", "versions/1/archive"}},
		{"recover", []string{"archive"}},
		{"versions/1/restore", []string{"rotate", "versions/1/archive", "versions/1/retire"}},
		{"restore", []string{"archive", "retire"}},
		{"rollback", []string{"rotate"}},
	} {
		t.Run(x.path, func(t *testing.T) {
			t.Parallel()
			o := open(t)
			o.System.Person(id("erin"), "erin", "on-call")
			o.Must(o.as("root").Write("config/approvals", "break_glass_groups", "on-call", "break_glass_operations", all))
			window := "0"
			if x.path == "rollback" {
				window = "24h"
			}
			o.govern(rules, "rollback_window", window)
			for _, step := range x.prepare {
				o.Must(o.as("alice").Write("keys/orders/"+step, "reason", "to be given back in this test"))
			}
			require.Equal(t, 428, o.as("erin").Write("keys/orders/"+x.path, "reason", emergency).Status)
			o.Must(o.as("erin").Write("keys/orders/"+x.path, "break_glass", true, "reason", emergency))
			require.Len(t, o.reviews(), 1)
		})
	}
}

func TestWhatBreakGlassCosts(t *testing.T) {
	o := glass(t, "1 of "+approvers)
	o.Storage.Reset()
	o.Must(o.as("erin").Write(promote2, "break_glass", true, "reason", emergency))
	got := o.Storage.Reset()
	plain := open(t)
	plain.govern(map[string]any{"retire": "1 of " + approvers})
	plain.Must(plain.as("alice").Write("keys/orders/rotate", "stage", true, "reason", "a version to promote"))
	plain.Storage.Reset()
	plain.Must(plain.as("alice").Write(promote2, "reason", emergency))
	was := plain.Storage.Reset()
	require.Equal(t, was.Puts+1, got.Puts, "the review")
	require.Equal(t, was.Lists+1, got.Lists, "the reviews that there are")
	require.LessOrEqual(t, got.Gets, was.Gets+3, "the settings, the clock guard, and who made the version")
}
