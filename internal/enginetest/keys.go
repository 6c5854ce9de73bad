// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"
	"maps"
	"reflect"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// keyStore is engine.KeyStore, and what the other packages read of keys.
type keyStore struct {
	*Mount
	system bool
}

func (s keyStore) Key(ctx context.Context, name string) (lifecycle.Key, error) {
	if err := s.called(ctx, "Key", name); err != nil {
		return lifecycle.Key{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[name]
	if !ok {
		return k, refusal.NoKey(name)
	}
	return k, nil
}

func (s keyStore) LookAt(ctx context.Context, name string, look func(k lifecycle.Key) error) error {
	defer s.lock(name)()
	k, err := s.Key(ctx, name)
	if err != nil {
		return err
	}
	return look(k)
}

func (s keyStore) KeyNames(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "KeyNames", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.keys), err
}

func (s keyStore) CreateKey(ctx context.Context, c lifecycle.Commit) error {
	defer s.lock(c.Key.Name)()
	if err := s.called(ctx, "CreateKey", c.Key.Name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[c.Key.Name]; ok {
		return refusal.Existsf("key %s already existed", c.Key.Name)
	}
	s.check(lifecycle.Key{}, c)
	s.put(lifecycle.Key{}, c, s.system)
	return nil
}

func (s keyStore) UpdateKey(ctx context.Context, name string, act func(lifecycle.Key) (lifecycle.Commit, error)) (lifecycle.Key, error) {
	var k, next lifecycle.Key
	err := s.prepared(ctx, name, func(anew bool) (err error) {
		if anew {
			if k, err = s.read(name); err != nil {
				return err
			}
		}
		c, err := act(k)
		if err != nil {
			return err
		}
		if c.Version == nil && !c.KeyStays && reflect.DeepEqual(c.Key, k) {
			next = k
			return nil
		}
		if err := s.called(ctx, "UpdateKey", name); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.check(k, c)
		s.put(k, c, s.system)
		next = c.Key
		return nil
	})
	return next, err
}

// read reads a key under its lock.
func (s keyStore) read(name string) (lifecycle.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls["Read"]++
	k, ok := s.keys[name]
	if !ok {
		return k, refusal.NoKey(name)
	}
	return k, nil
}

func (s keyStore) DeleteKey(ctx context.Context, name string, allow func(lifecycle.Key) error, reason string) (lifecycle.Key, error) {
	defer s.lock(name)()
	if err := s.called(ctx, "DeleteKey", name); err != nil {
		return lifecycle.Key{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, ok := s.keys[name]
	if !ok {
		return k, refusal.NoKey(name)
	}
	if err := allow(k); err != nil {
		return lifecycle.Key{}, err
	}
	delete(s.keys, name)
	s.unlist(k)
	s.watcher.Committed(name, &k, nil)
	s.erasures[name] = true
	s.acts = append(s.acts, Done{name, s.system, lifecycle.Event{Act: "delete", Reason: reason}})
	return k, nil
}

// Deleted knows of none: an act on this storage is not cut short between two commits.
func (s keyStore) Deleted(ctx context.Context, name string) (string, int, error) {
	return "", 0, s.called(ctx, "Deleted", name)
}

func (s keyStore) FinishErasure(ctx context.Context, name string) error {
	if err := s.called(ctx, "FinishErasure", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, v := range s.versions {
		if p.key == name && v.Object != "" {
			s.objects[v.Object] = lifecycle.Object{ID: v.Object, Key: name, KeyID: v.KeyID, Version: p.n, Created: v.Created, GivenUp: true}
		}
	}
	of := func(p place, _ lifecycle.Version) bool { return p.key == name }
	maps.DeleteFunc(s.versions, of)
	maps.DeleteFunc(s.archive, of)
	delete(s.denied, name)
	delete(s.moves, name)
	delete(s.erasures, name)
	return nil
}

func (s keyStore) Erasures(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "Erasures", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.erasures), err
}

// versionStore is the versions, and the archive.
type versionStore struct{ *Mount }

func (s versionStore) get(ctx context.Context, call string, from map[place]lifecycle.Version, at place) (lifecycle.Version, error) {
	if err := s.called(ctx, call, at.key); err != nil {
		return lifecycle.Version{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := from[at]
	if !ok {
		return v, refusal.NoVersion(at.key, at.n)
	}
	return v, nil
}

func (s versionStore) Version(ctx context.Context, name string, n int) (lifecycle.Version, error) {
	return s.get(ctx, "Version", s.versions, place{name, n})
}

func (s versionStore) Archived(ctx context.Context, name string, n int) (lifecycle.Version, error) {
	return s.get(ctx, "Archived", s.archive, place{name, n})
}

func (s versionStore) IsStored(ctx context.Context, k lifecycle.Key, n int) (bool, error) {
	if err := s.called(ctx, "IsStored", k.Name); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.versions[place{k.Name, n}]
	return ok && v.KeyID == k.ID, nil
}

func (s versionStore) Dates(ctx context.Context, k lifecycle.Key, from int) (map[int]time.Time, error) {
	if err := s.called(ctx, "Dates", k.Name); err != nil {
		return nil, err
	}
	dates, first := map[int]time.Time{}, k.Latest-len(k.Recent)+1
	for i, at := range k.Recent {
		if first+i >= from {
			dates[first+i] = at
		}
	}
	return dates, nil
}

func (s versionStore) CertificateChain(ctx context.Context, name, digest string) ([][]byte, error) {
	if err := s.called(ctx, "CertificateChain", name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chains[name+"/"+digest], nil
}

func (s versionStore) PutVersion(ctx context.Context, name string, v lifecycle.Version) error {
	if err := s.called(ctx, "PutVersion", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	was, ok := s.versions[place{name, v.Number}]
	if !ok || was.Fingerprint != v.Fingerprint || was.KeyID != v.KeyID || !was.Created.Equal(v.Created) {
		s.t.Errorf("version %d of %s becomes another one", v.Number, name)
	}
	s.versions[place{name, v.Number}] = v
	return nil
}

func (s versionStore) PutArchived(ctx context.Context, name string, v lifecycle.Version) error {
	if err := s.called(ctx, "PutArchived", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.archive[place{name, v.Number}] = v
	return nil
}

func (s versionStore) DropArchived(ctx context.Context, name string, n int) error {
	if err := s.called(ctx, "DropArchived", name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.archive, place{name, n})
	return nil
}

// moveStore keeps which material has to move.
type moveStore struct{ *Mount }

func (s moveStore) Displaced(ctx context.Context, k lifecycle.Key) (lifecycle.Range, error) {
	err := s.called(ctx, "Displaced", k.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moves[k.Name], err
}

func (s moveStore) PendingRelocations(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "PendingRelocations", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.moves), err
}

func (s moveStore) Relocate(ctx context.Context, name string, move func(k lifecycle.Key, n int) error) (left bool, err error) {
	if err := s.called(ctx, "Relocate", name); err != nil {
		return true, err
	}
	err = s.prepared(ctx, name, func(bool) error {
		s.mu.Lock()
		k, open := s.keys[name], s.moves[name]
		s.mu.Unlock()
		for n := max(open.From, 1); n <= min(open.To, k.Latest); n++ {
			if err := move(k, n); err != nil {
				return err
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.moves, name)
		return nil
	})
	return err != nil, err
}
