// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/hashicorp/vault/sdk/helper/errutil"
	"github.com/hashicorp/vault/sdk/helper/keysutil"
)

// convergentVersion is the scheme of new convergent keys: key and nonce key by HKDF from the
// context, nonce by HMAC of the plaintext. [derived.encryptBound] has it for associated data.
const convergentVersion = 3

// derived encrypts through keysutil. Its cost is that of a derivation per request anyway, and the
// derivations are worth more unwritten than fast.
type derived struct {
	prefix  string
	version int
	keySize int
	policy  *keysutil.Policy
}

// newDerived builds in memory what keysutil would hold after that many rotations, with the one
// version present that will be asked for.
func newDerived(spec Spec, version int, m Material, _ io.Reader) (mode, error) {
	policy := keysutil.NewPolicy(keysutil.PolicyConfig{
		Type:                 keyTypes[spec.Algorithm],
		Derived:              true,
		KDF:                  keysutil.Kdf_hkdf_sha256,
		ConvergentEncryption: spec.Convergent,
	})
	key, hmacKey := m.Reveal()
	entry := keysutil.KeyEntry{Key: bytes.Clone(key), HMACKey: bytes.Clone(hmacKey)}
	if spec.Convergent {
		entry.ConvergentVersion = convergentVersion
	}
	policy.Keys = map[string]keysutil.KeyEntry{strconv.Itoa(version): entry}
	policy.LatestVersion = version
	policy.MinDecryptionVersion = version
	return &derived{prefix(version), version, spec.Algorithm.KeySize(), policy}, nil
}

func (d *derived) encrypt(_ context.Context, plaintext string, p Params) (string, error) {
	if d.policy.ConvergentEncryption && len(p.AssociatedData) > 0 {
		return d.encryptBound(plaintext, p)
	}
	options := keysutil.EncryptionOptions{KeyVersion: d.version, Context: p.Context, Nonce: p.Nonce}
	out, err := d.policy.EncryptWithOptions(options, plaintext, associatedData{p})
	if err == nil {
		return out, nil
	}
	// What keysutil looks at first, without naming it.
	if _, broken := base64.StdEncoding.DecodeString(plaintext); broken != nil {
		return "", plaintextError(broken)
	}
	return "", classify(err)
}

func (d *derived) decrypt(_ context.Context, payload string, p Params) (string, error) {
	options := keysutil.EncryptionOptions{Context: p.Context}
	out, err := d.policy.DecryptWithOptions(options, d.prefix+payload, associatedData{p})
	return out, classify(err)
}

// associatedData is how keysutil wants to be handed associated data.
type associatedData struct{ params Params }

// GetAssociatedData implements [keysutil.AssociatedDataFactory].
func (a associatedData) GetAssociatedData() ([]byte, error) {
	return a.params.AssociatedData, a.params.AssociatedDataErr
}

// chachaAuthentication is what keysutil lets through where AES-GCM has [errAuthentication]. The
// error behind it is not exported; a test notices if the text changes.
const chachaAuthentication = "chacha20poly1305: message authentication failed"

// classify turns an error of keysutil into ours with the same text.
func classify(err error) error {
	if err == nil {
		return nil
	}
	var user errutil.UserError
	if !errors.As(err, &user) {
		return fmt.Errorf("%w: %w", ErrInternal, err)
	}
	if user.Err == chachaAuthentication {
		return errAuthentication
	}
	return inputError(user.Err)
}
