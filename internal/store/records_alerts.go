// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// alertJSON is what somebody should look at of a key.
type alertJSON struct {
	Status string    `json:"s"`
	Since  time.Time `json:"t"`
}

// alertsJSON returns the most urgent alert, which records have since the first release, and the others.
func alertsJSON(alerts lifecycle.Alerts) (first alertJSON, more []alertJSON) {
	for i, alert := range alerts {
		if i == 0 {
			first = alertJSON{string(alert.Status), alert.Since}
			continue
		}
		more = append(more, alertJSON{string(alert.Status), alert.Since})
	}
	return first, more
}

// alertsOf reads them back. An earlier release knows one alert and leaves the others as they were: beside none they say nothing.
func alertsOf(first alertJSON, more []alertJSON) (alerts lifecycle.Alerts) {
	if first.Status == "" {
		return nil
	}
	for _, a := range append([]alertJSON{first}, more...) {
		if alerts.Has(lifecycle.Status(a.Status)) {
			continue
		}
		alerts = append(alerts, lifecycle.Alert{Status: lifecycle.Status(a.Status), Since: a.Since})
	}
	return alerts
}
