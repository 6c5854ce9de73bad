// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

func TestANewKeyGetsThePolicyAskedForOrTheDefaultOne(t *testing.T) {
	none, some := "", "q"
	for _, row := range []struct {
		governance lifecycle.Governance
		asked      *string
		want       string
		refused    bool
	}{
		{lifecycle.Governance{}, nil, "", false},
		{lifecycle.Governance{}, &some, "q", false},
		{lifecycle.Governance{DefaultPolicy: "p"}, nil, "p", false},
		{lifecycle.Governance{DefaultPolicy: "p"}, &none, "", false},
		{lifecycle.Governance{DefaultPolicy: "p"}, &some, "q", false},
		{lifecycle.Governance{RequirePolicy: true}, nil, "", true},
		{lifecycle.Governance{RequirePolicy: true}, &none, "", true},
		{lifecycle.Governance{RequirePolicy: true}, &some, "q", false},
		{lifecycle.Governance{RequirePolicy: true, DefaultPolicy: "p"}, nil, "p", false},
		{lifecycle.Governance{RequirePolicy: true, DefaultPolicy: "p"}, &none, "", true},
	} {
		got, err := row.governance.PolicyFor(row.asked)
		require.Equal(t, row.want, got)
		require.Equal(t, row.refused, err != nil)
		if row.refused {
			require.ErrorIs(t, err, lifecycle.ErrInvalid)
		}
		require.Equal(t, row.governance.RequirePolicy, row.governance.CheckDetach() != nil)
	}
}
