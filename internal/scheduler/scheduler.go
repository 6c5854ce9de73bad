// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package scheduler

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/keylife/vault-plugin-keylife/internal/census"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// What one tick may do. Vault calls the tick of every mount once a minute; what is left over is done by the next.
const (
	tickTime        = 20 * time.Second
	tickKeyTime     = 10 * time.Second // for one key; what it holds up waits for the next tick
	tickKeys        = 5000             // keys looked at because they are due
	tickReindexes   = 5000             // keys put on the due index again because their policy changed
	reindexTurn     = 100              // of them, keys of one policy before the next one has its turn
	tickScrub       = 32               // keys whose due index entry is checked
	tickSteps       = 16               // changes of state of one key
	tickRelocations = 64               // keys whose material is moved, some versions of each
	tickRewrapTime  = 10 * time.Second // for wrapping material anew, beside tickTime
	tickRewraps     = 2000             // versions wrapped anew
	tickRewrapReads = 10000            // keys and versions looked at for that
	rewrapBatch     = 100              // versions wrapped anew before the progress is stored
	tickScrubTime   = 10 * time.Second // for opening stored versions, beside tickTime
)

// followFor is how long after the last tick the next one asks for the minutes that have passed, rather than for the
// whole due index.
const followFor = time.Hour

// Config is what a [Scheduler] is made from.
type Config struct {
	Now   func() time.Time // a running clock: a tick also measures with it how long it takes
	Log   hclog.Logger
	Plane *dataplane.Plane

	Observe *observe.Observer // nil: one that nobody asks
	KeyTime time.Duration     // what a tick spends on one key at most; 0: ten seconds
}

// Scheduler runs the ticks of one mount. It is safe for concurrent use. What it remembers from one tick to the next is a
// shortcut: without it a tick reads the whole due index.
type Scheduler struct {
	Config

	running       sync.Mutex // held by a tick
	last          time.Time  // minute up to which the due index has been worked off; zero: unknown
	lastRelocated string     // key whose material was moved last
	scrub         scrub
	census        *census.Census
	integrity     integrity
	mountChain    string       // name of the chain of the mount
	scrubMost     atomic.Int64 // versions and chains that a tick looks at

	shown   progress
	rewraps rewrapStops
}

// New returns the scheduler of a mount.
func New(c Config) *Scheduler {
	c.KeyTime = cmp.Or(c.KeyTime, tickKeyTime)
	if c.Observe == nil {
		c.Observe = observe.New()
	}
	s := &Scheduler{Config: c, census: census.New()}
	s.SetScrub(policy.DefaultScrub)
	return s
}

// Session is the scheduler during one request.
type Session struct {
	*Scheduler
	store Storage
	acts  engine.Acts // on nobody's behalf: nobody asked for what the clock does
	data  *dataplane.Session
}

// Session binds the scheduler to the storage of one request, and to the acts and the data plane during it.
func (s *Scheduler) Session(store Storage, acts engine.Acts, data *dataplane.Session) *Session {
	return &Session{s, store, acts, data}
}
