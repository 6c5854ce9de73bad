// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/observe"
)

// Store serialises the writers of each key and of each policy. One Store serves one mount.
type Store struct {
	keys     locks // held for one act on a key; taken before policies
	policies locks // shared while a key is being bound, exclusive while the policy changes
	mount    locks
	pages    *lru.Cache[pageID, []time.Time] // immutable entries, so never stale
	chains   *lru.Cache[string, chain]
	uncached atomic.Bool // ends of journals are not remembered
	doubts   *doubts
	decoded  *lru.Cache[policyID, decodedPolicy] // by the bytes, so never stale
	placed   *lru.Cache[string, int]             // by key id, the revision at which no material was to be moved any more
	upToDate *lru.Cache[string, struct{}]        // ids of keys without denied uses that an earlier build stored
	now      func() time.Time
	log      hclog.Logger
	identity atomic.Pointer[string]
	observe  *observe.Observer
}

// pagesCached bounds the pages of creation times in memory: 4096 pages of 256 times, 24 MiB.
const pagesCached = 4096

// chainsCached bounds the ends of journals in memory.
const chainsCached = 32768

// factsCached bounds each kind of fact of keys in memory, about 4 MiB.
const factsCached = 32768

// New returns the store of a mount. What fails and is left to a later act or tick is logged.
func New(now func() time.Time, log hclog.Logger) *Store {
	return &Store{
		pages: newCache[pageID, []time.Time](pagesCached), chains: newCache[string, chain](chainsCached), doubts: newDoubts(),
		decoded: newCache[policyID, decodedPolicy](policiesDecoded), now: now, log: log,
		placed: newCache[string, int](factsCached), upToDate: newCache[string, struct{}](factsCached), observe: observe.New(),
	}
}

func newCache[K comparable, V any](size int) *lru.Cache[K, V] {
	made, err := lru.New[K, V](size)
	if err != nil {
		panic("internal error: cache: " + err.Error())
	}
	return made
}

// DisableCache makes every act read the end of its journal, for mounts with force_no_cache. What is remembered by what never
// changes stays.
func (s *Store) DisableCache() {
	s.uncached.Store(true)
	s.chains.Purge()
}

// remember keeps the end of a key's journal.
func (s *Store) remember(name string, at chain) {
	if !s.uncached.Load() {
		s.chains.Add(name, at)
	}
}

// Forget drops what is remembered of a journal, because another node wrote it.
func (s *Store) Forget(name string) { s.chains.Remove(name) }

// ForgetInstance drops the identity of the mount's data, because another node wrote the keyring.
func (s *Store) ForgetInstance() { s.identity.Store(nil) }

// SealWrapped lists the storage paths that hold secrets, in the form of logical.Paths.SealWrapStorage.
func SealWrapped() []string {
	return []string{versionsPrefix, archivePrefix, kekPath, archiveKEKPath, signingKeysPath, hsmPath}
}

// read decodes the record at path into v; found is false when there is none.
func read[T any](ctx context.Context, r *conn, path string, v *T) (rest unknown, found bool, err error) {
	entry, err := r.get(ctx, path)
	if err != nil {
		return nil, false, storageError("get", path, err)
	}
	if entry == nil {
		return nil, false, nil
	}
	rest, err = decode(path, entry.Value, v)
	return rest, err == nil, err
}

func (r *conn) put(ctx context.Context, path string, v any, rest unknown) error {
	data, err := encode(v, rest)
	if err != nil {
		return err
	}
	return r.putEntry(ctx, path, data)
}

// list returns the names below the prefix in alphabetical order, which not every storage keeps; those that are folders
// only end in a slash.
func (r *conn) list(ctx context.Context, prefix string) ([]string, error) {
	var names []string
	err := r.timed(ctx, &r.s.observe.Storage.List, func() (err error) {
		names, err = r.storage.List(ctx, prefix)
		return err
	})
	slices.Sort(names)
	return names, storageError("list", prefix, err)
}

// storageError says what was attempted. An external plugin gets storage errors as bare text, so the one that Vault
// has to recognise, in order to forward the request to a node that may write, is restored here.
func storageError(verb, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), logical.ErrReadOnly.Error()):
		return fmt.Errorf("%s %s: %w", verb, path, logical.ErrReadOnly)
	default:
		return fmt.Errorf("%s %s: %w", verb, path, err)
	}
}
