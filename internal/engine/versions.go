// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Versions is what is done with versions, and what changes the state of one or of a whole key.
type Versions struct{ *Session }

// VersionDetail is a version as it is shown.
type VersionDetail struct {
	lifecycle.Version // without material
	Type              keytype.Type
	State             lifecycle.State
	Override          lifecycle.StateOverride
	Denied            lifecycle.Denials
	DeniedErr         error                // why Denied has only what is not stored yet
	PrivateErased     bool                 // its private half is erased, or about to be, though the rest stays
	Pending           bool                 // its material may not be where the state says
	Gone              bool                 // destroyed by itself: what becomes of the key changes it no more
	PublicKey         string               // as Transit shows it; empty: there is none
	Protection        lifecycle.Protection // empty: it was destroyed, or nobody can tell
	LastAct           int                  // the custody record of the act that changed it last; 0: none is known
	ActsSince         int                  // from this record on LastAct knows every act; 0: it knows none
}

// Read returns a version, or refusal.ErrNotFound.
func (s Versions) Read(ctx context.Context, name string, number int) (VersionDetail, error) {
	k, err := s.data.Key(ctx, name)
	if err != nil {
		return VersionDetail{}, err
	}
	if !k.Exists(number) {
		return VersionDetail{}, refusal.NoVersion(name, number)
	}
	v, err := s.store.Versions.Version(ctx, name, number)
	if err != nil {
		return VersionDetail{}, err
	}
	pending, err := s.displaced(ctx, k, v)
	if err != nil {
		return VersionDetail{}, err
	}
	protection := s.protectionOf(ctx, k, number)
	public, err := publicKeyOf(k, v)
	if err != nil {
		return VersionDetail{}, err
	}
	v.Sealed = nil
	denied, deniedErr := s.data.DeniedUses(ctx, *k, number)
	return VersionDetail{
		Version: v, PublicKey: public, PrivateErased: !lifecycle.KeepsPrivate(*k, number),
		Type: lifecycle.TypesOf(k).Of(number), State: k.State(number), Override: k.Override(number), Denied: denied[number], DeniedErr: deniedErr, Protection: protection,
		Pending: pending, Gone: k.IsDestroyed(number), LastAct: lifecycle.LastActOf(*k, number), ActsSince: k.LastActs.Since,
	}, nil
}

// displaced reports whether the material of a version is not where its state says. Whether what was destroyed has left the
// archive too, and whether a private half has, only the intent tells.
func (s Versions) displaced(ctx context.Context, k *lifecycle.Key, v lifecycle.Version) (bool, error) {
	sealed, location := len(v.Sealed) > 0, lifecycle.LocationOf(*k, v.Number)
	switch {
	case location == lifecycle.InUse && !sealed, location != lifecycle.InUse && sealed, location == lifecycle.Erased && v.Object != "":
		return true, nil
	case location != lifecycle.Erased && lifecycle.KeepsPrivate(*k, v.Number):
		return false, nil
	}
	left, err := s.store.Moves.Displaced(ctx, *k)
	return left.From <= v.Number && v.Number <= left.To, err
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
