// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func TestANewKeyGetsThePolicyAskedForOrTheDefaultOne(t *testing.T) {
	none, some := "", "q"
	for _, row := range []struct {
		governance policy.Governance
		asked      *string
		want       string
		refused    bool
	}{
		{policy.Governance{}, nil, "", false},
		{policy.Governance{}, &some, "q", false},
		{policy.Governance{DefaultPolicy: "p"}, nil, "p", false},
		{policy.Governance{DefaultPolicy: "p"}, &none, "", false},
		{policy.Governance{DefaultPolicy: "p"}, &some, "q", false},
		{policy.Governance{RequirePolicy: true}, nil, "", true},
		{policy.Governance{RequirePolicy: true}, &none, "", true},
		{policy.Governance{RequirePolicy: true}, &some, "q", false},
		{policy.Governance{RequirePolicy: true, DefaultPolicy: "p"}, nil, "p", false},
		{policy.Governance{RequirePolicy: true, DefaultPolicy: "p"}, &none, "", true},
	} {
		got, err := row.governance.PolicyFor(row.asked)
		require.Equal(t, row.want, got)
		require.Equal(t, row.refused, err != nil)
		if row.refused {
			require.ErrorIs(t, err, refusal.ErrInvalid)
		}
		require.Equal(t, row.governance.RequirePolicy, row.governance.CheckDetach() != nil)
	}
}
