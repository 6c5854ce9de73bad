// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"maps"
	"slices"
	"strconv"
)

// The details that name the versions of a succession.
const (
	superseded = "superseded"
	successor  = "successor"
)

// WithSuccessorDetails returns the commit with what custody says where one active version took over from another: the details
// name them, as far as the versions of the event do not.
func (c Commit) WithSuccessorDetails(before Key) Commit {
	was, is := before.Primary, c.Key.Primary
	if c.Event.Act == "" || was == is || was == 0 || is == 0 {
		return c
	}
	details := map[string]string{}
	maps.Copy(details, c.Event.Details)
	if !slices.Contains(c.Event.Versions, was) {
		details[superseded] = strconv.Itoa(was)
	}
	if !slices.Contains(c.Event.Versions, is) { // the act itself was another: the report of a compromise
		details[successor], details["successor_transition"] = strconv.Itoa(is), "T14"
		if c.Version != nil {
			details["successor_fingerprint"] = c.Version.Fingerprint
		}
	}
	c.Event.Details = details
	return c
}
