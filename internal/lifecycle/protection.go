// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Protection says where the key of a version is.
type Protection string

// The levels. A key asks for Resident when it is made, or for none; what wraps the others changes with the mount.
const (
	Software   Protection = "software"    // a key encryption key in storage wraps its material
	HSMWrapped Protection = "hsm_wrapped" // a token wraps its material, which is in memory while it is in use
	Resident   Protection = "hsm"         // it is made on a token, and never leaves it
)

// ParseProtection reads what a key may ask for: nothing, or [Resident]. The error is [refusal.ErrInvalid].
func ParseProtection(text string) (Protection, error) {
	if p := Protection(text); p == "" || p == Resident {
		return p, nil
	}
	return "", refusal.InvalidField("protection", text, "must be hsm, or empty: what wraps other keys is set on config/hsm")
}

// Object is a key on a token that is, or may become, that of a version.
type Object struct {
	ID      string // its CKA_ID, in hex
	Key     string // the name of the key
	KeyID   string
	Version int
	Created time.Time
	GivenUp bool // no version has it, or ever will: it is to be destroyed
}

// checkProtection refuses what no key that stays on a token can be.
func (k Key) checkProtection() error {
	if k.Protection != Resident {
		return nil
	}
	if !k.Type.CanStayOnToken() {
		return refusal.InvalidField("type", string(k.Type), "no token holds keys of this type for keylife: with protection=hsm it must be one of "+strings.Join(keytype.TokenNames(), ", "))
	}
	for _, f := range []struct {
		name string
		on   bool
	}{{"derived", k.Derived}, {"convergent_encryption", k.Convergent}} {
		if f.on {
			return refusal.InvalidField(f.name, true, "a token derives no keys: it must be false with protection=hsm")
		}
	}
	return k.checkMayLeave()
}

// checkMayLeave refuses to let material leave that cannot.
func (k Key) checkMayLeave() error {
	for _, f := range []struct {
		name string
		on   bool
	}{{"exportable", k.Exportable}, {"allow_plaintext_backup", k.AllowPlaintextBackup}} {
		if f.on {
			if why := k.WhyNoMaterialLeaves(); why != "" {
				return refusal.InvalidField(f.name, true, why)
			}
		}
	}
	return nil
}

// WhyNoMaterialLeaves says why the material of the key leaves the mount in no form; empty: it may. Whatever gives material
// out asks here first.
func (k Key) WhyNoMaterialLeaves() string {
	if k.Protection == Resident {
		return "the key is on the token, which does not give it out: it must be false with protection=hsm"
	}
	return ""
}
