// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Restored returns the first revision of a key that was backed up. Of the spec count what [New] takes, the pointers, the floors, the
// overrides, the certificates and the hold. The dates are those of its versions, from 1 to the latest; zero: unknown. Periods in which a version must not be
// retired begin anew: what was denied since the backup is not known. The error is [refusal.ErrInvalid].
func Restored(spec Key, dates []time.Time, at time.Time) (Key, error) {
	next, err := New(spec, at)
	if err != nil {
		return Key{}, err
	}
	next.Latest, next.Primary, next.Staged, next.Hold = spec.Latest, spec.Primary, spec.Staged, spec.Hold
	next.MinDecryption, next.MinEncryption, next.MinAvailable = spec.MinDecryption, spec.MinEncryption, spec.MinAvailable
	next.PrivateFrom, next.Certificates = spec.PrivateFrom, spec.Certificates
	next.Recent = inOrder(dates, at)
	if next.EarlierTypes = slices.Clone(spec.EarlierTypes); len(next.EarlierTypes) > 0 {
		if err := checkTypes(next); err != nil {
			return Key{}, err
		}
	}
	d := draftOf(next)
	for v, override := range spec.Overrides {
		if override.State == Archived || override.State == Compromised {
			override.At = at
		}
		d.set(v, override)
	}
	d.compactDestroyed()
	next = d.finished()
	if err := checkRestored(next); err != nil {
		return Key{}, err
	}
	last := next.Recent[next.Latest-1]
	next.Created = next.Recent[0]
	next.Rotation = Rotation{Base: last, Last: last, Trigger: next.Rotation.Trigger}
	if next.Primary > 0 {
		next.Rotation.Promoted = next.Recent[next.Primary-1]
	}
	return next, nil
}

// inOrder returns dates of which none is before the one before it, or in the future.
func inOrder(dates []time.Time, at time.Time) []time.Time {
	out := slices.Clone(dates)
	first := at
	if i := slices.IndexFunc(out, func(t time.Time) bool { return !t.IsZero() }); i >= 0 {
		first = out[i]
	}
	for i := range out {
		if out[i].Before(first) {
			out[i] = first
		}
		if out[i].After(at) {
			out[i] = at
		}
		first = out[i]
	}
	return out
}

// checkRestored holds what every act holds of a key.
func checkRestored(k Key) error {
	if err := checkHalves(k); err != nil {
		return err
	}
	for _, pointer := range []struct {
		name    string
		version int
		state   State
	}{{"primary_version", k.Primary, Active}, {"staged_version", k.Staged, PreActive}} {
		v := pointer.version
		if v == 0 {
			continue
		}
		state := k.versionState(v)
		stopped := state == Suspended || state == Compromised && pointer.state == Active
		if state != pointer.state && !stopped || v < k.MinDecryption || v < k.MinEncryption {
			return refusal.Invalidf("%s: %d: is %s, or below a floor: the version cannot be %s", pointer.name, v, state, pointer.state)
		}
	}
	return k.Overrides.checkRoom(k.Overrides, k.Name, false)
}

// checkHalves holds what every act holds of the versions without a private half, and of certificates.
func checkHalves(k Key) error {
	switch {
	case k.PrivateFrom < 0 || k.PrivateFrom > mayBecomeActive(k) || k.PrivateFrom > 0 && !mayBeErased(k, k.PrivateFrom):
		return refusal.Invalidf("private_from: %d: no private half of the versions before it can have been erased", k.PrivateFrom)
	case len(k.PublicOnly) > mostPublicOnly:
		return refusal.Invalidf("%d versions have no private half: a key may have %d", len(k.PublicOnly), mostPublicOnly)
	case len(k.Certificates) > mostCertificates:
		return refusal.Invalidf("%d versions have a certificate: a key may have %d", len(k.Certificates), mostCertificates)
	}
	return nil
}
