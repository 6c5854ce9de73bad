// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

func TestThePolicyNamesTheNextType(t *testing.T) {
	p := &policy.Policy{Name: "pci", Revision: 2, Document: policy.Document{NextType: map[keytype.Type]keytype.Type{keytype.RSA2048: keytype.RSA4096}}}
	for _, row := range []struct {
		p                   *policy.Policy
		active, named, want keytype.Type
	}{
		{nil, keytype.RSA2048, "", keytype.RSA2048},
		{nil, keytype.RSA2048, keytype.RSA3072, keytype.RSA3072},
		{p, keytype.RSA2048, "", keytype.RSA4096},
		{p, keytype.RSA2048, keytype.RSA4096, keytype.RSA4096},
		{p, keytype.RSA3072, "", keytype.RSA3072},
		{p, keytype.RSA3072, keytype.Ed25519, keytype.Ed25519},
	} {
		got, err := row.p.NextTypeOf(row.active, row.named)
		require.NoError(t, err)
		require.Equal(t, row.want, got)
	}
	_, err := p.NextTypeOf(keytype.RSA2048, keytype.RSA2048)
	require.ErrorIs(t, err, refusal.ErrRefused)
	require.EqualError(t, err, `type: "rsa-2048": policy "pci" (revision 2) has next_type rsa-4096 for keys of type rsa-2048`)
}
