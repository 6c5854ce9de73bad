// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// chainSource is scheduler.ChainSource. The chains themselves are the store's affair: here they are well, or said not to be.
type chainSource struct{ *Mount }

// OtherNames has one chain, that of the mount.
func (s chainSource) OtherNames(ctx context.Context) ([]string, error) {
	return []string{"mount:"}, s.called(ctx, "OtherNames", "")
}

func (s chainSource) InspectJournal(ctx context.Context, name string) (problem string, err error) {
	err = s.called(ctx, "InspectJournal", name)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken[name], err
}

// Break says what is wrong with a chain of custody; empty: nothing is any more.
func (m *Mount) Break(chain, problem string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken[chain] = problem
}

// Damage changes what is stored of a version, as a storage does that lost or mixed up entries; nil takes the entry away.
func (m *Mount) Damage(name string, n int, change func(v *lifecycle.Version)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := place{name, n}
	if change == nil {
		delete(m.versions, at)
		return
	}
	v := m.versions[at]
	change(&v)
	m.versions[at] = v
}
