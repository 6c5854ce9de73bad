// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Checked is what a check of a key found.
type Checked struct {
	Key      lifecycle.Key
	Versions []CheckedVersion // those looked at, the oldest first
	Last     int              // the number up to which versions were looked at
	More     bool             // versions behind it are to be looked at
}

// CheckedVersion is what was found of one version.
type CheckedVersion struct {
	Version int
	State   lifecycle.State
	dataplane.Examined
}

// Check looks at the stored material of the versions behind number after, at most limit of them: it is there, opens to what its
// fingerprint says, and does its work once. Erased material is not looked for. Nothing is written, nothing in memory is used, and
// no use is counted.
func (s Versions) Check(ctx context.Context, name string, after, limit int) (c Checked, err error) {
	if c.Key, err = s.store.Keys.Key(ctx, name); err != nil {
		return c, err
	}
	looked := 0
	for n := min(after, c.Key.Latest) + 1; n <= c.Key.Latest; n++ {
		if lifecycle.LocationOf(c.Key, n) == lifecycle.Erased {
			continue
		}
		if c.More = looked == limit; c.More {
			break
		}
		if err := ctx.Err(); err != nil {
			return c, err
		}
		looked, c.Last = looked+1, n
		found := s.data.Materials().Examine(ctx, s.store.Keys, &c.Key, n, dataplane.Use)
		if found.Condition != dataplane.Gone {
			c.Versions = append(c.Versions, CheckedVersion{n, c.Key.State(n), found})
		}
	}
	return c, nil
}

// Examine opens the stored material of a version and holds it against its fingerprint.
func (a Acts) Examine(ctx context.Context, k *lifecycle.Key, number int) dataplane.Examined {
	return a.data.Materials().Examine(ctx, a.store.Keys, k, number, dataplane.Opening)
}
