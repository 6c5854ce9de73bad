// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

// TextOf is what the digest of a content is of.
func TextOf(c Content) []byte { return c.text() }
