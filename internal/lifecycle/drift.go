// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Drift returns the rules of the revision in force that the key does not meet at now; none: it complies.
func Drift(k Key, p *policy.Policy, now time.Time) []policy.Finding {
	if p == nil {
		if k.Policy == "" {
			return nil
		}
		return []policy.Finding{{Field: "policy", Value: k.Policy, Rule: "the policy that governs the key is missing or cannot be read"}}
	}
	found := p.Findings(k.Attributes(), now)
	if out := Plan(k, p, now); slices.Contains(AlertStatuses(), out.Status) {
		found = append(found, policy.Finding{Field: "rotation", Value: string(out.Status), Rule: out.Why})
	}
	if end := originatorEnd(k, p); !end.IsZero() && !now.Before(end) {
		found = append(found, policy.Finding{Field: "primary_version", Value: strconv.Itoa(k.Primary), Rule: "should have stopped to encrypt at " + timeText(end) + ", by originator_period"})
	}
	found = append(found, overdueDrill(k, p, now)...)
	return append(found, overdueTransition(k, p, now)...)
}

// overdueDrill names the drill that drill_every of the policy asks for and that nobody has kept.
func overdueDrill(k Key, p *policy.Policy, now time.Time) []policy.Finding {
	due := NextDrill(k, p.DrillEvery.Duration)
	if due.IsZero() || now.Before(due) {
		return nil
	}
	last := ""
	if !k.LastDrill.IsZero() {
		last = timeText(k.LastDrill)
	}
	return []policy.Finding{{Field: "last_drill", Value: last, Rule: "a drill was due at " + timeText(due) + ", by drill_every"}}
}

// overdueTransition names the first thing that the clock should have done to the key and has not: the clock guard, or another guard,
// holds it back.
func overdueTransition(k Key, p *policy.Policy, now time.Time) []policy.Finding {
	const patience = time.Hour
	for _, entry := range PendingTransitions(k, p, now) {
		if entry.Op == Lapse { // a finding of its own
			continue
		}
		if now.Before(entry.At.Add(patience)) {
			break
		}
		return []policy.Finding{{Field: "version", Value: strconv.Itoa(entry.Version), Rule: "was due to " + string(entry.Op) + " at " + timeText(entry.At)}}
	}
	return overrideLimitReached(k, p, now)
}

// overrideLimitReached names a version that the clock does not archive because the key's record has no room for it.
func overrideLimitReached(k Key, p *policy.Policy, now time.Time) []policy.Finding {
	v, after := k.Oldest.Version, k.RulesFor(p).ArchiveAfter
	if v == 0 || after == 0 || k.Overrides.roomFor(v) || now.Before(k.Oldest.Deactivated.Add(after)) {
		return nil
	}
	return []policy.Finding{{Field: "version", Value: strconv.Itoa(v), Rule: "is not archived: too many versions are in states of their own; destroy old ones"}}
}

// mostRunsNamed bounds the runs of versions that a finding names.
const mostRunsNamed = 16

// WrappedByNoHSM is what a policy that demands an HSM finds in the versions of a key that none wraps, in order.
func WrappedByNoHSM(versions []int) []policy.Finding {
	if len(versions) == 0 {
		return nil
	}
	var runs []string
	for i := 0; i < len(versions); {
		last := i
		for last+1 < len(versions) && versions[last+1] == versions[last]+1 {
			last++
		}
		run := strconv.Itoa(versions[i])
		if last > i {
			run += "-" + strconv.Itoa(versions[last])
		}
		runs, i = append(runs, run), last+1
	}
	if more := len(runs) - mostRunsNamed; more > 0 {
		runs = append(runs[:mostRunsNamed], "...")
	}
	return []policy.Finding{{Field: "version", Value: strings.Join(runs, ","), Rule: "is wrapped by no HSM, as hsm=required demands"}}
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }
