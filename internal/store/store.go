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

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/vault/sdk/logical"
)

// Store serialises the writers of each key and of each policy. One Store serves one mount.
type Store struct {
	keys     locks // held for one act on a key; taken before policies
	policies locks // shared while a key is being bound, exclusive while the policy changes
	mount    locks
	pages    *lru.Cache[pageID, []time.Time] // immutable entries, so never stale
	chains   *lru.Cache[string, chain]
	doubts   *doubts
	decoded  *lru.Cache[policyID, decodedPolicy] // by the bytes, so never stale
	now      func() time.Time
	identity atomic.Pointer[string]
}

// pagesCached bounds the pages of creation times in memory: 4096 pages of 256 times, 24 MiB.
const pagesCached = 4096

// chainsCached bounds the ends of journals in memory.
const chainsCached = 32768

// New returns the store of a mount.
func New(now func() time.Time) *Store {
	pages, err := lru.New[pageID, []time.Time](pagesCached)
	if err != nil {
		panic("internal error: page cache: " + err.Error())
	}
	chains, err := lru.New[string, chain](chainsCached)
	if err != nil {
		panic("internal error: chain cache: " + err.Error())
	}
	decoded, err := lru.New[policyID, decodedPolicy](policiesDecoded)
	if err != nil {
		panic("internal error: policy cache: " + err.Error())
	}
	return &Store{pages: pages, chains: chains, doubts: newDoubts(), decoded: decoded, now: now}
}

// Forget drops what is remembered of a key's journal, because another node wrote it.
func (s *Store) Forget(name string) { s.chains.Remove(name) }

// ForgetInstance drops the identity of the mount's data, because another node wrote the keyring.
func (s *Store) ForgetInstance() { s.identity.Store(nil) }

// On binds the store to the storage of one request, and to who asks.
func (s *Store) On(storage logical.Storage, who Caller) Repo {
	return Repo{s: s, storage: storage, caller: who}
}

// Repo is the store with the storage of one request. Its methods are safe for concurrent use.
type Repo struct {
	s       *Store
	storage logical.Storage
	caller  Caller
}

// As returns the storage of the same request on behalf of somebody else.
func (r Repo) As(who Caller) Repo {
	r.caller = who
	return r
}

// SealWrapped lists the storage paths that hold secrets, in the form of logical.Paths.SealWrapStorage.
func SealWrapped() []string {
	return []string{versionsPrefix, archivePrefix, kekPath, archiveKEKPath, signingKeysPath}
}

// read decodes the record at path into v; found is false when there is none.
func read[T any](ctx context.Context, r Repo, path string, v *T) (rest unknown, found bool, err error) {
	entry, err := r.storage.Get(ctx, path)
	if err != nil {
		return nil, false, storageError("get", path, err)
	}
	if entry == nil {
		return nil, false, nil
	}
	rest, err = decode(path, entry.Value, v)
	return rest, err == nil, err
}

func (r Repo) put(ctx context.Context, path string, v any, rest unknown) error {
	data, err := encode(v, rest)
	if err != nil {
		return err
	}
	return r.putEntry(ctx, path, data)
}

// list returns the names below the prefix in alphabetical order, which not every storage keeps; those that are folders
// only end in a slash.
func (r Repo) list(ctx context.Context, prefix string) ([]string, error) {
	names, err := r.storage.List(ctx, prefix)
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
