// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

const retire1 = "keys/orders/versions/1/retire"

// retiring is an office in which versions 1 and 2 of key orders are archived, and to retire needs consent.
func retiring(t *testing.T, rule string, more ...any) *office {
	t.Helper()
	o := open(t)
	o.govern(map[string]any{"retire": rule}, more...)
	for range 2 {
		o.Must(o.as("founder").Write("keys/orders/rotate", "reason", why))
	}
	o.Must(o.Write("keys/orders/versions/1/archive", "reason", why))
	o.Must(o.Write("keys/orders/versions/2/archive", "reason", why))
	return o
}

// refusedAnew demands that a command needs a consent of its own.
func (o *office) refusedAnew(request, who, path string, kv ...any) {
	o.t.Helper()
	require.NotEqual(o.t, request, o.asked(who, path, kv...))
	require.Zero(o.t, executions(o, request))
}

func TestAConsentIsToOneActOnOneThing(t *testing.T) {
	o := retiring(t, oneOf)
	o.Must(o.as("root").Write("keys/others", "policy", "pci", "reason", why))
	request := o.asked("alice", retire1, "reason", why)
	o.approve(request, "bob")
	o.refusedAnew(request, "alice", "keys/orders/versions/2/retire", "reason", why)
	o.refusedAnew(request, "alice", retire1, "reason", why+".")
	o.refusedAnew(request, "dave", retire1, "reason", why)
	o.Refused(o.as("alice").Write("keys/others/versions/1/retire", "reason", why), "active")
	require.Equal(t, "approved", o.state(request))
	o.Must(o.as("alice").Write(retire1, "reason", why))
	require.Equal(t, 1, executions(o, request))
}

func TestAConsentIsToWhatIsGivenWithTheAct(t *testing.T) {
	o := open(t)
	o.govern(map[string]any{"recover": oneOf, "configure": oneOf})
	o.Must(o.as("founder").Write("keys/orders/rotate", "reason", why))
	o.Must(o.Write("keys/orders/versions/1/archive", "reason", why))
	recovery := o.asked("alice", "keys/orders/versions/1/recover", "time_limit", "1h", "reason", why)
	o.approve(recovery, "bob")
	o.refusedAnew(recovery, "alice", "keys/orders/versions/1/recover", "time_limit", "2h", "reason", why)
	o.refusedAnew(recovery, "alice", "keys/orders/versions/1/recover", "reason", why)

	long := strings.Repeat("x", 100) + "%s" + strings.Repeat("y", 100)
	label := func(middle string) map[string]any { return map[string]any{"note": fmt.Sprintf(long, middle)} }
	settings := o.asked("alice", "keys/orders/config", "deletion_allowed", true, "labels", label("a"), "reason", why)
	o.approve(settings, "bob")
	o.refusedAnew(settings, "alice", "keys/orders/config", "deletion_allowed", true, "labels", label("b"), "reason", why)
	o.refusedAnew(settings, "alice", "keys/orders/config", "deletion_allowed", true, "reason", why)
	o.Must(o.as("alice").Write("keys/orders/config", "deletion_allowed", true, "labels", label("a"), "reason", why))
	require.Equal(t, "void", o.state(recovery), "the key has changed since")
}

// TestAConsentIsNotForTheNextThingOfTheName: its revision may be that of the one before, and more is asked for than that.
func TestAConsentIsNotForTheNextThingOfTheName(t *testing.T) {
	o := open(t)
	write := func(approvals map[string]any, kv ...any) {
		o.Must(o.as("root").Write("policies/pci", append([]any{"owner", "payments", "approvals", approvals}, kv...)...))
	}
	rule := map[string]any{"policy": oneOf}
	write(rule, "destroy_delay", "48h")
	request := o.asked("alice", "policies/pci", "destroy_delay", "24h", "reason", why)
	deletion := idIn.FindString(o.as("alice").Delete("policies/pci", "reason", why).Err)
	o.approve(request, "bob")
	o.approve(deletion, "bob")
	o.Must(o.as("alice").Delete("policies/pci", "reason", why))
	require.Equal(t, "executed", o.state(deletion))
	require.Equal(t, "void", o.state(request))
	write(rule, "destroy_delay", "48h", "quiet_period", "30d")
	require.Equal(t, "void", o.state(request))
	o.refusedAnew(request, "alice", "policies/pci", "destroy_delay", "24h", "reason", why)
	require.Equal(t, 428, o.as("alice").Delete("policies/pci", "reason", why).Status)
	require.Equal(t, 1, executions(o, deletion))
}

func TestAnExecutedConsentIsNotForTheNextTime(t *testing.T) {
	o := open(t)
	o.govern(map[string]any{"export": oneOf}, "exportable", true)
	o.Must(o.as("root").Write("keys/orders/config", "exportable", true, "reason", why))
	export := func() mounttest.Answer { return o.as("alice").Read("export/encryption-key/orders", "reason", why) }
	request := idIn.FindString(export().Err)
	for round := 1; round <= 2; round++ { // the key does not change, so the same is asked for
		require.Equal(t, "pending", o.state(request))
		require.Equal(t, round, o.Must(o.Read("approvals/" + request)).Data["round"])
		require.Equal(t, 428, export().Status, "votes of the round before count no more")
		o.approve(request, "bob")
		o.Must(export())
		require.Equal(t, "executed", o.state(request))
		require.Equal(t, round, executions(o, request))
		o.approve(request, "bob") // which comes again
		require.Equal(t, "executed", o.state(request))
		require.Equal(t, 428, export().Status)
	}
}

// TestForceDoesNotGoRoundThePolicyOfTheKey: a restored key takes the place of one, which is deleted for it.
func TestForceDoesNotGoRoundThePolicyOfTheKey(t *testing.T) {
	makeBackup(t)
	o := open(t)
	o.govern(map[string]any{"retire": oneOf})
	before := o.Storage.Key("orders").ID
	o.Refused(o.as("alice").Write("restore/orders", "backup", backup(), "force", true, "reason", why), `governed by policy "pci"`)
	require.Equal(t, before, o.Storage.Key("orders").ID)
}

// TestAConsentToReplaceAKeyIsToReplaceThatOne.
func TestAConsentToReplaceAKeyIsToReplaceThatOne(t *testing.T) {
	makeBackup(t)
	o := open(t)
	o.govern(map[string]any{"import": oneOf})
	o.Must(o.as("root").Write("keys/other", "owner", "first"))
	restore := []any{"policy", "pci", "backup", backup(), "force", true, "reason", why}
	request := o.asked("alice", "restore/other", restore...)
	o.approve(request, "bob")
	o.Must(o.as("root").Write("keys/other/config", "deletion_allowed", true))
	require.Equal(t, "void", o.state(request))
	o.Must(o.as("root").Delete("keys/other"))
	o.Must(o.as("root").Write("keys/other", "owner", "second"))
	require.Equal(t, "void", o.state(request))
	o.refusedAnew(request, "alice", "restore/other", restore...)
}

// TestARestoreThatWasCutShortGoesOnWithTheConsentToIt: the key that is there is deleted in one commit, the restored one made in another.
func TestARestoreThatWasCutShortGoesOnWithTheConsentToIt(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	makeBackup(t)
	between := 0
	for at := 1; ; at++ {
		for _, fate := range storagetest.Fates() {
			o := open(t)
			o.govern(map[string]any{"import": oneOf})
			o.Must(o.as("root").Write("keys/other", "owner", "first"))
			replaced := o.Storage.Key("other").ID
			restore := func() mounttest.Answer {
				return o.as("alice").Write("restore/other", "policy", "pci", "backup", backup(), "force", true, "reason", why)
			}
			request := idIn.FindString(restore().Err)
			o.approve(request, "bob")
			o.Storage.FailWriteAs(at, fate)
			first := restore()
			fired := o.Storage.Fired()
			o.Storage.Heal()
			o.Restart()
			if o.Read("keys/other").Status == 404 {
				between++
			}
			if first.Status >= 300 {
				o.Must(restore())
			}
			require.NotEqual(t, replaced, o.Storage.Key("other").ID)
			require.Equal(t, "executed", o.state(request), "write %d %s", at, fate)
			o.Must(o.as("root").Write("custody/checkpoint")) // which ends what is open
			require.Equal(t, 1, executions(o, request))
			o.Refused(restore(), `governed by policy "pci"`)
			mounttest.RequireCustodyWhole(t, o.as("auditor").Mount)
			if !fired {
				require.Positive(t, between, "no write was cut short between the two commits")
				return
			}
		}
	}
}

func TestOneRefusalEndsARequestForAWhile(t *testing.T) {
	for _, end := range []struct{ verb, who, state string }{{"deny", "carol", "denied"}, {"withdraw", "alice", "withdrawn"}} {
		t.Run(end.verb, func(t *testing.T) {
			o := retiring(t, oneOf, "approval_ttl", "1h")
			request := o.asked("alice", retire1, "reason", why)
			o.approve(request, "bob")
			o.Must(o.as(end.who).Write("approvals/"+request+"/"+end.verb, "reason", "not on a Friday"))
			o.Must(o.as(end.who).Write("approvals/"+request+"/"+end.verb, "reason", "not on a Friday")) // again
			require.Equal(t, end.state, o.state(request))
			o.Refused(o.as("alice").Write(retire1, "reason", why), request, end.state, "not on a Friday", "again after")
			o.Refused(o.as("dave").Write("approvals/"+request+"/approve"), end.state)
			o.Clock.Add(time.Hour - time.Second)
			o.Refused(o.as("alice").Write(retire1, "reason", why), "again after")
			o.Clock.Add(time.Second)
			require.Equal(t, request, o.asked("alice", retire1, "reason", why))
			require.Equal(t, "pending", o.state(request))
			require.Equal(t, 2, o.Read("approvals/" + request).Data["round"])
			o.approve(request, "bob")
			o.Must(o.as("alice").Write(retire1, "reason", why))
		})
	}
}

func TestARequestIsOpenForItsTimes(t *testing.T) {
	o := retiring(t, oneOf, "approval_ttl", "1h", "execution_ttl", "30m")
	request := o.asked("alice", retire1, "reason", why)
	o.Clock.Add(time.Hour)
	require.Equal(t, "expired", o.state(request))
	o.Refused(o.as("bob").Write("approvals/"+request+"/approve"), "expired")
	require.Equal(t, request, o.asked("alice", retire1, "reason", why))
	o.Clock.Add(59 * time.Minute)
	o.approve(request, "bob")
	o.Clock.Add(30 * time.Minute)
	require.Equal(t, "expired", o.state(request))
	require.Equal(t, request, o.asked("alice", retire1, "reason", why), "a round of its own")
	require.Equal(t, "pending", o.state(request))
}

// TestAClockThatIsNotBelievedLetsNothingBeDone: what was consented to before somebody said that it is right counts no more.
func TestAClockThatIsNotBelievedLetsNothingBeDone(t *testing.T) {
	o := retiring(t, oneOf, "approval_ttl", "14d", "execution_ttl", "14d")
	require.NoError(t, o.Tick())
	request := o.asked("alice", retire1, "reason", why)
	o.approve(request, "bob")
	o.Clock.Add(48 * time.Hour)
	o.Refused(o.as("alice").Write(retire1, "reason", why), request, "clock cannot be trusted")
	later := o.asked("alice", "keys/orders/versions/2/retire", "reason", why)
	o.approve(later, "bob")
	o.Must(o.as("auditor").Write("config/clock", "acknowledge", true))
	require.Equal(t, "void", o.state(request))
	require.Equal(t, "void", o.state(later))
	require.Equal(t, request, o.asked("alice", retire1, "reason", why))
	require.Equal(t, 2, o.Read("approvals/" + request).Data["round"])
	require.Equal(t, "archived", o.StatesOf("orders")[0])
}

// TestAnOldCopyOfTheStorageRevivesNoConsent that was withdrawn since, whether somebody says that the clock is right or it is believed
// after a day.
func TestAnOldCopyOfTheStorageRevivesNoConsent(t *testing.T) {
	for name, believed := range map[string]func(o *office){
		"acknowledged": func(o *office) { o.Must(o.Write("config/clock", "acknowledge", true)) },
		"proved":       func(o *office) { o.Advance(24 * time.Hour) },
		"proved, and no tick since": func(o *office) {
			o.Advance(24*time.Hour - time.Minute)
			o.Clock.Add(time.Minute)
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := retiring(t, oneOf, "approval_ttl", "14d", "execution_ttl", "14d")
			require.NoError(t, o.Tick())
			request := o.asked("alice", retire1, "reason", why)
			o.approve(request, "bob")
			copied := o.Storage.All()
			o.Must(o.as("alice").Write("approvals/"+request+"/withdraw", "reason", "it was a mistake"))

			m := mounttest.New(t)
			m.System = o.System
			m.Load(copied)
			m.Clock.Add(o.Clock.Now().Sub(mounttest.Start) + 5*24*time.Hour)
			o = &office{m, t}
			require.NoError(t, o.Tick())
			o.Refused(o.as("alice").Write(retire1, "reason", why), "clock cannot be trusted")
			believed(o.as("auditor"))
			require.Equal(t, "void", o.state(request))
			require.Equal(t, request, o.asked("alice", retire1, "reason", why))
			require.Equal(t, "pending", o.state(request))
			require.NoError(t, o.Tick())
			require.Equal(t, "pending", o.state(request), "what was asked for since stands")
			require.Equal(t, "archived", o.StatesOf("orders")[0])
		})
	}
}

func TestTwoGatesAreNotPassedAtOnce(t *testing.T) {
	o := open(t)
	o.govern(map[string]any{"configure": oneOf, "recover": oneOf, "rebind": oneOf})
	o.Must(o.as("founder").Write("keys/orders/rotate", "reason", why))
	o.Must(o.as("founder").Write("keys/orders/config", "min_decryption_version", 2, "reason", why))
	o.Refused(o.as("alice").Write("keys/orders/config", "min_decryption_version", 1, "deletion_allowed", true, "reason", why), "one at a time")
	o.Refused(o.as("alice").Write("keys/orders/config", "policy", "", "deletion_allowed", true, "reason", why), "one at a time")
	require.Empty(t, o.List("approvals").Data["keys"])
}

// all rules that a policy can have.
func allRules(rule string) map[string]any {
	rules := map[string]any{}
	for _, gate := range acts.Gates(acts.Version, acts.Key, acts.Policy) {
		rules[string(gate)] = rule
	}
	return rules
}

// TestAPolicyThatSaysNothingLetsNothingThrough: whose consent an act needs is not known then, so that nothing but stopping goes on.
func TestAPolicyThatSaysNothingLetsNothingThrough(t *testing.T) {
	makeBackup(t)
	mounttest.NewForImports(t)
	for i, x := range kinds() {
		if x.mount || x.gate == "policy" || x.gate == "rebind" { // to write it anew, or to leave it, is the way out
			continue
		}
		for how, spoil := range map[string]func(o *office){
			"unreadable": func(o *office) { o.Corrupt("policies/pci") },
			"missing": func(o *office) {
				require.NoError(o.t, o.Storage.Delete(o.t.Context(), "policies/pci"))
				o.Restart()
			},
		} {
			if racetest.Spared(t, i) {
				continue
			}
			t.Run(x.name+"/"+how, func(t *testing.T) {
				t.Parallel()
				o := x.stand(t)
				spoil(o)
				got := x.do(o)
				require.GreaterOrEqual(t, got.Status, 400, "it went through")
				require.NotEqual(t, 428, got.Status)
				x.requireDone(o, false)
				require.Empty(t, o.as("auditor").List("approvals").Data["keys"])
			})
		}
	}
}

func TestWhatStopsAKeyIsNeverHeldBack(t *testing.T) {
	for _, who := range []string{"alice", "root"} {
		o := open(t)
		o.govern(allRules("2 of " + approvers))
		for _, act := range []string{"hold", "versions/1/suspend", "versions/1/compromise", "suspend"} {
			o.Must(o.as(who).Write("keys/orders/"+act, "reason", why))
		}
		require.Equal(t, "compromised", o.StatesOf("orders")[0])
		require.Empty(t, o.List("approvals").Data["keys"])
		require.Equal(t, 428, o.as("alice").Write("keys/orders/resume", "reason", why).Status)
	}
}

// TestTheClockNeedsNobodysConsent: it does what the policy says, and the policy is people's consent to that.
func TestTheClockNeedsNobodysConsent(t *testing.T) {
	o := open(t)
	o.govern(allRules("2 of "+approvers), "rotation_period", "2h", "rotation_jitter", "0s", "staging_time", "30m",
		"recipient_period", "0", "archive_after", "4h", "retire_after", "2h", "min_versions_kept", 0, "quiet_period", "0", "destroy_delay", "24h")
	o.as("auditor")
	o.Advance(12 * time.Hour)
	require.Greater(t, o.Latest("orders"), 4)
	require.Equal(t, "retired", o.StatesOf("orders")[0])
	require.Empty(t, o.List("approvals").Data["keys"])
}

func TestOpenRequestsAreBounded(t *testing.T) {
	racetest.Skip(t, "one goroutine ticks beside hundreds of requests")
	o := open(t)
	o.govern(map[string]any{"rotate": oneOf}, "approval_ttl", "14d")
	ask := func(who string, i int) mounttest.Answer {
		return o.as(who).Write("keys/orders/rotate", "reason", fmt.Sprint("request number ", i))
	}
	for i := range 16 {
		require.Equal(t, 428, ask("alice", i).Status)
	}
	o.Refused(ask("alice", 16), "16 of them yours")
	require.Equal(t, 428, ask("alice", 3).Status, "one that is there is not a new one")
	for i := 16; i < 256; i++ {
		require.Equal(t, 428, ask(fmt.Sprint("flood", i/16), i).Status)
	}
	o.Refused(ask("dave", 256), "256 requests for approval are open, 0 of them yours")
	o.Must(o.as("alice").Write("approvals/"+idIn.FindString(ask("alice", 3).Err)+"/withdraw", "reason", why))
	require.Equal(t, 428, ask("dave", 256).Status)

	o.as("auditor")
	for range 104 { // days
		o.Clock.Add(12 * time.Hour)
		require.NoError(t, o.Tick())
		o.Clock.Add(12 * time.Hour)
		require.NoError(t, o.Tick())
	}
	require.Len(t, o.List("approvals").Data["keys"], 257)
	require.Equal(t, 428, ask("alice", 999).Status)
	require.Len(t, o.as("auditor").List("approvals").Data["keys"], 1, "those that ended long ago have gone")
	o.requireWhole()
}
