// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Versions is what is done with versions, and what changes the state of one or of a whole key.
type Versions struct{ *Session }

// VersionDetail is a version as it is shown.
type VersionDetail struct {
	lifecycle.Version // without material
	State             lifecycle.State
	Override          lifecycle.StateOverride
	Denied            lifecycle.Denials
	DeniedErr         error // why Denied has only what is not stored yet
	Pending           bool  // its material may not be where the state says
	Gone              bool  // destroyed by itself: what becomes of the key changes it no more
}

// Read returns a version, or lifecycle.ErrNotFound.
func (s Versions) Read(ctx context.Context, name string, number int) (VersionDetail, error) {
	k, err := s.data.Key(ctx, name)
	if err != nil {
		return VersionDetail{}, err
	}
	if !k.Exists(number) {
		return VersionDetail{}, lifecycle.NoVersion(name, number)
	}
	v, err := s.store.Versions.Version(ctx, name, number)
	if err != nil {
		return VersionDetail{}, err
	}
	v.Sealed = nil
	denied, deniedErr := s.data.DeniedUses(ctx, *k, number)
	unsettled, err := s.store.Moves.Displaced(ctx, name)
	return VersionDetail{
		Version: v, State: k.State(number), Override: k.Override(number), Denied: denied[number], DeniedErr: deniedErr,
		Pending: unsettled.From <= number && number <= unsettled.To, Gone: k.IsDestroyed(number),
	}, err
}

// Affected is a version that was reported as compromised, and what that affects.
type Affected struct {
	Version     int
	State       lifecycle.State
	Compromise  lifecycle.Compromise
	From, Until time.Time // it protected data in this time; no end: it was never superseded
	Processes   bool
	Rewraps     bool
	ReplacedBy  int
}

// CompromiseReport lists the versions of a key that were reported as compromised, oldest first.
func (s Versions) CompromiseReport(ctx context.Context, name string) ([]Affected, error) {
	k, err := s.data.Governed(ctx, name)
	if err != nil {
		return nil, err
	}
	dates, err := s.store.Versions.Dates(ctx, *k.Key, 1)
	if err != nil {
		return nil, err
	}
	may := k.Permissions(k.Rules)
	reports, replacement := lifecycle.Reports(*k.Key)
	var report []Affected
	for _, r := range reports {
		report = append(report, Affected{
			Version: r.Version, State: k.State(r.Version), Compromise: r.Compromise, From: dates[r.Version], Until: dates[r.Version+1],
			Processes: may.ToProcess(r.Version) == nil, Rewraps: may.ToRewrap(r.Version) == nil, ReplacedBy: replacement,
		})
	}
	return report, nil
}
