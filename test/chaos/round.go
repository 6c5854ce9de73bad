// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/test/chaos/check"
	"github.com/keylife/vault-plugin-keylife/test/chaos/fault"
	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/chaos/schedule"
	"github.com/keylife/vault-plugin-keylife/test/chaos/work"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	impatient = 4 * time.Second       // a client waits no longer for an answer
	pace      = 60 * time.Millisecond // of each client
	keys      = 12                    // two of each kind
	calm      = time.Second           // clients go on for so long when the cluster is well again
	calmer    = 20 * time.Second      // clients end when a cluster takes so long to get well: a node that replays its log would never be done
	within    = 30 * time.Second      // for a request of ours to a cluster that is well
)

// Round is what became of one seed.
type Round struct {
	Seed    uint64          `json:"seed"`
	Build   string          `json:"build"` // CHAOS_BUILD
	Faults  []schedule.Kind `json:"faults"`
	Plan    string          `json:"plan"`
	Amiss   []string        `json:"amiss,omitempty"` // faults that could not be thrown or taken back, and why
	Done    int             `json:"done"`
	Refused int             `json:"refused"`
	Unknown int             `json:"unknown"`
	Took    time.Duration   `json:"took"`
	Healed  time.Duration   `json:"healed"` // of that, until the cluster was well

	Findings []check.Finding `json:"findings,omitempty"`
	Broken   string          `json:"broken,omitempty"` // why there is no verdict: the cluster did not get well

	History *history.History `json:"-"`
	Final   *history.Final   `json:"-"`
}

// Clean reports whether nothing was found.
func (r Round) Clean() bool { return len(r.Findings) == 0 && r.Broken == "" }

// String is the round on one line.
func (r Round) String() string {
	found := "nothing lost"
	switch {
	case r.Broken != "":
		found = "BROKEN: " + r.Broken
	case len(r.Findings) > 0:
		found = fmt.Sprintf("%d FINDINGS, the first: %s", len(r.Findings), r.Findings[0])
	}
	return fmt.Sprintf("seed %d: %v: %d acknowledged, %d refused, %d unknown, %ds (%ds to heal): %s",
		r.Seed, r.Faults, r.Done, r.Refused, r.Unknown, int(r.Took.Seconds()), int(r.Healed.Seconds()), found)
}

// Play plays the plan of a seed on a mount of its own, and judges it. A mount on which nothing was found is given up again.
func (f *Field) Play(seed uint64) Round {
	plan := schedule.Draw(seed)
	r := Round{Seed: seed, Build: os.Getenv("CHAOS_BUILD"), Faults: plan.Kinds(), Plan: plan.String()}
	began := time.Now()
	if err := f.play(plan, &r); err != nil {
		r.Broken = err.Error()
	}
	r.Took = time.Since(began)
	if r.History != nil {
		count := r.History.Count()
		r.Done, r.Refused, r.Unknown = count[history.Done], count[history.Refused], count[history.Unknown]
	}
	return r
}

func (f *Field) play(plan schedule.Plan, r *Round) error {
	mount := fmt.Sprintf("chaos-%d", plan.Seed)
	if err := f.open(mount, plan.Token()); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	load, err := work.Start(f.clients(), work.Options{Mount: mount, Seed: plan.Seed, Keys: keys, Pace: pace, Impatient: impatient, People: f.people})
	if err != nil {
		return fmt.Errorf("start the clients: %w", err)
	}
	r.History = load.History
	stage := fault.New(f.Cluster, f.Network, mount, watch(load))
	r.Amiss = stage.Throw(plan)
	healing := time.Now()
	tired := time.AfterFunc(calmer, func() { load.Stop() })
	err = stage.Heal()
	tired.Stop()
	r.Healed = time.Since(healing)
	if err == nil {
		<-time.After(calm)
	}
	load.Stop()
	if err != nil {
		return err
	}
	if err := stage.Tick(); err != nil {
		return fmt.Errorf("tick: %w", err)
	}
	leader, err := f.leader()
	if err != nil {
		return err
	}
	if r.Final, err = load.Look(leader, leader.Now(), true); err != nil {
		return fmt.Errorf("look: %w", err)
	}
	if r.Findings = check.Check(load.History, r.Final); len(r.Findings) > 0 {
		return nil
	}
	return leader.Client().Sys().Unmount(mount)
}

// open enables the engine, on the token where key encryption keys are replaced.
func (f *Field) open(mount string, token bool) error {
	leader, err := f.leader()
	if err != nil {
		return err
	}
	if err := leader.Client().Sys().Mount(mount, &api.MountInput{Type: harness.PluginName}); err != nil {
		return err
	}
	if f.people == nil {
		if f.people, err = work.Gather(leader); err != nil {
			return err
		}
	}
	if !token || f.token == nil {
		return nil
	}
	_, err = leader.Ask(within, "POST", mount+"/config/hsm", f.token)
	return err
}

func (f *Field) leader() (*harness.Server, error) {
	if leader := f.Cluster.Leading(within); leader != nil {
		return leader, nil
	}
	return nil, fmt.Errorf("no node leads")
}

func (f *Field) clients() []work.Node {
	all := make([]work.Node, len(f.Cluster.Nodes))
	for i, n := range f.Cluster.Nodes {
		all[i] = n
	}
	return all
}

// watcher tells faults what clients send, and the history what faults are thrown.
type watcher struct {
	history *history.History

	mu      sync.Mutex
	waiting map[string][]chan struct{} // by act
}

func watch(l *work.Load) *watcher {
	w := &watcher{history: l.History, waiting: map[string][]chan struct{}{}}
	l.Watch(func(o history.Operation) {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, waiting := range w.waiting[o.Act] {
			close(waiting)
		}
		delete(w.waiting, o.Act)
	})
	return w
}

// Sent is closed when the next act of a kind is sent.
func (w *watcher) Sent(act string) <-chan struct{} {
	sent := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting[act] = append(w.waiting[act], sent)
	return sent
}

// Happened is an event of the history.
func (w *watcher) Happened(kind, name string, shift time.Duration, from, to time.Time) {
	w.history.Happened(history.Event{Kind: kind, Name: name, Shift: shift, From: w.history.Since(from), To: w.history.Since(to)})
}
