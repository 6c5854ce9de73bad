// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
)

// ParseRequest reads a certificate request in PEM, whose subject and extensions another one is to have; empty: it has none. The
// error is [ErrInput].
func ParseRequest(text string) (*x509.CertificateRequest, error) {
	if text == "" {
		return &x509.CertificateRequest{}, nil
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, inputError("csr: could not decode PEM certificate request")
	}
	template, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, inputError("csr: could not parse the certificate request: " + err.Error())
	}
	return template, nil
}

// Request returns a certificate request for the version's public half, in PEM. Errors match [ErrInput] where the algorithm does
// not sign, or there is no private half.
func (c *Cipher) Request(ctx context.Context, template *x509.CertificateRequest) (string, error) {
	if r, onToken := c.mode.(*residentPair); onToken {
		return r.request(ctx, template)
	}
	a, ok := c.mode.(*asymmetric)
	if !ok {
		return "", c.errNoSigning("signing")
	}
	wanted := *template // keysutil changes what it is given
	text, err := a.policy.CreateCsr(a.version, &wanted)
	if err != nil {
		return "", classify(err)
	}
	return string(text), nil
}

// Chain is a certificate with those that vouch for it.
type Chain struct {
	DER    [][]byte // the leaf first
	Public []byte   // the leaf's public half, PKIX DER
	Kind   string   // of the leaf's public half: RSA, ECDSA or Ed25519
}

// ParseChain reads a chain in PEM, the leaf first. The error is [ErrInput].
func ParseChain(text string) (c Chain, err error) {
	var all []*x509.Certificate
	for rest := []byte(text); len(strings.TrimSpace(string(rest))) > 0; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return c, inputError("certificate_chain: could not decode PEM block in certificate chain")
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return c, inputError("certificate_chain: could not parse certificate: " + err.Error())
		}
		all = append(all, one)
		c.DER = append(c.DER, one.Raw)
	}
	switch {
	case len(all) == 0:
		return c, inputError("certificate_chain: did not contain any valid PEM certificate")
	case all[0].BasicConstraintsValid && all[0].IsCA:
		return c, inputError("certificate_chain: certificate in the first position is not a leaf certificate")
	}
	for _, one := range all[1:] {
		if one.BasicConstraintsValid && !one.IsCA {
			return c, inputError("certificate_chain: provided certificate chain contains more than one leaf certificate")
		}
	}
	c.Kind = all[0].PublicKeyAlgorithm.String()
	c.Public, err = x509.MarshalPKIXPublicKey(all[0].PublicKey)
	if err != nil {
		return c, inputError("certificate_chain: public key of the leaf certificate: " + err.Error())
	}
	return c, nil
}

// FormatChain returns a chain in PEM.
func FormatChain(der [][]byte) string {
	var text strings.Builder
	for _, one := range der {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one}))
	}
	return strings.TrimSuffix(text.String(), "\n")
}

// CheckLeaf refuses a certificate for keys of another kind. The error is [ErrInput].
func (a Algorithm) CheckLeaf(c Chain) error {
	want := map[bool]string{curves[a] != nil: "ECDSA", moduli[a] != 0: "RSA", a == Ed25519: "Ed25519"}[true]
	if c.Kind == want {
		return nil
	}
	return inputError(fmt.Sprintf("provided leaf certificate public key algorithm '%s' does not match the transit key type '%s'", c.Kind, a))
}
