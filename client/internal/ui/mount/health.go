// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

import (
	"context"
	"net/http"
)

// Health is what the mount says of itself. Status is ok, degraded or failing.
type Health struct {
	Status       string    `json:"status"`
	FindingsTime Time      `json:"findings_time"`
	Checks       []Check   `json:"checks"`
	Damaged      []Damaged `json:"damaged_versions"`
	BrokenChains []string  `json:"broken_chains"`
	Checkpoint   Time      `json:"checkpoint_time"`
}

// Check is one thing that was looked at. No problem: it is well.
type Check struct {
	Check   string `json:"check"`
	Status  string `json:"status"`
	Problem string `json:"problem"`
}

// Damaged is a version whose material is not what it was.
type Damaged struct {
	Key     string `json:"key"`
	Version int    `json:"version"`
	Problem string `json:"problem"`
	Since   Time   `json:"since"`
}

// Problems are the checks that found something.
func (h Health) Problems() (found []Check) {
	for _, c := range h.Checks {
		if c.Problem != "" {
			found = append(found, c)
		}
	}
	return found
}

// Health reads what the mount says of itself, also where that is that it fails: the answer is 503 then. A mount that has no such
// path is Absent.
func (m *Mount) Health(ctx context.Context) Part[Health] {
	health := get[Health](ctx, m, read, "health", nil, nil)
	if health.Missing == nil || health.Missing.Status != http.StatusServiceUnavailable {
		return health
	}
	failing := partOf[Health]("health", visibleIn(health.Missing.data))
	if failing.Value.Status == "" {
		return health // Vault itself is away: it is sealed, say
	}
	return failing
}
