// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package refusal_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func TestARefusalSaysWhatStandsInTheWay(t *testing.T) {
	for _, row := range []struct {
		err  error
		want refusal.Obstacle
	}{
		{refusal.Refusedf("key is suspended"), refusal.ByState},
		{refusal.Deniedf("version is archived"), refusal.ByState},
		{refusal.Because(refusal.ByHold, refusal.Refusedf("under hold")), refusal.ByHold},
		{refusal.Because(refusal.ByPolicy, refusal.InvalidField("reason", "", "a reason is demanded")), refusal.ByPolicy},
		{refusal.CheckRevision(ptr(1), 2), refusal.ByCAS},
		{refusal.Because(refusal.ByApproval, refusal.CheckRevision(ptr(1), 2)), refusal.ByCAS},
		{refusal.ErrConsent, refusal.ByApproval},
		{refusal.Because(refusal.ByApproval, errors.New("storage is away")), ""},
		{refusal.Invalidf("no such field"), ""},
		{refusal.NoKey("k"), ""},
		{errors.New("storage is away"), ""},
		{nil, ""},
	} {
		require.Equal(t, row.want, refusal.ObstacleOf(row.err), "%v", row.err)
		if row.err != nil {
			require.Equal(t, row.want, refusal.ObstacleOf(fmt.Errorf("act: %w", row.err)))
		}
	}
}

func TestAnObstacleKeepsTextAndKind(t *testing.T) {
	cause := refusal.InvalidField("reason", "", "a reason is demanded")
	named := refusal.Because(refusal.ByPolicy, cause)
	require.EqualError(t, named, cause.Error())
	require.ErrorIs(t, named, refusal.ErrInvalid)
	require.Equal(t, "reason", refusal.FieldOf(named))
	require.NoError(t, refusal.Because(refusal.ByPolicy, nil))
	require.Len(t, refusal.Obstacles(), 5)
}
