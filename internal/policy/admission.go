// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Finding is one rule of a policy that a key does not meet.
type Finding struct {
	Field string // of the key
	Value string
	Rule  string // names the policy's field
}

// Attributes are what a policy asks of a key.
type Attributes struct {
	Type                 keytype.Type
	Convergent           bool
	Exportable           bool
	AllowPlaintextBackup bool
}

// Admits reports whether a key may be bound to the policy. The error is [refusal.ErrRefused] and names field, value and rule.
func (p *Policy) Admits(k Attributes, now time.Time) error { return p.refuse(p.Findings(k, now)) }

// Findings returns what of the key breaks a rule of the policy.
func (p *Policy) Findings(k Attributes, now time.Time) []Finding {
	return append(p.typeFindings(k.Type, now), p.flagFindings(k)...)
}

// AdmitsVersion reports whether a key of that type gets new versions under the policy. The error is [refusal.ErrRefused] and
// names field, value and rule. A key that was bound before the policy became stricter keeps its flags.
func (p *Policy) AdmitsVersion(t keytype.Type, now time.Time) error {
	return p.refuse(p.typeFindings(t, now))
}

// NextTypeOf returns the type of the next version of a key whose active version is of a type, where somebody names one; empty: nobody
// does. A nil policy lets it be any. The error is [refusal.ErrRefused] and names field, value and rule.
func (p *Policy) NextTypeOf(active, named keytype.Type) (keytype.Type, error) {
	if p != nil {
		if next, set := p.NextType[active]; set {
			if named == "" || named == next {
				return next, nil
			}
			return "", p.refuse([]Finding{{"type", string(named), "has next_type " + string(next) + " for keys of type " + string(active)}})
		}
	}
	return cmp.Or(named, active), nil
}

// LetsLeave reports whether material of a key may leave under the policy, which may be stricter than when the key was bound; of k, the
// flags count that it needs. A nil policy lets it. The error is [refusal.ErrRefused] and names field, value and rule.
func (p *Policy) LetsLeave(k Attributes) error {
	if p == nil {
		return nil
	}
	return p.refuse(p.flagFindings(k))
}

func (p *Policy) refuse(findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	f := findings[0]
	return refusal.Because(refusal.ByPolicy, refusal.Refusedf("%s: %q: policy %q (revision %d) %s", f.Field, f.Value, p.Name, p.Revision, f.Rule))
}

func (p *Policy) typeFindings(t keytype.Type, now time.Time) []Finding {
	var found []Finding
	if len(p.AllowedTypes) > 0 && !slices.Contains(p.AllowedTypes, t) {
		found = append(found, Finding{"type", string(t), "does not allow this type in allowed_types"})
	}
	if t.StrengthBits() < p.MinStrengthBits {
		found = append(found, Finding{"type", string(t), "demands min_strength_bits " + strconv.Itoa(p.MinStrengthBits) + " and the type has " + strconv.Itoa(t.StrengthBits())})
	}
	if denied, ok := denyTime(p.DenyAfter[t]); ok && !now.Before(denied) {
		found = append(found, Finding{"type", string(t), "denies new versions of this type after " + p.DenyAfter[t]})
	}
	return found
}

func (p *Policy) flagFindings(k Attributes) []Finding {
	var found []Finding
	if k.Exportable && !p.Exportable {
		found = append(found, Finding{"exportable", "true", "does not allow exportable keys"})
	}
	if k.AllowPlaintextBackup && !p.AllowPlaintextBackup {
		found = append(found, Finding{"allow_plaintext_backup", "true", "does not allow backups in the clear"})
	}
	return found
}
