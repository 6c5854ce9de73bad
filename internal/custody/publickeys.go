// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// PublicKey is one generation of the key that signs checkpoints.
type PublicKey struct {
	ID         string    `json:"id"` // hex of the first 16 bytes of the SHA-256 of the raw key
	Generation int       `json:"generation"`
	Key        string    `json:"key"` // base64
	Created    time.Time `json:"created"`
	SignedBy   string    `json:"signed_by,omitempty"` // ID of the generation before; empty in the first
	Signature  string    `json:"signature,omitempty"` // its Ed25519 over "keylife/custody-key/v1\n" || the JSON of this without signature
}

func (k PublicKey) body() ([]byte, error) {
	k.Signature = ""
	k.Created = k.Created.UTC()
	return canonical(k)
}

func idOf(raw ed25519.PublicKey) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// PublicKeys are generations in their order, each after the one that signed it. The list may start
// with any generation.
type PublicKeys []PublicKey

// Check tells whether who trusts the first key may trust them all. With pinned, the first must have
// that id; pinned "" trusts it as it is. The error matches [ErrKeys].
func (k PublicKeys) Check(pinned string) error {
	if len(k) == 0 {
		return fmt.Errorf("%w: there are none", ErrKeys)
	}
	if pinned != "" && k[0].ID != pinned {
		return fmt.Errorf("%w: the first is %q, pinned is %q", ErrKeys, k[0].ID, pinned)
	}
	for i, key := range k {
		if raw, ok := unbase64(key.Key, ed25519.PublicKeySize); !ok || key.ID != idOf(raw) || key.Generation < 1 {
			return fmt.Errorf("%w: %q is not the id of its key", ErrKeys, key.ID)
		}
		if i > 0 && !key.follows(k[i-1]) {
			return fmt.Errorf("%w: %q (generation %d) is not signed by %q before it", ErrKeys, key.ID, key.Generation, k[i-1].ID)
		}
	}
	return nil
}

func (k PublicKey) follows(previous PublicKey) bool {
	body, err := k.body()
	return err == nil && k.Generation == previous.Generation+1 && k.SignedBy == previous.ID &&
		previous.verify(publicKeyContext, body, k.Signature)
}
