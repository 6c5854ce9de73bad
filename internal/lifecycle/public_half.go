// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

// This file is about what the public halves of a key's versions are good for.

// VerifiesByPublicHalf reports whether the public half of a version is enough to verify with: those of derived keys belong to no
// context.
func VerifiesByPublicHalf(k *Key, version int) bool {
	t := TypesOf(k).Of(version)
	return t.SupportsSigning() && t.IsAsymmetric() && !k.Derived
}

// PublicHalfAlone reports whether nothing is left of a version to be used but its public half: the material was destroyed.
func PublicHalfAlone(k *Key, version int) bool {
	return k.State(version) == Destroyed && VerifiesByPublicHalf(k, version)
}

// Published returns the versions whose public halves are shown to verifiers, the newest first: each from before it signs until it
// is out of use. While it is suspended, or the key is, and once it is compromised, it is not among them.
func Published(k *Key) (versions []int) {
	for v := k.Latest; v >= max(k.MinDecryption, k.MinAvailable, k.DestroyedBelow, 1); v-- {
		if VerifiesByPublicHalf(k, v) && permissions[k.State(v)][Verify] == always {
			versions = append(versions, v)
		}
	}
	return versions
}
