// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/hashicorp/vault/sdk/helper/keysutil"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// residentPair signs and decrypts on a token. What the public half is enough for, it does here as [asymmetric] does. Signatures and
// texts are Transit's, and so are the errors.
type residentPair struct {
	*asymmetric
	key    ResidentPair
	public crypto.PublicKey
}

// NewResidentPairCipher returns the cipher of a version whose private half stays on a token; public is the other half, in PKIX DER.
// It has no HMAC key.
func NewResidentPairCipher(spec Spec, version int, public []byte, key ResidentPair) (*Cipher, error) {
	if version < 1 || key == nil || spec.Derived {
		return nil, internalError(fmt.Sprintf("new cipher: version %d of a key on a token", version))
	}
	m := NewKeyPair(nil, public, make([]byte, hmacKeySize))
	_, half, err := spec.Algorithm.KeyPair(m)
	if err != nil {
		return nil, err
	}
	verifier, err := newAsymmetric(spec, version, m, nil)
	if err != nil {
		return nil, err
	}
	mode := &residentPair{verifier.(*asymmetric), key, half} //nolint:forcetypeassert // newAsymmetric returns no other
	return &Cipher{spec: spec, version: version, mode: mode}, nil
}

func (*residentPair) canSign() bool { return true }

func (r *residentPair) encrypt(ctx context.Context, plaintext string, p Params) (string, error) {
	if _, isRSA := r.public.(*rsa.PublicKey); isRSA {
		if err := r.check(p); err != nil {
			return "", err
		}
	}
	return r.asymmetric.encrypt(ctx, plaintext, p)
}

// check refuses what the token does not open. Keys there are with SHA-256 alone.
func (r *residentPair) check(p Params) error {
	switch {
	case !r.key.Decrypts(cmp.Or(p.Padding, "oaep")):
		return unsupportedError(fmt.Sprintf("padding_scheme: %q: the token does not decrypt with it: use another one", cmp.Or(p.Padding, "oaep")))
	case p.Hash != "" && p.Hash != residentHash:
		return unsupportedError(fmt.Sprintf("hash_algorithm: %q: must be %s for a key with protection=hsm", p.Hash, residentHash))
	}
	return nil
}

// residentHash is the hash of OAEP on tokens.
const residentHash = "sha2-256"

func (r *residentPair) decrypt(ctx context.Context, payload string, p Params) (string, error) {
	in, err := base64.StdEncoding.DecodeString(payload)
	public, isRSA := r.public.(*rsa.PublicKey)
	if err != nil || !isRSA {
		return r.opened(payload, p) // it says what is wrong before it needs the private half
	}
	if err := r.check(p); err != nil {
		return "", err
	}
	if len(in) != public.Size() {
		return "", errDecryption
	}
	text, err := r.key.Decrypt(ctx, in, cmp.Or(p.Padding, "oaep"))
	defer clear(text)
	switch {
	case isCorrupt(err):
		return "", errDecryption
	case err != nil:
		return "", residentError("ciphertext", err)
	}
	return encode("", text), nil
}

// errDecryption is Transit's answer to an RSA ciphertext that does not open.
var errDecryption = classify(fmt.Errorf("failed to RSA decrypt the ciphertext: %w", rsa.ErrDecryption))

func (r *residentPair) sign(ctx context.Context, input []byte, p SignParams) (Signature, error) {
	options, err := r.options(input, p)
	if err != nil {
		return Signature{}, err
	}
	if len(input) > MaxResidentText {
		return Signature{}, unsupportedError(fmt.Sprintf("input: %d bytes: a key with protection=hsm takes at most %d", len(input), MaxResidentText))
	}
	raw, err := r.key.Sign(ctx, input, options)
	if err != nil {
		return Signature{}, residentError("input", err)
	}
	if public, is := r.public.(*ecdsa.PublicKey); is && p.Marshaling == "jws" {
		if raw, err = fixedWidth(raw, (public.Params().BitSize+7)/8); err != nil {
			return Signature{}, err
		}
	}
	return Signature{Text: r.prefix + encoding(p.Marshaling).EncodeToString(raw)}, nil
}

// options are those of a signature, after what Transit refuses.
func (r *residentPair) options(input []byte, p SignParams) (crypto.SignerOpts, error) {
	public, isRSA := r.public.(*rsa.PublicKey)
	if !isRSA {
		return crypto.Hash(0), nil
	}
	hash, known := keysutil.CryptoHashMap[p.options().HashAlgorithm]
	if !known {
		return nil, classify(errors.New("unsupported hash algorithm"))
	}
	scheme := cmp.Or(p.Scheme, "pss")
	if err := checkRSA(public, hash, scheme, len(input), p); err != nil {
		return nil, err
	}
	if scheme == "pss" {
		return &rsa.PSSOptions{SaltLength: p.SaltLength, Hash: hash}, nil
	}
	return hash, nil
}

// checkRSA refuses what crypto/rsa, or keysutil before it, refuses to sign.
func checkRSA(public *rsa.PublicKey, hash crypto.Hash, scheme string, input int, p SignParams) error {
	longest := (public.N.BitLen()-1+7)/8 - 2 - hashSize(hash)
	switch {
	case scheme == "pss" && (p.SaltLength < rsa.PSSSaltLengthEqualsHash || p.SaltLength > longest):
		return inputError(fmt.Sprintf("requested salt length %d is invalid", p.SaltLength))
	case scheme != "pss" && scheme != "pkcs1v15":
		return classify(errors.New("unsupported rsa signature algorithm " + scheme))
	case hash != 0 && input != hash.Size():
		return classify(errNoDigest[scheme])
	case hash == 0 && input > public.Size()-11: // what is left of the modulus by RFC 8017, section 9.2
		return classify(rsa.ErrMessageTooLong)
	}
	return nil
}

// errNoDigest are the texts of crypto/rsa.
var errNoDigest = map[string]error{
	"pss":      errors.New("crypto/rsa: input must be hashed with given hash"),
	"pkcs1v15": errors.New("crypto/rsa: input must be hashed message"),
}

func hashSize(hash crypto.Hash) int {
	if hash == 0 {
		return 0
	}
	return hash.Size()
}

// fixedWidth returns a signature of ECDSA as JWS has it: r and s, each as long as the curve (RFC 7518, section 3.4).
func fixedWidth(der []byte, size int) ([]byte, error) {
	var inner cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	outer := cryptobyte.String(der)
	ok := outer.ReadASN1(&inner, asn1.SEQUENCE) && outer.Empty() && inner.ReadASN1Integer(r) && inner.ReadASN1Integer(s) && inner.Empty()
	if !ok || r.Sign() < 0 || s.Sign() < 0 || max(r.BitLen(), s.BitLen()) > 8*size {
		return nil, internalError("sign: the token's signature is none of ECDSA")
	}
	out := make([]byte, 2*size)
	r.FillBytes(out[:size])
	s.FillBytes(out[size:])
	return out, nil
}

// request has the token sign a certificate request.
func (r *residentPair) request(ctx context.Context, template *x509.CertificateRequest) (string, error) {
	wanted := *template
	wanted.Signature, wanted.SignatureAlgorithm = nil, x509.UnknownSignatureAlgorithm
	der, err := x509.CreateCertificateRequest(nil, &wanted, tokenSigner{ctx, r})
	if err != nil {
		return "", residentError("csr", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), nil
}

// tokenSigner is the key as crypto/x509 takes one, for one request.
type tokenSigner struct {
	ctx context.Context //nolint:containedctx // crypto.Signer has none
	*residentPair
}

// Public is crypto.Signer's.
func (t tokenSigner) Public() crypto.PublicKey { return t.public }

// Sign is crypto.Signer's. The source of randomness is the token's.
func (t tokenSigner) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	return t.key.Sign(t.ctx, digest, options)
}

// residentMAC makes HMACs on a token, and does nothing else.
type residentMAC struct {
	noMode
	key ResidentMAC
}

// NewResidentMACCipher returns the cipher of a version whose HMAC key stays on a token.
func NewResidentMACCipher(version int, key ResidentMAC) (*Cipher, error) {
	if version < 1 || key == nil {
		return nil, internalError(fmt.Sprintf("new cipher: version %d of a key on a token", version))
	}
	return &Cipher{spec: Spec{Algorithm: HMAC}, version: version, mode: residentMAC{noMode{HMAC}, key}}, nil
}

func (r residentMAC) hmac(ctx context.Context, hash crypto.Hash, input []byte) ([]byte, error) {
	if len(input) > MaxResidentText {
		return nil, unsupportedError(fmt.Sprintf("input: %d bytes: a key with protection=hsm takes at most %d", len(input), MaxResidentText))
	}
	mac, err := r.key.MAC(ctx, hash, input)
	if err != nil {
		return nil, residentError("algorithm", err)
	}
	return mac, nil
}
