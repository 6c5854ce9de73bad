// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"maps"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// ConfigChange is what an operator asks to change of a key; nil leaves a setting as it is.
type ConfigChange struct {
	MinDecryption        *int
	MinEncryption        *int
	DeletionAllowed      *bool
	Exportable           *bool
	AllowPlaintextBackup *bool
	AutoRotatePeriod     *time.Duration
	Policy               *string
	Owner                *string
	Labels               map[string]string
	Uses                 *[]AllowedUse
}

// Configure returns the key with the change applied, and what the operator should be warned of. A change that
// changes nothing returns the key as it was, revision included. The error is [refusal.ErrInvalid].
func (k Key) Configure(c ConfigChange) (Key, []string, error) {
	next := k
	warnings, err := c.setFloors(&next)
	if err != nil {
		return k, nil, err
	}
	set(&next.DeletionAllowed, c.DeletionAllowed)
	set(&next.AutoRotatePeriod, c.AutoRotatePeriod)
	set(&next.Policy, c.Policy)
	set(&next.Owner, c.Owner)
	next.Exportable = raise(&warnings, "exportable", k.Exportable, c.Exportable)
	next.AllowPlaintextBackup = raise(&warnings, "allow_plaintext_backup", k.AllowPlaintextBackup, c.AllowPlaintextBackup)
	if err := next.checkMayLeave(); err != nil {
		return k, nil, err
	}
	if err := c.setUses(&next); err != nil {
		return k, nil, err
	}
	if c.Labels != nil {
		next.Labels = maps.Clone(c.Labels)
	}
	if err := policy.CheckLabels(next.Labels); err != nil {
		return k, nil, err
	}
	if err := checkAutoRotate(next); err != nil {
		return k, nil, err
	}
	if sameSettings(next, k) {
		return k, warnings, nil
	}
	if err := checkAvailable(next); err != nil {
		return k, nil, err
	}
	next.Revision = after(k.Revision)
	return next, warnings, nil
}

// setUses narrows what the key may be used for.
func (c ConfigChange) setUses(k *Key) error {
	if c.Uses == nil {
		return nil
	}
	before := k.Uses
	k.Uses = slices.Clone(*c.Uses)
	if err := checkNarrowed(before, k.Uses); err != nil {
		return err
	}
	return checkUses(*k)
}

// setFloors applies the two version floors by Transit's rules.
func (c ConfigChange) setFloors(k *Key) ([]string, error) {
	var warnings []string
	if c.MinDecryption != nil {
		floor := *c.MinDecryption
		if floor == 0 {
			floor = 1
			warnings = append(warnings, "min_decryption_version: 0: key versions start at 1; using 1")
		}
		if err := checkFloor("min_decryption_version", floor, k.Latest); err != nil {
			return nil, err
		}
		if err := checkBelowCurrent(*k, "min_decryption_version", floor); err != nil {
			return nil, err
		}
		k.MinDecryption = floor
	}
	if c.MinEncryption != nil {
		if err := checkFloor("min_encryption_version", *c.MinEncryption, k.Latest); err != nil {
			return nil, err
		}
		if err := checkBelowCurrent(*k, "min_encryption_version", *c.MinEncryption); err != nil {
			return nil, err
		}
		k.MinEncryption = *c.MinEncryption
	}
	if k.MinEncryption > 0 && k.MinEncryption < k.MinDecryption {
		return nil, refusal.Invalidf("min_encryption_version: %d: must be 0 or at least min_decryption_version, which is %d", k.MinEncryption, k.MinDecryption)
	}
	return warnings, nil
}

// checkBelowCurrent keeps a floor from what protects now, and from what will next.
func checkBelowCurrent(k Key, field string, floor int) error {
	for _, version := range []int{k.Primary, k.Staged} {
		if version > 0 && floor > version {
			return refusal.Invalidf("%s: %d: must not be above the active and the staged version, of which one is %d", field, floor, version)
		}
	}
	return nil
}

func checkFloor(field string, floor, latest int) error {
	switch {
	case floor < 0:
		return refusal.InvalidField(field, floor, "must not be negative")
	case floor > latest:
		return refusal.Invalidf("%s: %d: must be at most the latest key version, which is %d", field, floor, latest)
	}
	return nil
}

// checkAvailable keeps both floors above what was trimmed.
func checkAvailable(k Key) error {
	if k.MinAvailable > k.MinEncryption {
		return refusal.Invalidf("min_encryption_version: %d: must be at least the minimum available version, which is %d", k.MinEncryption, k.MinAvailable)
	}
	if k.MinAvailable > k.MinDecryption {
		return refusal.Invalidf("min_decryption_version: %d: must be at least the minimum available version, which is %d", k.MinDecryption, k.MinAvailable)
	}
	return nil
}

// checkAutoRotate holds Transit's rule, and keeps one schedule per key.
func checkAutoRotate(k Key) error {
	const shortest = time.Hour
	period := k.AutoRotatePeriod
	if period != 0 && period < shortest {
		return refusal.InvalidField("auto_rotate_period", period, "auto rotate period must be 0 to disable or at least an hour")
	}
	if period != 0 && k.Policy != "" {
		return refusal.InvalidField("auto_rotate_period", period, "policy \""+k.Policy+"\" sets the rotation of this key; auto_rotate_period must be 0")
	}
	return nil
}

// sameSettings reports whether two snapshots hold the same settings.
func sameSettings(k, o Key) bool {
	return k.MinDecryption == o.MinDecryption && k.MinEncryption == o.MinEncryption &&
		k.DeletionAllowed == o.DeletionAllowed && k.Exportable == o.Exportable &&
		k.AllowPlaintextBackup == o.AllowPlaintextBackup && k.AutoRotatePeriod == o.AutoRotatePeriod &&
		k.Policy == o.Policy && k.Owner == o.Owner && maps.Equal(k.Labels, o.Labels) && slices.Equal(k.Uses, o.Uses)
}

func set[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

// raise sets a one-way flag; asking to lower it is not an error for Transit's clients, but worth a warning.
func raise(warnings *[]string, field string, current bool, asked *bool) bool {
	if asked == nil {
		return current
	}
	if current && !*asked {
		*warnings = append(*warnings, field+": false: once set it cannot be unset; ignored")
	}
	return current || *asked
}
