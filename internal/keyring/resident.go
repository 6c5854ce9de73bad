// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keyring

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
)

// reference is what is sealed of a version whose key stays on the token, and what describes a key that is to be made there. It
// holds no secret: the canary is encrypted by the key.
type reference struct {
	Schema    int         `json:"schema"`
	Type      hsm.KeyType `json:"type"`
	ID        []byte      `json:"id"`
	CKAID     []byte      `json:"cka_id"`
	Label     string      `json:"label"`
	Serial    string      `json:"serial"`
	Suite     hsm.Suite   `json:"suite"` // of aes256-gcm96, as the canary; 0: of another type
	Canary    []byte      `json:"canary"`
	CanarySum []byte      `json:"canary_sum"`
	Created   time.Time   `json:"created"`
	Warnings  []string    `json:"warnings"`

	Size     int           `json:"size,omitempty"`     // of hmac
	Public   []byte        `json:"public,omitempty"`   // of a pair, PKIX DER
	Paddings []hsm.Padding `json:"paddings,omitempty"` // of rsa
}

const referenceSchema = 1

func encodeReference(k hsm.ResidentKey) ([]byte, error) {
	return json.Marshal(reference{
		referenceSchema, k.Type, k.ID[:], k.CKAID, k.Label, k.Serial, k.Suite, k.Canary, k.CanarySum, k.Created, k.Warnings,
		k.Size, k.Public, k.Paddings,
	})
}

// errReference reports a reference that no release up to this one has written.
var errReference = errors.New("reference to a key on the token cannot be read")

func decodeReference(text []byte) (hsm.ResidentKey, error) {
	var r reference
	if json.Unmarshal(text, &r) != nil || r.Schema != referenceSchema || len(r.ID) != len(hsm.ResidentKey{}.ID) {
		return hsm.ResidentKey{}, errReference
	}
	return hsm.ResidentKey{
		Type: r.Type, ID: [16]byte(r.ID), CKAID: r.CKAID, Label: r.Label, Serial: r.Serial, Suite: r.Suite, Canary: r.Canary,
		CanarySum: r.CanarySum, Created: r.Created, Warnings: r.Warnings, Size: r.Size, Public: r.Public, Paddings: r.Paddings,
	}, nil
}

// residentLabel is the CKA_LABEL of the key of a version. It names mount, key and version, so that nothing that is stored under
// one key can have an object of another, or of anybody else, destroyed.
func residentLabel(instance, keyID string, version int) string {
	return fmt.Sprintf("keylife-%.8s-k-%s-v%d", instance, keyID, version)
}

// CheckKey refuses a key that the token cannot hold, by what the token says of itself. The error is [envelope.ErrUnsupported], also where
// no token is configured.
func (b Bound) CheckKey(ctx context.Context, wanted envelope.TokenKey) error {
	spec, err := b.spec(ctx, wanted)
	if err != nil {
		return err
	}
	if spec.Type == hsm.AES256GCM96 { // the key encryption key shows that the token can
		_, err := hsm.DrawKey(spec, b.keyring.Now(), b.keyring.Rand)
		return asUnsupported(err)
	}
	use, err := b.use(ctx)
	if err != nil {
		return err
	}
	return asUnsupported(b.keyring.gate(use).seen(ctx, hsm.CheckKey(ctx, use, spec)))
}

// DrawKey describes a key that the token is to make for a version; id is its CKA_ID in hex. One of aes256-gcm96 encrypts by the suite
// of the key encryption key in use. The error is that of CheckKey; the token is not asked.
func (b Bound) DrawKey(ctx context.Context, wanted envelope.TokenKey) (id string, description []byte, err error) {
	spec, err := b.spec(ctx, wanted)
	if err != nil {
		return "", nil, err
	}
	k, err := hsm.DrawKey(spec, b.keyring.Now(), b.keyring.Rand)
	if err != nil {
		return "", nil, asUnsupported(err)
	}
	description, err = encodeReference(k)
	return hex.EncodeToString(k.CKAID), description, err
}

func (b Bound) spec(ctx context.Context, wanted envelope.TokenKey) (spec hsm.KeySpec, err error) {
	ring, err := b.ring(ctx)
	switch {
	case errors.Is(err, hsm.ErrKEKMissing): // a mount without a first key has none
		return spec, unsupported("no HSM is configured")
	case err != nil:
		return spec, err
	}
	active, ok := ring.stored.ActiveOf(envelope.PurposeOnline)
	switch {
	case !ring.stored.Configured:
		return spec, unsupported("no HSM is configured")
	case !ok:
		return spec, unsupported("the HSM is not enabled, or has no key encryption key in use")
	}
	return hsm.KeySpec{
		Type: hsm.KeyType(wanted.Algorithm), Size: wanted.Size, Label: residentLabel(ring.instance, wanted.KeyID, wanted.Version),
		Serial: active.Serial, Suite: active.Suite,
	}, nil
}

func asUnsupported(err error) error {
	if errors.Is(err, hsm.ErrUnsupported) {
		return unsupported(err.Error())
	}
	return err
}

func unsupported(why string) error { return fmt.Errorf("%w: %s", envelope.ErrUnsupported, why) }

// GenerateKey makes the key that [Bound.DrawKey] described on the token, tests it, and returns the reference to it, and of a pair the public half. What becomes of a call that fails is not known: the key may be there.
func (b Bound) GenerateKey(ctx context.Context, description []byte) (reference, public []byte, err error) {
	k, err := decodeReference(description)
	if err != nil {
		return nil, nil, err
	}
	use, err := b.use(ctx)
	if err != nil {
		return nil, nil, err
	}
	var made hsm.ResidentKey
	g := b.keyring.gate(use)
	err = g.timed(ctx, &g.hsm.Manage, func() (err error) {
		made, err = hsm.GenerateKey(ctx, use, k, b.keyring.Rand)
		return err
	})
	if err = g.seen(ctx, err); err != nil {
		return nil, nil, err
	}
	reference, err = encodeReference(made)
	return reference, made.Public, err
}

// DestroyKey destroys the key of a version on the token, by its CKA_ID in hex. That it is gone already is no error.
func (b Bound) DestroyKey(ctx context.Context, id, keyID string, version int) error {
	cka, err := hex.DecodeString(id)
	if err != nil || len(cka) != len(hsm.ResidentKey{}.ID) {
		return fmt.Errorf("destroy key on the token: id %q: %w", id, errReference)
	}
	ring, err := b.ring(ctx)
	if err != nil {
		return err
	}
	use, err := b.use(ctx)
	if err != nil {
		return err
	}
	k := hsm.ResidentKey{ID: [16]byte(cka), CKAID: cka, Label: residentLabel(ring.instance, keyID, version)}
	g := b.keyring.gate(use)
	err = g.timed(ctx, &g.hsm.Manage, func() error { return hsm.DestroyKey(ctx, use, k) })
	if err == nil || errors.Is(err, hsm.ErrKEKMissing) {
		err = b.works(ctx, use, ring.stored) // a token that has vanished finds no key either
	}
	return g.seen(ctx, err)
}

// errStrange reports a token without the keys of the mount: that it lacks another one says nothing.
var errStrange = fmt.Errorf("%w: the token does not have the key encryption keys of the mount", envelope.ErrUnavailable)

// works sees that the token is there, with a key that the mount has on it.
func (b Bound) works(ctx context.Context, use *tokens.Use, stored HSM) error {
	for _, kek := range stored.KEKs {
		if !kek.Opens() {
			continue
		}
		w, err := hsm.NewWrapper(use, kek.KEK, b.keyring.Rand)
		if err == nil {
			err = w.Check(ctx)
		}
		if errors.Is(err, hsm.ErrKEKMissing) || errors.Is(err, hsm.ErrKEKMismatch) {
			return errStrange
		}
		return err
	}
	_, err := use.Info(ctx)
	return err
}

func (b Bound) ring(ctx context.Context) (*wrappers, error) { return b.keyring.ring(ctx, b.store) }

// errNoToken reports a mount that no token is configured for, or whose token is being configured anew.
var errNoToken = fmt.Errorf("%w: no HSM is in use", envelope.ErrUnavailable)

// use returns the use of the mount's token.
func (b Bound) use(ctx context.Context) (*tokens.Use, error) {
	if _, err := b.ring(ctx); err != nil {
		return nil, err
	}
	if use := b.keyring.inUse(); use != nil {
		return use, nil
	}
	return nil, errNoToken
}

// gate is what calls of the token with keys that stay there go through, as those of wrappers do.
func (k *Keyring) gate(use *tokens.Use) gate { return gate{&k.health, use, &k.Observe.HSM, k.Now} }
