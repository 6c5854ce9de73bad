// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

import (
	"regexp"
	"strings"
)

// operation is what Vault's policies call it: read, list or update.
type operation string

const (
	read   operation = "read"
	list   operation = "list"
	update operation = "update"
)

// allowed are the requests that are sent. A + is one name, as in Vault's policies.
var allowed = map[operation][]string{
	read: {
		"keys/+", "keys/+/rotation", "keys/+/plan", "keys/+/history", "keys/+/versions/+",
		"policies/+", "policies/+/revisions/+", "policies/+/drift", "policies/+/history",
		"rotation/status", "inventory", "calendar", "health", "config/clock", "config/history",
		"approvals/+", "reviews/+", "access-review", "custody/export",
	},
	list:   {"keys/+/versions", "policies", "policies/+/revisions", "rotation/status", "approvals", "reviews"},
	update: {"policies/+/plan"},
}

// name is what the mount takes for the name of a key or a policy, and no dot-dot of a path.
var name = regexp.MustCompile(`^\w(?:[\w.-]*\w)?$`)

// ValidName reports whether something can have the name.
func ValidName(s string) bool {
	return len(s) <= 1024 && name.MatchString(s) && !strings.Contains(s, "..")
}

// isAllowed reports whether the table has the request.
func isAllowed(op operation, path string) bool {
	segments := strings.Split(path, "/")
	for _, pattern := range allowed[op] {
		if matches(strings.Split(pattern, "/"), segments) {
			return true
		}
	}
	return false
}

func matches(pattern, segments []string) bool {
	if len(pattern) != len(segments) {
		return false
	}
	for i, want := range pattern {
		if want != segments[i] && (want != "+" || !ValidName(segments[i])) {
			return false
		}
	}
	return true
}
