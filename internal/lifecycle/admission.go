// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"strconv"
	"time"
)

// Finding is one rule of a policy that a key does not meet.
type Finding struct {
	Field string // of the key
	Value string
	Rule  string // names the policy's field
}

// Admits reports whether a key may be bound to the policy. The error is [ErrRefused] and names field, value and rule.
func (p *Policy) Admits(k Key, now time.Time) error {
	return p.refusal(append(p.typeFindings(k.Type, now), p.flagFindings(k)...))
}

// AdmitsVersion reports whether a key of that type gets new versions under the policy. The error is [ErrRefused] and
// names field, value and rule. A key that was bound before the policy became stricter keeps its flags.
func (p *Policy) AdmitsVersion(t Type, now time.Time) error { return p.refusal(p.typeFindings(t, now)) }

func (p *Policy) refusal(findings []Finding) error {
	if len(findings) == 0 {
		return nil
	}
	f := findings[0]
	return Refusedf("%s: %q: policy %q (revision %d) %s", f.Field, f.Value, p.Name, p.Revision, f.Rule)
}

func (p *Policy) typeFindings(t Type, now time.Time) []Finding {
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

func (p *Policy) flagFindings(k Key) []Finding {
	var found []Finding
	if k.Exportable && !p.Exportable {
		found = append(found, Finding{"exportable", "true", "does not allow exportable keys"})
	}
	if k.AllowPlaintextBackup && !p.AllowPlaintextBackup {
		found = append(found, Finding{"allow_plaintext_backup", "true", "does not allow backups in the clear"})
	}
	return found
}

// Drift returns the rules of the revision in force that the key does not meet at now; none: it complies.
func Drift(k Key, p *Policy, now time.Time) []Finding {
	if p == nil {
		if k.Policy == "" {
			return nil
		}
		return []Finding{{"policy", k.Policy, "the policy that governs the key is missing or cannot be read"}}
	}
	found := append(p.typeFindings(k.Type, now), p.flagFindings(k)...)
	if out := Plan(k, p, now); slices.Contains(Alerts(), out.Status) {
		found = append(found, Finding{"rotation", string(out.Status), out.Why})
	}
	if end := k.originatorEnd(p); !end.IsZero() && !now.Before(end) {
		found = append(found, Finding{"primary_version", strconv.Itoa(k.Primary), "should have stopped to encrypt at " + timeText(end) + ", by originator_period"})
	}
	return append(found, k.overdueTransition(p, now)...)
}

// overdueTransition names the first thing that the clock should have done to the key and has not: the clock guard, or another guard,
// holds it back.
func (k Key) overdueTransition(p *Policy, now time.Time) []Finding {
	const patience = time.Hour
	for _, entry := range PendingTransitions(k, p, now) {
		if entry.Op == Lapse { // a finding of its own
			continue
		}
		if now.Before(entry.At.Add(patience)) {
			break
		}
		return []Finding{{"version", strconv.Itoa(entry.Version), "was due to " + string(entry.Op) + " at " + timeText(entry.At)}}
	}
	return k.overrideLimitReached(p, now)
}

// overrideLimitReached names a version that the clock does not archive because the key's record has no room for it.
func (k Key) overrideLimitReached(p *Policy, now time.Time) []Finding {
	v, after := k.Oldest.Version, p.archiveAfter()
	if v == 0 || after == 0 || k.roomFor(v) || now.Before(k.Oldest.Deactivated.Add(after)) {
		return nil
	}
	return []Finding{{"version", strconv.Itoa(v), "is not archived: too many versions are in states of their own; destroy old ones"}}
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }
