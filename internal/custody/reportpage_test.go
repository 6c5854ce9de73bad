// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

func TestAPageOfAReportIsOpenedAsItWasSigned(t *testing.T) {
	key, err := custody.NewSigningKey(strings.NewReader(strings.Repeat("r", 32)), time.Unix(1, 0), 1, nil)
	require.NoError(t, err)
	keys := custody.PublicKeys{key.Public()}
	signed, err := custody.SignReport([]byte(`{"tag":"soc2"}`), key)
	require.NoError(t, err)
	page, err := signed.OpenReport(keys)
	require.NoError(t, err)
	require.JSONEq(t, `{"tag":"soc2"}`, string(page))

	tampered := signed
	tampered.Payload = `{"tag":"gdpr"}`
	_, err = tampered.OpenReport(keys)
	require.ErrorIs(t, err, custody.ErrSignature)
	_, err = signed.OpenReport(nil)
	require.ErrorIs(t, err, custody.ErrSignature)
	_, err = custody.SignReport(nil, custody.SigningKey{})
	require.ErrorIs(t, err, custody.ErrInvalid)
}

func TestASignatureIsOfOneKindOfText(t *testing.T) {
	key, err := custody.NewSigningKey(strings.NewReader(strings.Repeat("r", 32)), time.Unix(1, 0), 1, nil)
	require.NoError(t, err)
	keys := custody.PublicKeys{key.Public()}
	checkpoint, err := custody.SignCheckpoint(custody.Checkpoint{Instance: "i1", Time: time.Unix(1, 0)}, key)
	require.NoError(t, err)
	_, err = checkpoint.OpenReport(keys)
	require.ErrorIs(t, err, custody.ErrSignature)
	page, err := custody.SignReport([]byte(checkpoint.Payload), key)
	require.NoError(t, err)
	_, err = page.Open(keys)
	require.ErrorIs(t, err, custody.ErrSignature)
}
