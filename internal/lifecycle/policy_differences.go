// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"strconv"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// policyDetails is how many changed fields of a policy custody names.
const policyDetails = 27

// PolicyDifferences says in what fields a policy differs from the one before, as "from -> to" by the names of the API. Of the
// fields that there is no room for it tells the number, as "more".
func PolicyDifferences(before, after policy.Document) map[string]string {
	out, more := map[string]string{}, 0
	note := func(field, from, to string) {
		switch {
		case len(out) == policyDetails:
			more++
		default:
			out[field] = bounded(from, longestSide) + arrow + bounded(to, longestSide)
		}
	}
	for _, f := range policy.Fields() {
		if from, to := f.Text(before), f.Text(after); from != to {
			note(f.Name, from, to)
		}
	}
	if before.Source != after.Source {
		note("source", fmt.Sprintf("%d bytes", len(before.Source)), fmt.Sprintf("%d bytes", len(after.Source)))
	}
	if more > 0 {
		out["more"] = strconv.Itoa(more)
	}
	return out
}
