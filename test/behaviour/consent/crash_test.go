// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// eachWrite makes the n-th write of something fail, for each n and each way to fail. Some of them only under the race detector.
func eachWrite(t *testing.T, i int, name string, crash func(t *testing.T, at int, fate storagetest.Fate) (fired bool)) {
	t.Helper()
	stride := racetest.Stride(t)
	for f, fate := range storagetest.Fates() {
		if racetest.Spared(t, i+f) {
			continue
		}
		t.Run(fmt.Sprintf("%s/%s", name, fate), func(t *testing.T) {
			t.Parallel()
			for at := 1; crash(t, at, fate); at += stride {
			}
		})
	}
}

// failing runs do with its at-th write failing, and lets the mount recover as a plugin does, every other time by a restart.
func (o *office) failing(at int, fate storagetest.Fate, do func() mounttest.Answer) (got mounttest.Answer, fired bool) {
	o.t.Helper()
	o.Storage.FailWriteAs(at, fate)
	got = do()
	fired = o.Storage.Fired()
	o.Storage.Heal()
	if !fired {
		require.Greater(o.t, at, 3, "something is written: the record, between two of custody")
	}
	o.as("auditor")
	if at%2 == 0 {
		o.Restart()
	}
	if fired && fate == storagetest.Late && at%3 == 0 {
		_ = o.Write("custody/checkpoint") // settles how the act went before the late write is there
	}
	return got, fired
}

// requireWhole holds after a recovery: chains verify, and nothing is open in them.
func (o *office) requireWhole() {
	o.t.Helper()
	o.as("auditor")
	o.Advance(2 * time.Minute)
	o.Must(o.Write("custody/checkpoint"))
	mounttest.RequireCustodyWhole(o.t, o.Mount)
}

// TestAConsentIsUsedOnceWhicheverWriteOfTheActFails: the request reads executed if, and only if, the act took effect. Where it did not,
// it is approved as before, and the same command does it.
func TestAConsentIsUsedOnceWhicheverWriteOfTheActFails(t *testing.T) {
	makeBackup(t)
	mounttest.NewForImports(t)
	for i, x := range kinds() {
		eachWrite(t, i, x.name, x.crash)
	}
}

func (x kind) crash(t *testing.T, at int, fate storagetest.Fate) bool {
	t.Helper()
	o := x.stand(t)
	request := x.consented(o)
	got, fired := o.failing(at, fate, func() mounttest.Answer { return x.do(o) })
	if !fired {
		require.Less(t, got.Status, 300, got.Err)
	}
	early := o.state(request) // before anybody has settled what was cut short
	o.requireWhole()
	state, took := o.state(request), executions(o, request)
	require.LessOrEqual(t, took, 1)
	require.Equal(t, took == 1, state == "executed", "write %d: %s", at, state)
	x.requireDone(o, took == 1)
	if fate != storagetest.Late { // which of a late one is true nobody can know before it lands
		require.Equal(t, state, early)
	}
	if got.Status < 300 {
		require.Equal(t, 1, took, "who was told that it is done may believe it")
	}
	if took != 1 {
		x.carryOut(o, request, state)
	}
	_ = x.do(o)
	require.LessOrEqual(t, executions(o, request), 1, "the consent was used twice")
	o.requireWhole()
	return fired
}

// carryOut sends the command again, of which the first try came to nothing.
func (x kind) carryOut(o *office, request string, state any) {
	o.t.Helper()
	require.Equal(o.t, "approved", state)
	o.Must(x.do(o))
	require.Equal(o.t, "executed", o.state(request))
	require.Equal(o.t, 1, executions(o, request))
	x.requireDone(o, true)
}

// TestARequestThatComesTwiceUsesOneConsent: Vault sends a request again, with its id, when the plugin dies under it.
func TestARequestThatComesTwiceUsesOneConsent(t *testing.T) {
	makeBackup(t)
	mounttest.NewForImports(t)
	for i, x := range kinds() {
		if x.mount || x.twofold { // no request is known to have come before for acts on the mount
			continue
		}
		eachWrite(t, i, x.name, func(t *testing.T, at int, fate storagetest.Fate) bool {
			t.Helper()
			o := x.stand(t)
			request := x.consented(o)
			twice := func() mounttest.Answer {
				return o.As("twice", func(*mounttest.Mount) mounttest.Answer { return x.do(o) })
			}
			_, fired := o.failing(at, fate, twice)
			got := twice()
			require.Less(t, got.Status, 300, "write %d of the first try was %s, and the second answers %s", at, fate, got.Err)
			o.requireWhole()
			x.requireDone(o, true)
			require.Equal(t, 1, executions(o, request))
			require.Equal(t, "executed", o.state(request))
			return fired
		})
	}
}

// theID is of the request that all steps are about; it is that of the content, so asking tells it.
func theID(o *office, x kind) string {
	o.t.Helper()
	id := idIn.FindString(x.do(o).Err)
	require.NotEmpty(o.t, id)
	return id
}

// TestAStepOfARequestSurvivesTheFailureOfEachOfItsWrites: a client sends it again, and it counts once.
func TestAStepOfARequestSurvivesTheFailureOfEachOfItsWrites(t *testing.T) {
	mounttest.NewForImports(t)
	chosen := map[string]bool{"retire": true, "rotate": true, "loosen the policy": true, "config/engine": true, "import a key": true, "enrol": true}
	i := 0
	for _, x := range kinds() {
		if !chosen[x.name] {
			continue
		}
		for _, s := range []struct {
			verb, who, state string
			status, given    int
		}{
			{"", "", "pending", 428, 0},
			{"approve", "bob", "approved", 200, 1},
			{"deny", "bob", "denied", 200, 0},
			{"withdraw", x.asker(), "withdrawn", 200, 0},
		} {
			i++
			eachWrite(t, i, fmt.Sprintf("%s/%s", x.name, s.verb), func(t *testing.T, at int, fate storagetest.Fate) bool {
				t.Helper()
				o := x.stand(t)
				do := func() mounttest.Answer { return x.do(o) }
				if s.verb != "" {
					request := theID(o, x)
					do = func() mounttest.Answer {
						kv := []any{"reason", why}
						if s.verb == "approve" {
							kv = nil
						}
						return o.as(s.who).Write("approvals/"+request+"/"+s.verb, kv...)
					}
				}
				got, fired := o.failing(at, fate, do)
				require.Contains(t, []int{s.status, 500}, got.Status, got.Err)
				if !fired {
					require.Equal(t, s.status, got.Status, got.Err)
				}
				if at%3 == 0 {
					o.requireWhole()
				}
				again := do()
				require.Equal(t, s.status, again.Status, again.Err)
				request := o.as("auditor").List("approvals").Data["keys"].([]string)
				require.Len(t, request, 1)
				view := o.Must(o.Read("approvals/" + request[0])).Data
				require.Equal(t, s.state, view["state"])
				require.Equal(t, s.given, view["given"])
				require.Equal(t, 1, view["round"])
				require.LessOrEqual(t, len(view["votes"].([]any)), 1)
				o.requireWhole()
				x.requireDone(o, false)
				return fired
			})
		}
	}
}
