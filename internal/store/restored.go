// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
)

// prepareRestored writes the versions of a key that is restored. They are many, so the deletion of the key is noted first: it is void
// once the record stands, and until then the tick, or whoever makes a key of the name, erases what an act has left that was cut
// short.
func (r Keys) prepareRestored(ctx context.Context, c change) error {
	if len(c.Restored) == 0 {
		return nil
	}
	k := c.Key
	if err := r.put(ctx, eraseIntents+k.Name, intentToErase(k), nil); err != nil {
		return err
	}
	for _, v := range c.Restored {
		if err := Versions(r).putVersion(ctx, k.Name, v); err != nil {
			return err
		}
	}
	return nil
}

// restored takes the note away once the record stands.
func (r Keys) restored(ctx context.Context, c change, err error) {
	if err == nil && len(c.Restored) > 0 {
		r.dropped("the intent of a restored key is left", r.delete(ctx, eraseIntents+c.Key.Name))
	}
}
