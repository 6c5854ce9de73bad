// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

// IsAllowed is what the table says of a request.
func IsAllowed(op, path string) bool { return isAllowed(operation(op), path) }

// Updates are how many requests of the table are no reads.
func Updates() int { return len(allowed[update]) }
