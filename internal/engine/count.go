// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// The results of a rotation.
const (
	rotationDone    = "ok"
	rotationRefused = "refused"
	rotationFailed  = "error"
)

// declare makes the counters of rotations.
func declare(o *observe.Observer) {
	for _, trigger := range lifecycle.RotationTriggers() {
		for _, result := range []string{rotationDone, rotationRefused, rotationFailed} {
			o.Rotations.Declare(observe.Labels{string(trigger), result})
		}
	}
}

// attempt is a rotation that an act decides on.
type attempt struct {
	trigger lifecycle.Trigger // empty: it does not rotate
	latest  int               // version before it
}

// counted counts how it ended. A request that was carried out already decides nothing, and so attempts nothing.
func (a attempt) counted(o *observe.Observer, after lifecycle.Key, err error) {
	if a.trigger == "" {
		return
	}
	result := rotationFailed
	switch {
	case err == nil && after.Latest > a.latest:
		result = rotationDone
	case refusal.ObstacleOf(err) != "", errors.Is(err, refusal.ErrInvalid):
		result = rotationRefused
	}
	o.Rotations.Add(observe.Labels{string(a.trigger), result}, 1)
}
