// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import "github.com/keylife/vault-plugin-keylife/internal/refusal"

// This file says what of a key leaves the mount, in the clear or wrapped.

// CheckExport reports whether the key lets its material leave, be it in a backup. The error is [refusal.ErrRefused].
func CheckExport(k Key) error {
	if !k.Exportable {
		return refusal.Refusedf("private key material is not exportable")
	}
	if why := k.WhyNoMaterialLeaves(); why != "" {
		return refusal.Refusedf("private key material is not exportable: %s", why)
	}
	return CheckUse(&k, UseExport)
}

// CheckBackup reports whether a backup of the key may be made. A key that was stopped or taken out of use as a whole stays where it is.
// The error is [refusal.ErrRefused], and [refusal.ErrAsFault] where Transit refuses it, too.
func CheckBackup(k Key) error {
	switch why := k.WhyNoMaterialLeaves(); {
	case !k.Exportable:
		return refusal.AsFault(refusal.Refusedf("exporting is disallowed on the policy: key %q is not exportable", k.Name))
	case !k.AllowPlaintextBackup:
		return refusal.AsFault(refusal.Refusedf("plaintext backup is disallowed on the policy: key %q has no allow_plaintext_backup", k.Name))
	case why != "":
		return refusal.Refusedf("key %q has no backup: %s", k.Name, why)
	case k.Status.State != Enabled:
		return refusal.Refusedf("key %q is %s: its material does not leave the mount [key_%[2]s]", k.Name, k.Status.State)
	}
	return nil
}

// CheckReplace reports whether a restored key may take the place of the key, which destroys it at once. The error is [refusal.ErrRefused].
func CheckReplace(k Key) error {
	k.DeletionAllowed = true // force says so
	return k.CheckDelete()
}

// ToShow reports whether version v is one of those that are given out from the floor on, in whatever state. The error is
// [refusal.ErrRefused].
func (p Permissions) ToShow(v int) error {
	switch {
	case v < p.key.MinDecryption:
		return refusal.Refusedf("version for export is below minimum decryption version: version %d, min_decryption_version %d", v, p.key.MinDecryption)
	case v > p.key.Latest:
		return refusal.Refusedf("version does not exist or cannot be found: version %d, latest %d", v, p.key.Latest)
	}
	return nil
}

// ToExport reports whether the material of version v may leave. Who has it does with it what a version does, so one that must
// not process does not leave. A refusal is no denied use: no ciphertext asked for it. The error is [refusal.ErrRefused].
func (p Permissions) ToExport(v int) error {
	if err := p.ToShow(v); err != nil {
		return err
	}
	k := p.key
	if k.Status.denies(Process, p.rules) {
		return refusal.Refusedf("key %q is %s: its material does not leave the mount [key_%[2]s]", k.Name, k.Status.State)
	}
	if state := k.State(v); !p.permits(Process, v, state) {
		return refusal.Refusedf("version %d is %s: its material does not leave the mount [version_%[2]s]", v, state)
	}
	return nil
}
