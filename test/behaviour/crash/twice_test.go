// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package crash_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// sending is a request about key k that comes twice, as when the plugin dies under it: Vault sends it again, with its id.
type sending struct {
	name  string
	start func(t *testing.T) *mounttest.Mount
	run   func(m *mounttest.Mount) mounttest.Answer
}

// conditional are acts that name the revision they are for, which the first try has changed when the second comes.
func conditional() []act {
	deletable := func(m *mounttest.Mount) {
		m.Must(m.Write("keys/k", "owner", "o"))
		m.Must(m.Write("keys/k/config", "deletion_allowed", true))
	}
	return []act{
		{name: "rotate with cas", prepare: prepareKey, run: by("rotate", "cas", 2)},
		{name: "suspend with cas", prepare: prepareKey, run: by("versions/1/suspend", "cas", 2)},
		{name: "configure with cas", prepare: prepareKey, run: func(m *mounttest.Mount) mounttest.Answer { return m.Write("keys/k/config", "owner", "me", "cas", 2) }},
		{name: "delete with cas", prepare: deletable, run: func(m *mounttest.Mount) mounttest.Answer { return m.Delete("keys/k", "cas", 2) }},
	}
}

// sendings is every act on a key that somebody asks for.
func sendings() []sending {
	var all []sending
	for _, a := range slices.Concat(acts, conditional()) {
		if a.unrecorded || a.twofold {
			continue
		}
		all = append(all, sending{a.name, func(t *testing.T) *mounttest.Mount {
			t.Helper()
			m := mounttest.New(t)
			if a.prepare != nil {
				a.prepare(m)
			}
			return m
		}, a.run})
	}
	for _, x := range transitions {
		if !x.clock {
			all = append(all, sending{x.name, func(t *testing.T) *mounttest.Mount { t.Helper(); m, _ := x.start(t); return m }, x.run})
		}
	}
	return all
}

const twice = "an id that comes twice"

func TestARequestThatComesTwiceIsDoneOnceAndAnsweredTwice(t *testing.T) {
	makeBackup(t)
	for i, x := range sendings() {
		if racetest.Spared(t, i) {
			continue
		}
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/restart=%v", x.name, restart), func(t *testing.T) {
				t.Parallel()
				m := x.start(t)
				m.Must(m.As(twice, x.run))
				was := m.Read("keys/k")
				if restart {
					m.Restart()
				}
				m.Must(m.As(twice, x.run))
				require.Equal(t, was, m.Read("keys/k"), "the second changed something")
				m.Advance(2 * time.Minute)
				requireDoneOnce(t, m)
			})
		}
	}
}

// TestAKeyThatIsReplacedIsReplacedOnce: the deletion and the new key are two acts of one request.
func TestAKeyThatIsReplacedIsReplacedOnce(t *testing.T) {
	makeBackup(t)
	m := mounttest.New(t)
	prepareBackup(m)
	replace := func(m *mounttest.Mount) mounttest.Answer {
		return m.Write("restore/k", "backup", backup(), "force", true)
	}
	m.Must(m.As(twice, replace))
	id := idOf(m)
	m.Must(m.As(twice, replace))
	require.Equal(t, id, idOf(m), "the second replaced the key again")
	require.Equal(t, []custody.Outcome{custody.Done, custody.Done}, outcomes(m, twice))
}

func TestARequestThatComesAgainAfterAFailedWriteIsDoneOnce(t *testing.T) {
	makeBackup(t)
	for i, x := range sendings() {
		for f, fate := range storagetest.Fates() {
			if racetest.Spared(t, i+f) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", x.name, fate), func(t *testing.T) {
				t.Parallel()
				for at := 1; x.crash(t, at, fate); at++ {
				}
			})
		}
	}
}

// crash makes the at-th write of the first try fail and returns whether there was one.
func (x sending) crash(t *testing.T, at int, fate storagetest.Fate) bool {
	t.Helper()
	m := x.start(t)
	m.Storage.FailWriteAs(at, fate)
	_ = m.As(twice, x.run)
	fired := m.Storage.Fired()
	m.Storage.Heal()
	if at%2 == 0 {
		m.Restart()
	}
	got := m.As(twice, x.run)
	require.Less(t, got.Status, 300, "write %d of the first try was %s, and the second answers %s", at, fate, got.Err)
	m.Advance(2 * time.Minute)
	requireDoneOnce(t, m)
	return fired
}

// requireDoneOnce demands that custody holds one act of the request that was done, whatever became of other tries.
func requireDoneOnce(t *testing.T, m *mounttest.Mount) {
	t.Helper()
	m.Must(m.Write("custody/checkpoint")) // which ends what is open
	outcomes := outcomes(m, twice)
	failed := func(o custody.Outcome) bool { return o == custody.Failed }
	require.Equal(t, []custody.Outcome{custody.Done}, slices.DeleteFunc(slices.Clone(outcomes), failed), "outcomes %q", outcomes)
	mounttest.RequireNothingOpen(t, m)
}

// outcomes returns how the acts of a request on key k ended, in order; "" is one that is open.
func outcomes(m *mounttest.Mount, request string) []custody.Outcome {
	m.T.Helper()
	var all []custody.Outcome
	journal := m.Storage.Journal()
	for _, begin := range journal {
		if begin.Kind == custody.Begin && begin.RequestID == request {
			all = append(all, mounttest.OutcomeOf(journal, begin.Seq))
		}
	}
	return all
}
