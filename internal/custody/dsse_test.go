// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// TestTheEncodingThatIsSignedIsDSSEs has the example of DSSE 1.0, protocol.md, "Test Vectors": its encoding, and its signature,
// by ECDSA over P-256, of that.
func TestTheEncodingThatIsSignedIsDSSEs(t *testing.T) {
	encoded := custody.PreAuthEncoding("http://example.com/HelloWorld", []byte("hello world"))
	require.Equal(t, "DSSEv1 29 http://example.com/HelloWorld 11 hello world", string(encoded))

	number := func(text string) *big.Int {
		n, ok := new(big.Int).SetString(text, 10)
		require.True(t, ok)
		return n
	}
	key := &ecdsa.PublicKey{
		Curve: elliptic.P256(),
		X:     number("46950820868899156662930047687818585632848591499744589407958293238635476079160"),
		Y:     number("5640078356564379163099075877009565129882514886557779369047442380624545832820"),
	}
	signature, err := base64.StdEncoding.DecodeString("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
	require.NoError(t, err)
	digest := sha256.Sum256(encoded)
	require.True(t, ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])))

	require.Equal(t, "DSSEv1 2 é 0 ", string(custody.PreAuthEncoding("é", nil)), "lengths are of bytes")
}

func TestAnEnvelopeOpensForWhoSignedIt(t *testing.T) {
	keys, public := generations(t, 2)
	e, err := custody.Seal("text", []byte("hello?>"), keys[1])
	require.NoError(t, err)
	payload, err := custody.Open(e, "text", public)
	require.NoError(t, err)
	require.Equal(t, "hello?>", string(payload))

	urlSafe := e
	urlSafe.Payload = base64.URLEncoding.EncodeToString(payload)
	require.NotEqual(t, e.Payload, urlSafe.Payload)
	_, err = custody.Open(urlSafe, "text", public)
	require.NoError(t, err, "either base64 is accepted")

	for name, change := range map[string]func(e *custody.Envelope){
		"another payload":     func(e *custody.Envelope) { e.Payload = base64.StdEncoding.EncodeToString([]byte("hello!")) },
		"another type":        func(e *custody.Envelope) { e.PayloadType = "text2" },
		"no signature":        func(e *custody.Envelope) { e.Signatures = nil },
		"a signature cut off": func(e *custody.Envelope) { e.Signatures[0].Signature = e.Signatures[0].Signature[:80] },
		"of a checkpoint": func(e *custody.Envelope) {
			e.Signatures[0].Signature = newJournal(t, mount).checkpoint(keys[1]).Signature
		},
	} {
		other := e
		other.Signatures = append([]custody.EnvelopeSignature{}, e.Signatures...)
		change(&other)
		_, err := custody.Open(other, "text", public)
		require.ErrorIs(t, err, custody.ErrSignature, name)
	}
	_, err = custody.Open(e, "text", public[:1])
	require.ErrorIs(t, err, custody.ErrSignature, "by a key that is not trusted")

	hinted := e
	hinted.Signatures = []custody.EnvelopeSignature{{KeyID: public[0].ID, Signature: e.Signatures[0].Signature}}
	_, err = custody.Open(hinted, "text", public)
	require.NoError(t, err, "the hint decides nothing")
	_, err = custody.Open(e, "other", public)
	require.ErrorIs(t, err, custody.ErrMalformed, "signed, as something else")
	for _, bad := range []custody.Envelope{
		{Payload: "?", PayloadType: "text", Signatures: e.Signatures},
		{Payload: e.Payload + "\n", PayloadType: "text", Signatures: e.Signatures},
		{Payload: strings.Repeat("A", 2<<20), PayloadType: "text", Signatures: e.Signatures},
		{Payload: e.Payload, PayloadType: "text", Signatures: make([]custody.EnvelopeSignature, 17)},
	} {
		_, err = custody.Open(bad, "text", public)
		require.ErrorIs(t, err, custody.ErrMalformed)
	}
}
