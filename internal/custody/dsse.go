// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Envelope is a signed document as DSSE 1.0 has it (github.com/secure-systems-lab/dsse, envelope.md): any tool that knows
// the format checks the signature.
//
//	{"payload":"eyJfdHlwZSI6…","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"7aa7…","sig":"LI1d…"}]}
type Envelope struct {
	Payload     string              `json:"payload"` // base64
	PayloadType string              `json:"payloadType"`
	Signatures  []EnvelopeSignature `json:"signatures"`
}

// EnvelopeSignature is one of the signatures of an envelope.
type EnvelopeSignature struct {
	KeyID     string `json:"keyid"` // of a [PublicKey]; a hint, which is not signed
	Signature string `json:"sig"`   // base64, Ed25519 over the pre-authentication encoding
}

// The bounds of an envelope that is read.
const (
	maxPayload    = 1 << 20
	maxSignatures = 16
)

// preAuthEncoding is what is signed: PAE of DSSE's protocol.md.
func preAuthEncoding(payloadType string, payload []byte) []byte {
	head := fmt.Sprintf("DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload))
	return append([]byte(head), payload...)
}

// seal signs a document.
func seal(payloadType string, payload []byte, key SigningKey) (Envelope, error) {
	signature, err := key.sign("", preAuthEncoding(payloadType, payload))
	if err != nil {
		return Envelope{}, err
	}
	return Envelope{
		Payload: base64.StdEncoding.EncodeToString(payload), PayloadType: payloadType,
		Signatures: []EnvelopeSignature{{KeyID: key.public.ID, Signature: signature}},
	}, nil
}

// open returns the document if one of keys signed it as one of the type. The error matches [ErrSignature] or [ErrMalformed].
func (e Envelope) open(payloadType string, keys PublicKeys) ([]byte, error) {
	if len(e.Signatures) > maxSignatures || len(e.Payload) > maxPayload {
		return nil, fmt.Errorf("%w: an envelope of more than %d signatures or %d bytes", ErrMalformed, maxSignatures, maxPayload)
	}
	payload, err := eitherBase64(e.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: payload is not base64", ErrMalformed)
	}
	message := preAuthEncoding(e.PayloadType, payload)
	signed := slices.ContainsFunc(e.Signatures, func(s EnvelopeSignature) bool {
		raw, err := eitherBase64(s.Signature)
		return err == nil && slices.ContainsFunc(keys, func(k PublicKey) bool { return k.signed(message, raw) })
	})
	switch {
	case !signed:
		return nil, fmt.Errorf("%w: no signature by any of the public keys", ErrSignature)
	case e.PayloadType != payloadType:
		return nil, fmt.Errorf("%w: payloadType %.99q, want %q", ErrMalformed, e.PayloadType, payloadType)
	}
	return payload, nil
}

func (k PublicKey) signed(message, signature []byte) bool {
	key, ok := unbase64(k.Key, ed25519.PublicKeySize)
	return ok && len(signature) == ed25519.SignatureSize && ed25519.Verify(key, message, signature)
}

// eitherBase64 reads standard and URL-safe base64, which DSSE has verifiers accept.
func eitherBase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") { // which the decoder skips
		return nil, errors.New("line break in base64")
	}
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	return base64.StdEncoding.Strict().DecodeString(text)
}
