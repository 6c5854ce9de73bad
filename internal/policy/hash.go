// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// hash digests the document as JSON with sorted field names, each value as its author wrote it.
func (d Document) hash() string {
	values := make(map[string]any, len(fields))
	for _, f := range fields {
		if !f.LeftOut(d) {
			values[f.Name] = f.Value(d)
		}
	}
	canonical, err := json.Marshal(values)
	if err != nil {
		panic("internal error: a policy document is always JSON: " + err.Error())
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}
