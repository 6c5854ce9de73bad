// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// WrappingKey is the name of the key that keys are wrapped for which are to be imported. No request can name it: it has a colon.
const WrappingKey = "import:wrapping-key"

// NewWrappingKey is that key as it is to be made.
func NewWrappingKey() Key { return Key{Name: WrappingKey, Type: keytype.RSA4096} }

// Origin says of a key and its versions where they were made.
type Origin struct {
	Imported      bool  // the newest version was made elsewhere
	AllowRotation bool  // of a key that was imported: it may get versions that are made here
	PublicOnly    []int // the versions of which there is no private half, ascending; shared, so never changed in place
}

// IsPublicOnly reports whether a version has no private half. What is stored of it counts for nothing there: the record does.
func (o Origin) IsPublicOnly(version int) bool {
	_, found := slices.BinarySearch(o.PublicOnly, version)
	return found
}

// permits reports whether the key may get a version by that trigger.
func (o Origin) permits(trigger Trigger) bool {
	return trigger == ByImport || !o.Imported || o.AllowRotation
}

// without returns the versions without a private half but those of a kind, for the caller to change.
func (o Origin) without(drop func(version int) bool) []int {
	return slices.DeleteFunc(slices.Clone(o.PublicOnly), drop)
}

// mostPublicOnly bounds how many versions without a private half a key may have: its record names them.
const mostPublicOnly = 1024

// checkOrigin refuses what no imported key can be.
func checkOrigin(k Key) error {
	switch {
	case !k.Imported:
		return nil
	case k.AutoRotatePeriod != 0 && !k.AllowRotation:
		return refusal.AsFault(refusal.InvalidField("auto_rotate_period", k.AutoRotatePeriod, "allow_rotation must be set to true if auto-rotation is enabled"))
	case k.Derived && len(k.PublicOnly) > 0:
		return errDerivedPublic
	}
	return nil
}

// errDerivedPublic refuses a public half where keys are derived from the private one.
var errDerivedPublic = refusal.AsFault(refusal.Invalidf("unable to import only public key for derived Ed25519 key: imported key should not be an Ed25519 key pair but is instead an HKDF key"))

// errNoRotation refuses a version that is made here, of a key that is to have those of its owner only.
func errNoRotation(k Key) error {
	return refusal.AsFault(refusal.Refusedf("imported key %s does not allow rotation within Vault", k.Name))
}

// CheckImport refuses to give a version that was made elsewhere to a key that was not.
func CheckImport(k Key) error {
	if k.Imported || k.AllowRotation {
		return nil
	}
	return refusal.AsFault(refusal.Refusedf("the import_version endpoint can only be used with an imported key: key %q was made here", k.Name))
}

// WithImport returns the key with a new active version that was made elsewhere. The error is [refusal.ErrRefused].
func WithImport(k Key, reason string, publicOnly bool, at time.Time) (Key, error) {
	next, err := k.Rotate(ByImport, reason, time.Time{}, at)
	if err != nil {
		return k, err
	}
	if !publicOnly {
		return next, nil
	}
	if k.Derived {
		return k, errDerivedPublic
	}
	next.PublicOnly = append(next.without(next.IsDestroyed), next.Latest)
	if len(next.PublicOnly) > mostPublicOnly {
		return k, refusal.Refusedf("key %q has %d versions without a private half, and can have no more", k.Name, mostPublicOnly)
	}
	return next, nil
}

// WithPrivate returns the key with the private half of a version that had none. The error is [refusal.ErrRefused].
func WithPrivate(k Key, version int) (Key, error) {
	switch {
	case version < 1 || version > k.Latest:
		return k, refusal.AsFault(refusal.NoVersion(k.Name, version))
	case k.Status.State != Enabled:
		return k, refusal.Refusedf("key %q is %s: nothing is imported", k.Name, k.Status.State)
	case !k.IsPublicOnly(version):
		return k, refusal.AsFault(refusal.Refusedf("private key imported, key version cannot be updated: version %d of key %q has one", version, k.Name))
	case !KeepsPrivate(k, version):
		return k, refusal.Refusedf("version %d of key %q: private halves of versions before version %d were erased: none is imported", version, k.Name, k.PrivateFrom)
	case LocationOf(k, version) != InUse:
		return k, refusal.Refusedf("version %d of key %q is %s: its private half is not imported", version, k.Name, k.State(version))
	}
	next := k
	next.PublicOnly = k.without(func(n int) bool { return n == version })
	next.Revision = after(k.Revision)
	return next, nil
}
