// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package keylife is a Vault secrets engine for encryption keys with a lifecycle. It is the edge to Vault: paths,
// fields, statuses. [Factory], [FactoryOf] and [New] are all that it exports; what happens behind a request is in internal/engine.
package keylife

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/clock"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keks"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/ledger"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
	"github.com/keylife/vault-plugin-keylife/internal/store"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// backend is one mount. It holds its collaborators and no state of its own.
type backend struct {
	*framework.Backend
	store     *store.Store
	keyring   *keyring.Keyring
	keks      *keks.Manager
	plane     *dataplane.Plane
	engine    *engine.Engine
	scheduler *scheduler.Scheduler
	ledger    ledger.Config
	uses      *uses.Ledger
	observe   *observe.Observer
	node      string // the host of the process
	version   string // of the plugin
	system    *vaultapi.CachedSystemView
	mount     vaultapi.Mount[*request]
	ready     sync.Once
	unsized   atomic.Bool // another node may have set the size of the cache
	unasked   atomic.Bool // another node may have written config/engine
	public    atomic.Bool // health/live is answered, as config/engine has it
}

// Options are what [New] lets its caller replace. The zero value is what runs in production.
type Options struct {
	Now     func() time.Time // the time that keys live by; nil: the wall clock
	Rand    io.Reader        // what keys, nonces and names are drawn from; nil: crypto/rand
	KeyTime time.Duration    // what a tick spends on one key at most; 0: ten seconds
	Version string           // of the plugin; empty: unknown
	Tokens  *tokens.Host     // how the process reaches HSMs, one for all mounts; nil: it reaches none

	// TestOnlyWrapper stands before the wrapper of the material in use, each time that the mount reads its keyring. A
	// test makes an HSM with it, or a token that fails: requests and storage can make neither.
	TestOnlyWrapper func(envelope.KeyWrapper) envelope.KeyWrapper
}

// Factory returns the backend of a mount in production: [New] with the wall clock and crypto/rand, and without an HSM.
func Factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	return New(ctx, conf, Options{})
}

// FactoryOf returns the factory of a process of that version, whose environment says how it reaches HSMs. What is wrong with the environment is
// left out, and said by the error. exit ends the process, which has calls of an HSM's library that do not return.
func FactoryOf(version string, getenv func(string) string, exit func(why error)) (logical.Factory, error) {
	host, err := tokens.FromEnvironment(getenv)
	host.Exit = exit
	return func(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
		return New(ctx, conf, Options{Version: version, Tokens: host})
	}, err
}

// New returns the backend of a mount. It only wires: storage is not there yet, and a bad stored value has to fail a
// request, not the mount.
func New(ctx context.Context, conf *logical.BackendConfig, o Options) (logical.Backend, error) {
	if o.Now == nil {
		o.Now = clock.Wall
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	var b *backend
	observer := observe.New()
	declareRefusals(observer)
	observer.Board.Health.Set(observe.Health{Started: o.Now()})
	plane := dataplane.New(dataplane.Config{
		Now: o.Now, Rand: o.Rand, Log: conf.Logger, Observe: observer,
		ReadOnly: func() bool { return !b.WriteSafeReplicationState() },
	})
	ring := keyring.New(keyring.Config{Now: o.Now, Rand: o.Rand, Tokens: o.Tokens, Observe: observer, Wrap: o.TestOnlyWrapper})
	b = &backend{
		store:     store.New(o.Now, conf.Logger).ObservedBy(observer),
		keyring:   ring,
		keks:      keks.New(keks.Config{Now: o.Now, Rand: o.Rand, Log: conf.Logger, Host: o.Tokens, Ring: ring}),
		plane:     plane,
		engine:    engine.New(engine.Config{Now: o.Now, Rand: o.Rand, Log: conf.Logger, Plane: plane, Observe: observer}),
		scheduler: scheduler.New(scheduler.Config{Now: o.Now, Log: conf.Logger, Plane: plane, Observe: observer, KeyTime: o.KeyTime}),
		ledger:    ledger.Config{Now: o.Now, Rand: o.Rand, Log: conf.Logger, Observe: observer},
		uses:      uses.New(uses.Config{Now: o.Now, Log: conf.Logger}),
		observe:   observer,
		node:      hostname(),
		version:   cmp.Or(o.Version, "unknown"),
		system:    &vaultapi.CachedSystemView{SystemView: conf.System},
	}
	b.store.Watch(b.scheduler)
	b.mount = vaultapi.Mount[*request]{
		Prefix:   "keylife",
		Bind:     b.bind,
		Names:    vaultapi.NameRule{Fields: []string{fName.Name, fPolicy.Name, fDefaultPolicy.Name, fSource.Name, fDestination.Name}, Longest: maxName},
		Statuses: statuses,
		Guard:    b.engine.Guard,
		Failed:   b.failed,
	}
	b.Backend = &framework.Backend{
		Help:         strings.TrimSpace(help),
		BackendType:  logical.TypeLogical,
		PathsSpecial: &logical.Paths{SealWrapStorage: store.SealWrapped(), Unauthenticated: []string{publicJWKS + "*", livePath}},
		Paths:        b.paths(o),
		PeriodicFunc: b.tick,
		InitializeFunc: func(ctx context.Context, req *logical.InitializationRequest) error {
			b.boundCache(ctx, req.Storage)
			b.govern(ctx, req.Storage)
			return nil
		},
		Invalidate: b.invalidate,
		Clean:      b.clean,
	}
	steady := *conf
	steady.System = b.system
	return b, b.Setup(ctx, &steady)
}

// hostname is the node's name in metrics.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func (b *backend) paths(o Options) []*framework.Path {
	return b.mount.Paths(slices.Concat(sharedPaths(), configAPI{now: o.Now}.paths())...)
}

// sharedPaths are the paths that are the same in every mount of the process: what a handler needs of its mount comes with
// the request.
var sharedPaths = sync.OnceValue(func() []path {
	return slices.Concat(
		keysAPI{}.paths(),
		versionsAPI{}.paths(),
		statesAPI{}.paths(),
		drillAPI{}.paths(),
		rotationAPI{}.paths(),
		rotationStatusAPI{}.paths(),
		policiesAPI{}.paths(),
		cipherAPI{}.paths(),
		macAPI{}.paths(),
		utilityAPI{}.paths(),
		signAPI{}.paths(),
		importAPI{}.paths(),
		certificateAPI{}.paths(),
		cacheAPI{}.paths(),
		custodyAPI{}.paths(),
		attestationAPI{}.paths(),
		jwksAPI{}.paths(),
		exportAPI{}.paths(),
		backupAPI{}.paths(),
		hsmAPI{}.paths(),
		approvalsAPI{}.paths(),
		approversAPI{}.paths(),
		reportAPI{}.paths(),
		accessAPI{}.paths(),
		reviewsAPI{}.paths(),
		metricsAPI{}.paths(),
		inventoryAPI{}.paths(),
		calendarAPI{}.paths(),
		healthAPI{}.paths(),
	)
})

// HandleRequest is [logical.Backend]'s.
func (b *backend) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	return b.mount.HandleRequest(ctx, b.Backend, req)
}

// HandleExistenceCheck is [logical.Backend]'s.
func (b *backend) HandleExistenceCheck(ctx context.Context, req *logical.Request) (found, exists bool, err error) {
	return b.mount.HandleExistenceCheck(ctx, b.Backend, req)
}

// Direct is [front.Direct]'s.
func (b *backend) Direct(ctx context.Context, req *logical.Request, body string) (resp *logical.Response, ok bool, err error) {
	return b.mount.Direct(ctx, req, body)
}

// DirectExists is [front.Direct]'s.
func (b *backend) DirectExists(ctx context.Context, req *logical.Request) (found, exists, ok bool) {
	return b.mount.DirectExists(ctx, req)
}

// tick runs once a minute on every node; one that must not write only drops what is in memory past its time.
func (b *backend) tick(ctx context.Context, req *logical.Request) error {
	b.system.Refresh()
	s := b.session(req)
	if err := s.Data().DropExpired(ctx); err != nil {
		b.Logger().Warn("material in memory past its time is dropped by a later tick", "error", err)
	}
	if !b.WriteSafeReplicationState() {
		s.observeHealth(ctx, nil)
		return nil
	}
	err := s.KEKs().Tick(ctx)
	report, tickErr := s.Scheduler().Tick(ctx)
	s.observeHealth(ctx, report.Storage)
	return errors.Join(err, tickErr, s.Uses().Tick(ctx), b.observeGovernance(ctx, s))
}

// observeGovernance puts on the board what waits for people.
func (b *backend) observeGovernance(ctx context.Context, s *session) error {
	return b.engine.Guard("governance", func() error {
		found, err := s.Approvals().Board(ctx)
		b.observe.Board.Governance.Set(found)
		return err
	})
}

// invalidate forgets what another node has changed. It has nobody to tell of a panic, which the server log has then.
func (b *backend) invalidate(_ context.Context, path string) {
	_ = b.engine.Guard("invalidate "+path, func() error {
		if name, ok := store.KeyOf(path); ok {
			b.plane.ForgetKey(name)
			b.store.Forget(name)
			b.scheduler.ForgetCensus()
		}
		if name, ok := store.PolicyOf(path); ok {
			b.engine.PolicyChanged(name)
			b.store.Forget(custody.PolicyChain(name))
		}
		if store.IsMountRecord(path) {
			b.store.Forget(custody.MountChain)
		}
		if store.IsCacheSize(path) {
			b.unsized.Store(true)
		}
		if store.IsGovernance(path) {
			b.unasked.Store(true)
		}
		if store.IsHSM(path) {
			b.keks.Forget()
			b.keyring.Forget()
		}
		if store.IsKeyring(path) {
			b.store.ForgetInstance()
			b.keyring.Forget()
		}
		return nil
	})
}

// clean closes what the mount holds outside of it, when Vault unmounts it or ends the process.
func (b *backend) clean(context.Context) {
	if err := b.keyring.Close(); err != nil {
		b.Logger().Error("the keyring could not be closed", "error", err)
	}
}

// bind binds a request to the mount. The first one also learns whether the mount may cache: neither Factory nor a plugin
// process that Vault started anew is told.
func (b *backend) bind(r *vaultapi.Request) *request {
	b.ready.Do(func() {
		if b.System().CachingDisabled() {
			b.plane.DisableCache()
			b.store.DisableCache()
			b.keyring.DisableCache()
		}
	})
	if b.unsized.CompareAndSwap(true, false) {
		b.boundCache(context.Background(), r.Logical.Storage)
	}
	if b.unasked.CompareAndSwap(true, false) {
		b.govern(context.Background(), r.Logical.Storage)
	}
	c := &request{Request: r}
	c.open(b, r.Logical)
	return c
}

// boundCache bounds the cache as cache-config says. The cache has another size where that cannot be read, and all works.
func (b *backend) boundCache(ctx context.Context, storage logical.Storage) {
	size, err := b.store.On(storage, system).Settings().CacheSize(ctx)
	if err != nil {
		b.unsized.Store(true)
		b.Logger().Warn("the size of the cache cannot be read; the next request tries again", "error", err)
		return
	}
	b.plane.BoundCache(size)
}

// govern brings into force what config/engine says of what is remembered here. Where that cannot be read it has its defaults.
func (b *backend) govern(ctx context.Context, storage logical.Storage) {
	g, err := b.store.On(storage, system).Settings().Governance(ctx)
	if err != nil {
		b.unasked.Store(true)
		b.Logger().Warn("the settings of the mount cannot be read; the next request tries again", "error", err)
		g = policy.Governance{}
	}
	b.governedBy(g)
}

func (b *backend) governedBy(g policy.Governance) {
	b.uses.Switch(g.LedgerOff)
	b.scheduler.SetScrub(g.ScrubMost())
	b.public.Store(g.HealthPublic)
}

// session is a request that no handler answers.
func (b *backend) session(req *logical.Request) *session {
	return &b.bind(&vaultapi.Request{Logical: req}).session
}

const help = `
Keys with a lifecycle. Clients of Vault's Transit engine work unchanged. A policy can govern a key: which types it may
have, how strong it must be, what it needs a reason for, and when it rotates, by itself.

Use a key by its name:
  encrypt, decrypt, rewrap        one text, or many in batch_input
  datakey, datakeys               data keys, wrapped by the key
  sign, verify                    signatures
  hmac, cmac                      message authentication codes, which verify checks too
  jwks                            the public keys that config/keys publishes, without a token

Without a key: hash and random.

Look after keys:
  keys                            make, read, configure and delete keys; below a key: rotate, rotation, plan, versions,
                                  history, jwks, trim, hold, suspend and the other acts that move it between states
  keys/:name/import, wrapping_key let a key in that was made elsewhere
  keys/:name/csr, set-certificate ask for a certificate, and keep it
  export, byok-export             let key material out
  backup, restore                 the same for a whole key

Govern them:
  policies                        write, plan and read policies; who does not meet them
  inventory                       how all keys stand: versions, next event, policy, drift, last use
  calendar                        what will happen on which day, and what people have to do until then
  rotation/status                 what waits for whom
  access-review                   who uses which keys
  custody                         the records of what was done to keys: export, checkpoint, verify
  compliance/report               what all of this shows for the controls of a standard, signed
  config, cache-config, hsm       settings of the mount, and its HSM
  health                          how the mount is; below a key, check: how its stored material is
  approvers                       who may consent to what others ask for
  metrics                         what is counted, and what the last tick found, for Prometheus
  approvals, reviews              requests for consent; what was done without, and what others say of it
`
