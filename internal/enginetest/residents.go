// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Residents are keys that stay on the token. They are away when the token is, and are asked for nothing under a lock.
type Residents struct {
	token   *Token
	mu      sync.Mutex
	objects map[string]cipher.AEAD // by what names a key: its id, that of its Vault key, and its version
	calls   int                    // encryptions and decryptions
	none    bool
	before  func()
}

// Objects returns how many keys are on the token.
func (r *Residents) Objects() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.objects)
}

// Calls returns how many texts were encrypted and decrypted.
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

// BeforeNext runs do before the next encryption or decryption.
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

// DrawKey is engine.TokenKeys's.
func (r *Residents) DrawKey(_ context.Context, keyID string, version int) (id string, description []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.none {
		return "", nil, fmt.Errorf("%w: no HSM is configured", envelope.ErrUnsupported)
	}
	var drawn [16]byte
	_, err = rand.Read(drawn[:])
	id = hex.EncodeToString(drawn[:])
	return id, []byte(nameOf(id, keyID, version)), err
}

// GenerateKey is engine.TokenKeys's.
func (r *Residents) GenerateKey(ctx context.Context, description []byte) ([]byte, error) {
	if err := r.ask(ctx); err != nil {
		return nil, err
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects[string(description)] = aead
	return append([]byte("reference to "), description...), err
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
	return residentKey{r, strings.TrimPrefix(string(reference), "reference to ")}, nil
}

type residentKey struct {
	*Residents
	name string
}

var errGone = errors.New("the token has no such key")

func (k residentKey) get(ctx context.Context) (cipher.AEAD, error) {
	k.mu.Lock()
	do := k.before
	k.before = nil
	k.mu.Unlock()
	if do != nil {
		do()
	}
	if err := k.ask(ctx); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls++
	aead, ok := k.objects[k.name]
	if !ok {
		return nil, errGone
	}
	return aead, nil
}

// Encrypt is envelope.ResidentKey's.
func (k residentKey) Encrypt(ctx context.Context, text, associatedData []byte) ([]byte, error) {
	aead, err := k.get(ctx)
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
	aead, err := k.get(ctx)
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
