// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package metrics

import (
	"maps"
	"slices"
	"time"
)

// The values of labels of which there is always a series.
var (
	statuses  = []string{"retrying", "stalled", "overdue", "waiting", "ending", "stopped"}
	consented = []string{"pending", "approved"}
)

// boardRows are of what the last tick found out, and do not change until the next one.
var boardRows = []row{
	gauge("tick_last_success_timestamp_seconds", "End of the last tick without an error; 0: none since the start of the process.", func(m Mount, put put) {
		put(timestamp(m.Board.Tick.Get().LastSuccess))
	}),
	gauge("tick_duration_seconds", "Duration of the last tick.", func(m Mount, put put) { put(m.Board.Tick.Get().Took.Seconds()) }),
	gauge("tick_unfinished", "1 if the last tick left something that is due.", func(m Mount, put put) { put(oneIf(m.Board.Tick.Get().Unfinished)) }),
	gauge("clock_frozen", "1 while the clock is not believed, so that nothing is archived, retired or destroyed.", func(m Mount, put put) {
		put(oneIf(m.Board.Tick.Get().Frozen != ""))
	}),
	gauge("keys_due", "Keys that the due index lists up to now.", func(m Mount, put put) { put(float64(m.Board.Rotation.Get().Due)) }),
	gauge("oldest_due_timestamp_seconds", "The oldest minute of the due index that has come and is not worked off; 0: none.", func(m Mount, put put) {
		put(timestamp(m.Board.Rotation.Get().OldestDue))
	}),
	gauge("keys_alerting", "Keys that need somebody, by why.", func(m Mount, put put) { byValue(statuses, m.Board.Rotation.Get().Alerting, put) }, "status"),
	gauge("key_alert_since_timestamp_seconds", "Since when a key needs somebody: the 100 oldest.", func(m Mount, put put) {
		for _, a := range shownAlerts(m) {
			put(timestamp(a.Since), a.Key, a.Status)
		}
	}, "key", "status"),
	gauge("key_alerts_hidden", "Keys that need somebody and have no series of their own.", func(m Mount, put put) {
		r := m.Board.Rotation.Get()
		put(float64(r.Hidden + len(r.Alerts) - len(shownAlerts(m))))
	}),
	gauge("usage_ratio_max", "The highest share of a usage limit that is used up among the keys of a policy: leased to allowed.", func(m Mount, put put) {
		for _, u := range shownUsage(m) {
			put(u.Ratio, u.Policy, u.OnLimit)
		}
	}, "policy", "on_limit"),
	gauge("keys", "Keys: the 32 largest groups of one type and state; those of smaller ones are of type other.", func(m Mount, put put) {
		for at, n := range shownKeys(m) {
			put(float64(n), at.Type, at.State)
		}
	}, "type", "state"),
	gauge("versions", "Versions of keys.", func(m Mount, put put) { byValue(nil, m.Board.Census.Get().Versions, put) }, "state"),
	gauge("drifting_keys", "Keys that are not as their policy wants them: of the 50 policies with the most, and of the other ones.", func(m Mount, put put) {
		byValue(nil, shownDrift(m), put)
	}, "policy"),
	gauge("census_timestamp_seconds", "End of the last round over all keys that counted them; 0: none has come to its end.", func(m Mount, put put) {
		put(timestamp(m.Board.Census.Get().At))
	}),
	gauge("next_destruction_timestamp_seconds", "When material is destroyed next; 0: never, as far as is planned.", func(m Mount, put put) {
		put(timestamp(m.Board.Census.Get().NextDestruction))
	}),
	gauge("custody_broken_chains", "Chains of custody that are known to be broken.", func(m Mount, put put) { put(float64(m.Board.Custody.Get().Broken)) }),
	gauge("custody_checkpoint_timestamp_seconds", "The newest checkpoint of a whole round; 0: there is none.", func(m Mount, put put) {
		put(timestamp(m.Board.Custody.Get().Checkpoint))
	}),
	gauge("integrity_round_timestamp_seconds", "End of the last round that opened all stored versions; 0: none has come to its end.", func(m Mount, put put) {
		put(timestamp(m.Board.Scrub.Get().Round))
	}),
	gauge("integrity_damaged_versions", "Stored versions that the scrub found damaged, and not well since.", func(m Mount, put put) {
		scrub := m.Board.Scrub.Get()
		put(float64(len(scrub.Failures) + scrub.Hidden))
	}),
	gauge("integrity_passed_over", "Versions and chains that the last round of the scrub could not look at.", func(m Mount, put put) {
		put(float64(m.Board.Scrub.Get().PassedOver))
	}),
	gauge("health", "How each check of the health of the mount stands: 0 ok, 1 degraded, 2 failing.", func(m Mount, put put) {
		for _, f := range m.Findings(m.Now, m.Active) {
			put(float64(f.Grade), f.Check)
		}
	}, "check"),
	gauge("approvals_open", "Open requests for consent.", func(m Mount, put put) { byValue(consented, m.Board.Governance.Get().Approvals, put) }, "state"),
	gauge("approval_oldest_pending_timestamp_seconds", "When the oldest pending request for consent was made; 0: none is pending.", func(m Mount, put put) {
		put(timestamp(m.Board.Governance.Get().OldestPending))
	}),
	gauge("approvers", "People that a rule of consent needs, and that are able to consent: the 8 rules with the fewest to spare.", func(m Mount, put put) {
		for _, a := range shownApprovers(m) {
			put(float64(a.Needed), a.Rule, "needed")
			put(float64(a.Able), a.Rule, "able")
		}
	}, "rule", "kind"),
	gauge("reviews_open", "Open reviews of acts by break-glass.", func(m Mount, put put) { put(float64(m.Board.Governance.Get().Reviews)) }),
	gauge("review_oldest_due_timestamp_seconds", "When the first open review is due; 0: none is open.", func(m Mount, put put) {
		put(timestamp(m.Board.Governance.Get().OldestReviewDue))
	}),
	gauge("drills_overdue", "Keys of which a drill of a compromise is overdue.", func(m Mount, put put) { put(float64(m.Board.Governance.Get().DrillsOverdue)) }),
}

// byValue puts a number for each value of a label, 0 for those of always that are not among them.
func byValue(always []string, numbers map[string]int, put put) {
	all := maps.Clone(numbers)
	if all == nil {
		all = map[string]int{}
	}
	for _, value := range always {
		all[value] += 0
	}
	for _, value := range slices.Sorted(maps.Keys(all)) {
		put(float64(all[value]), value)
	}
}

// timestamp is Unix time in seconds; 0 of no time.
func timestamp(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / 1000
}
