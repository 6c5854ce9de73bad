// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"maps"
)

// Differences says what settings differ in next, as "from -> to" by the name of the API's field. States are not
// settings: custody names them itself.
func (k Key) Differences(next Key) map[string]string {
	out := map[string]string{}
	note := func(field string, from, to any) {
		if from != to {
			out[field] = fmt.Sprintf("%v -> %v", from, to)
		}
	}
	note("min_decryption_version", k.MinDecryption, next.MinDecryption)
	note("min_encryption_version", k.MinEncryption, next.MinEncryption)
	note("min_available_version", k.MinAvailable, next.MinAvailable)
	note("deletion_allowed", k.DeletionAllowed, next.DeletionAllowed)
	note("exportable", k.Exportable, next.Exportable)
	note("allow_plaintext_backup", k.AllowPlaintextBackup, next.AllowPlaintextBackup)
	note("auto_rotate_period", k.AutoRotatePeriod, next.AutoRotatePeriod)
	note("policy", k.Policy, next.Policy)
	note("owner", k.Owner, next.Owner)
	note("legal_hold", k.Hold, next.Hold)
	if !maps.Equal(k.Labels, next.Labels) {
		out["labels"] = fmt.Sprintf("%d -> %d labels", len(k.Labels), len(next.Labels))
	}
	return out
}
