// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package observe

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPartIsZeroUntilItIsSet(t *testing.T) {
	o := New()
	assert.Zero(t, o.Board.Rotation.Get())
	o.Board.Rotation.Set(Rotation{Due: 3})
	assert.Equal(t, 3, o.Board.Rotation.Get().Due)
}
