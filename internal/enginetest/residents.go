// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Residents are keys that stay on the token. They are away when the token is, and are asked for nothing under a lock.
type Residents struct {
	token   *Token
	mu      sync.Mutex
	objects map[string]any // a cipher.AEAD, a crypto.Signer, or bytes for HMACs, by what names it: its id, that of its Vault key, its version
	calls   int            // uses of the keys
	none    bool
	before  func()
}

// Objects returns how many keys are on the token.
func (r *Residents) Objects() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.objects)
}

// Calls returns how often keys were used.
func (r *Residents) Calls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.calls
}

// Refuse makes the token one that holds no keys.
func (r *Residents) Refuse() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.none = true
}

// BeforeNext runs do before the next use of a key.
func (r *Residents) BeforeNext(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = do
}

// ask is a call of the token.
func (r *Residents) ask(ctx context.Context) error {
	r.token.asked()
	r.token.mu.Lock()
	defer r.token.mu.Unlock()
	return errors.Join(r.token.err, ctx.Err())
}

func nameOf(id, keyID string, version int) string {
	return fmt.Sprintf("%s of %s v%d", id, keyID, version)
}

// CheckKey is engine.TokenKeys's.
func (r *Residents) CheckKey(ctx context.Context, _ envelope.TokenKey) error {
	r.mu.Lock()
	none := r.none
	r.mu.Unlock()
	if none {
		return fmt.Errorf("%w: no HSM is configured", envelope.ErrUnsupported)
	}
	return r.ask(ctx)
}

// drawn is what describes a key that is to be made.
type drawn struct {
	Algorithm envelope.Algorithm
	Name      string
}

// DrawKey is engine.TokenKeys's.
func (r *Residents) DrawKey(_ context.Context, wanted envelope.TokenKey) (id string, description []byte, err error) {
	var random [16]byte
	if _, err = rand.Read(random[:]); err != nil {
		return "", nil, err
	}
	id = hex.EncodeToString(random[:])
	description, err = json.Marshal(drawn{wanted.Algorithm, nameOf(id, wanted.KeyID, wanted.Version)})
	return id, description, err
}

// GenerateKey is engine.TokenKeys's.
func (r *Residents) GenerateKey(ctx context.Context, description []byte) (reference, public []byte, err error) {
	if err := r.ask(ctx); err != nil {
		return nil, nil, err
	}
	var d drawn
	if err := json.Unmarshal(description, &d); err != nil {
		return nil, nil, err
	}
	object, err := newObject(d.Algorithm)
	if err != nil {
		return nil, nil, err
	}
	if signer, pair := object.(crypto.Signer); pair {
		if public, err = x509.MarshalPKIXPublicKey(signer.Public()); err != nil {
			return nil, nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects[d.Name] = object
	return []byte(d.Name), public, nil
}

func newObject(a envelope.Algorithm) (any, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	switch a {
	case envelope.HMAC:
		return key, nil
	case envelope.Ed25519:
		return ed25519.NewKeyFromSeed(key), nil
	case envelope.ECDSAP256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case envelope.RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// DestroyKey is engine.TokenKeys's.
func (r *Residents) DestroyKey(ctx context.Context, id, keyID string, version int) error {
	if err := r.ask(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.objects, nameOf(id, keyID, version))
	return nil
}

// ResidentKey is dataplane.ResidentSource's.
func (r *Residents) ResidentKey(reference []byte) (envelope.ResidentKey, error) {
	return residentKey{r, string(reference)}, nil
}

// ResidentPair is dataplane.ResidentSource's.
func (r *Residents) ResidentPair(reference []byte) (envelope.ResidentPair, error) {
	return residentPair{residentKey{r, string(reference)}}, nil
}

// ResidentMAC is dataplane.ResidentSource's.
func (r *Residents) ResidentMAC(reference []byte) (envelope.ResidentMAC, error) {
	return residentMAC{residentKey{r, string(reference)}}, nil
}

type residentKey struct {
	*Residents
	name string
}

var errGone = errors.New("the token has no such key")

// used is a use of a key, which must be one of type K.
func used[K any](ctx context.Context, k residentKey) (key K, err error) {
	k.mu.Lock()
	do := k.before
	k.before = nil
	k.mu.Unlock()
	if do != nil {
		do()
	}
	if err := k.ask(ctx); err != nil {
		return key, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls++
	key, ok := k.objects[k.name].(K)
	if !ok {
		return key, errGone
	}
	return key, nil
}

type residentPair struct{ residentKey }

// Sign is envelope.ResidentPair's.
func (k residentPair) Sign(ctx context.Context, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	key, err := used[crypto.Signer](ctx, k.residentKey)
	if err != nil {
		return nil, err
	}
	return key.Sign(rand.Reader, digest, options)
}

// Decrypt is envelope.ResidentPair's.
func (k residentPair) Decrypt(ctx context.Context, ciphertext []byte, _ string) ([]byte, error) {
	key, err := used[crypto.Decrypter](ctx, k.residentKey)
	if err != nil {
		return nil, err
	}
	text, err := key.Decrypt(nil, ciphertext, &rsa.OAEPOptions{Hash: crypto.SHA256})
	if err != nil {
		return nil, corrupt{}
	}
	return text, nil
}

// Decrypts is envelope.ResidentPair's.
func (residentPair) Decrypts(padding string) bool { return padding == "oaep" }

type residentMAC struct{ residentKey }

// MAC is envelope.ResidentMAC's.
func (k residentMAC) MAC(ctx context.Context, hash crypto.Hash, input []byte) ([]byte, error) {
	key, err := used[[]byte](ctx, k.residentKey)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(hash.New, key)
	mac.Write(input)
	return mac.Sum(nil), nil
}

// Encrypt is envelope.ResidentKey's.
func (k residentKey) Encrypt(ctx context.Context, text, associatedData []byte) ([]byte, error) {
	aead, err := used[cipher.AEAD](ctx, k)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return aead.Seal(nonce, nonce, text, associatedData), nil
}

// corrupt is the error of a ciphertext that does not authenticate.
type corrupt struct{}

func (corrupt) Error() string { return "does not authenticate" }
func (corrupt) Corrupt() bool { return true }

// Decrypt is envelope.ResidentKey's.
func (k residentKey) Decrypt(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	aead, err := used[cipher.AEAD](ctx, k)
	if err != nil {
		return nil, err
	}
	n := aead.NonceSize()
	if len(ciphertext) < n {
		return nil, corrupt{}
	}
	text, err := aead.Open(nil, ciphertext[:n], ciphertext[n:], associatedData)
	if err != nil {
		return nil, corrupt{}
	}
	return text, nil
}

// objectStore keeps which keys on the token may belong to no version.
type objectStore struct{ *Mount }

func (s objectStore) PendingObjects(ctx context.Context) ([]string, error) {
	err := s.called(ctx, "PendingObjects", "")
	s.mu.Lock()
	defer s.mu.Unlock()
	return sorted(s.objects), err
}

func (s objectStore) PutObject(ctx context.Context, o lifecycle.Object) error {
	if err := s.called(ctx, "PutObject", o.Key); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[o.ID] = o
	return nil
}

func (s objectStore) GiveUpObject(ctx context.Context, id string, after time.Time) (lifecycle.Object, bool, error) {
	if err := s.called(ctx, "GiveUpObject", id); err != nil {
		return lifecycle.Object{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.objects[id]
	k := s.keys[o.Key]
	switch {
	case o.GivenUp:
		return o, true, nil
	case k.ID == o.KeyID && k.Latest >= o.Version && s.versions[place{o.Key, o.Version}].Object == id:
		delete(s.objects, id)
		return o, false, nil
	case o.Created.After(after):
		return o, false, nil
	}
	o.GivenUp = true
	s.objects[id] = o
	return o, true, nil
}

func (s objectStore) DropObject(ctx context.Context, id string) error {
	if err := s.called(ctx, "DropObject", id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, id)
	return nil
}
