// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1

import "fmt"

// CheckName refuses what is no name of a key. A name that passes leads nowhere else when it is put into a path.
func CheckName(name string) error {
	if name == "" || !isName([]byte(name)) {
		return fmt.Errorf("key name %.64q: 1 to %d letters, digits, '_', and inside '-' and '.': %w", name, MaxName, ErrInput)
	}
	return nil
}

// Version reads the version of the key that encrypted a data key, and refuses what has no place in a message.
func Version(edk string) (version int, ok bool) { return versionOf([]byte(edk)) }
