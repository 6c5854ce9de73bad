// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"bytes"
	"context"
	"slices"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// sealedStore is engine.SealedStore.
type sealedStore struct{ *Mount }

// at returns what is stored at a place. The caller holds the mount.
func (s sealedStore) at(location lifecycle.MaterialLocation) map[place]lifecycle.Version {
	if location == lifecycle.InArchive {
		return s.archive
	}
	return s.versions
}

func (s sealedStore) SealedKeys(ctx context.Context, at lifecycle.MaterialLocation) ([]string, error) {
	err := s.called(ctx, "SealedKeys", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	names := map[string]bool{}
	for p := range s.at(at) {
		names[p.key] = true
	}
	return sorted(names), err
}

func (s sealedStore) SealedVersions(ctx context.Context, at lifecycle.MaterialLocation, name string) ([]int, error) {
	err := s.called(ctx, "SealedVersions", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	var numbers []int
	for p := range s.at(at) {
		if p.key == name {
			numbers = append(numbers, p.n)
		}
	}
	slices.Sort(numbers)
	return numbers, err
}

func (s sealedStore) SealedVersion(ctx context.Context, at lifecycle.MaterialLocation, name string, n int) (lifecycle.Version, error) {
	return versionStore(s).get(ctx, "SealedVersion", s.at(at), place{name, n})
}

func (s sealedStore) ReplaceSealed(
	ctx context.Context, at lifecycle.MaterialLocation, name string, was lifecycle.Version, sealed []byte,
) (replaced bool, err error) {
	if err := s.called(ctx, "ReplaceSealed", name); err != nil { // before the lock: what happens until then is what matters
		return false, err
	}
	defer s.lock(name)()
	s.mu.Lock()
	defer s.mu.Unlock()
	now, ok := s.at(at)[place{name, was.Number}]
	if !ok || now.KeyID != was.KeyID || !bytes.Equal(now.Sealed, was.Sealed) {
		return false, nil
	}
	now.Sealed = sealed
	s.at(at)[place{name, was.Number}] = now
	return true, nil
}

// rewrapStore is engine.RewrapStore and scheduler.RewrapStore.
type rewrapStore struct{ *World }

func (s rewrapStore) PendingRewraps(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "PendingRewraps", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.rewraps), err
}

func (s rewrapStore) Rewrap(ctx context.Context, purpose string) (r lifecycle.Rewrapping, found bool, err error) {
	err = s.called(ctx, "Rewrap", purpose)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, found = s.rewraps[purpose]
	return r, found, err
}

func (s rewrapStore) BeginRewrap(ctx context.Context, purpose string, kek [16]byte) error {
	if err := s.called(ctx, "BeginRewrap", purpose); err != nil {
		return err
	}
	now := s.Clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rewraps[purpose] = lifecycle.BeginRewrap(s.rewraps[purpose], purpose, kek, now)
	return nil
}

func (s rewrapStore) SaveRewrap(ctx context.Context, r lifecycle.Rewrapping) (stale bool, err error) {
	if err := s.called(ctx, "SaveRewrap", r.Purpose); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rewraps[r.Purpose].Run != r.Run {
		return true, nil
	}
	s.rewraps[r.Purpose] = r
	return false, nil
}

func (s rewrapStore) FinishRewrap(ctx context.Context, r lifecycle.Rewrapping) (stale bool, err error) {
	if err := s.called(ctx, "FinishRewrap", r.Purpose); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rewraps[r.Purpose].Run != r.Run {
		return true, nil
	}
	delete(s.rewraps, r.Purpose)
	return false, nil
}
