// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package clienttest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// State of a version, or of a key as a whole.
type State string

// States. A version that is neither of them is deactivated: a newer one is active. It opens what it encrypted.
const (
	Active      State = "active"
	Suspended   State = "suspended"   // denies all uses
	Archived    State = "archived"    // denies all uses
	Compromised State = "compromised" // opens and protects nothing new
	Retired     State = "retired"     // denies all uses
	Destroyed   State = "destroyed"   // denies all uses
)

// opens are the states that open what was encrypted.
var opens = map[State]bool{Active: true, Compromised: true, Suspended: false, Archived: false, Retired: false, Destroyed: false}

type key struct {
	name     string
	state    State
	min      int // min_decryption_version
	versions []version
}

type version struct {
	state State
	aead  cipher.AEAD
}

// CreateKey makes a key with one version.
func (f *FakeVault) CreateKey(name string) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys[name] != nil {
		f.t.Fatalf("create key %q: it is there", name)
	}
	f.keys[name] = &key{name: name, state: Active, versions: []version{f.newVersion()}}
}

// Rotate gives a key a new version.
func (f *FakeVault) Rotate(name string) {
	f.t.Helper()
	f.change(name, 1, func(k *key) { k.versions = append(k.versions, f.newVersion()) })
}

// SetState puts a version into a state. Only the newest version protects, and that while it is [Active].
func (f *FakeVault) SetState(name string, version int, s State) {
	f.t.Helper()
	f.check(s)
	f.change(name, version, func(k *key) { k.versions[version-1].state = s })
}

// SetKeyState puts a key as a whole into a state, which is in force over those of its versions.
func (f *FakeVault) SetKeyState(name string, s State) {
	f.t.Helper()
	f.check(s)
	f.change(name, 1, func(k *key) { k.state = s })
}

// SetMinDecryptionVersion makes older versions open nothing. The refusal has no code, as with Transit.
func (f *FakeVault) SetMinDecryptionVersion(name string, version int) {
	f.t.Helper()
	f.change(name, version, func(k *key) { k.min = version })
}

func (f *FakeVault) check(s State) {
	f.t.Helper()
	if _, ok := opens[s]; !ok {
		f.t.Fatalf("state %q: unknown", s)
	}
}

// change changes a key that has the version.
func (f *FakeVault) change(name string, version int, how func(*key)) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.keys[name]
	if k == nil || version < 1 || version > len(k.versions) {
		f.t.Fatalf("key %q, version %d: not there", name, version)
	}
	how(k)
}

func (f *FakeVault) newVersion() version {
	material := make([]byte, 32)
	_, _ = rand.Read(material) // never fails
	block, err := aes.NewCipher(material)
	if err != nil {
		f.t.Fatalf("new version: %v", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		f.t.Fatalf("new version: %v", err)
	}
	return version{Active, aead}
}

// seal encrypts under the newest version, if that may.
func (k *key) seal(plaintext []byte) (ciphertext string, err error) {
	newest := len(k.versions)
	v := k.versions[newest-1]
	switch {
	case k.state != Active:
		return "", fmt.Errorf("key %q cannot encrypt: the key as a whole is %s [key_%s]", k.name, k.state, k.state)
	case v.state != Active:
		return "", fmt.Errorf("key %q cannot encrypt: its version %d is %s [version_%s]", k.name, newest, v.state, v.state)
	}
	sealed := v.aead.Seal(nil, nil, plaintext, nil) //nolint:gosec // G407: the AEAD makes the nonce, and takes none
	return fmt.Sprintf("vault:v%d:%s", newest, base64.StdEncoding.EncodeToString(sealed)), nil
}

// open decrypts, if the version may.
func (k *key) open(ciphertext string) ([]byte, error) {
	number, sealed, err := parse(ciphertext)
	if err != nil {
		return nil, err
	}
	if number > len(k.versions) {
		return nil, errors.New("invalid ciphertext: version is too new")
	}
	v := k.versions[number-1]
	switch {
	case !opens[k.state]:
		return nil, fmt.Errorf("ciphertext or signature version is disallowed by policy: key %q is %s [key_%s]", k.name, k.state, k.state)
	case !opens[v.state]:
		return nil, fmt.Errorf("ciphertext or signature version is disallowed by policy (too old): version %d is %s [version_%s]", number, v.state, v.state)
	case number < k.min:
		return nil, errors.New("ciphertext or signature version is disallowed by policy (too old)")
	case len(sealed) < v.aead.Overhead():
		return nil, errors.New("invalid ciphertext length")
	}
	return v.aead.Open(nil, nil, sealed, nil) // fails with the words of Transit, which are those of crypto/cipher
}

func parse(ciphertext string) (version int, sealed []byte, err error) {
	rest, ok := strings.CutPrefix(ciphertext, "vault:v")
	if !ok {
		return 0, nil, errors.New("invalid ciphertext: no prefix")
	}
	digits, text, ok := strings.Cut(rest, ":")
	if !ok {
		return 0, nil, errors.New("invalid ciphertext: wrong number of fields")
	}
	if version, err = strconv.Atoi(digits); err != nil || version < 0 {
		return 0, nil, errors.New("invalid ciphertext: version number could not be decoded")
	}
	if sealed, err = base64.StdEncoding.DecodeString(text); err != nil {
		return 0, nil, errors.New("invalid ciphertext: could not decode base64")
	}
	return max(version, 1), sealed, nil
}

func (k *key) makeDataKey(bits int) answer {
	if bits == 0 {
		bits = 256
	}
	if bits != 128 && bits != 256 && bits != 512 {
		return refusal(http.StatusBadRequest, "invalid bit length")
	}
	plaintext := make([]byte, bits/8)
	_, _ = rand.Read(plaintext) // never fails
	edk, err := k.seal(plaintext)
	if err != nil {
		return refusal(http.StatusBadRequest, err.Error())
	}
	return answer{status: http.StatusOK, data: map[string]any{
		"ciphertext": edk, "key_version": len(k.versions), "plaintext": base64.StdEncoding.EncodeToString(plaintext),
	}}
}

// batch decrypts or rewraps. A decrypt of which some failed is answered with the status asked for, one of which all failed
// with 400; a rewrap with 200.
func (k *key) batch(q asked) answer {
	if len(q.body.BatchInput) == 0 {
		return refusal(http.StatusBadRequest, "missing batch input to process")
	}
	results, failed := make([]map[string]any, len(q.body.BatchInput)), 0
	for i, item := range q.body.BatchInput {
		var err error
		if results[i], err = k.item(q.op, item.Ciphertext); err != nil {
			results[i] = map[string]any{"error": err.Error(), "reference": ""}
			if q.op == Decrypt {
				results[i]["plaintext"] = ""
			}
			failed++
		}
	}
	status := http.StatusOK
	if failed > 0 && q.op == Decrypt {
		status = http.StatusBadRequest
		if failed < len(results) && q.body.Partial != 0 {
			status = q.body.Partial
		}
	}
	return answer{status: status, data: map[string]any{"batch_results": results}}
}

func (k *key) item(op, ciphertext string) (map[string]any, error) {
	plaintext, err := k.open(ciphertext)
	if err != nil {
		return nil, err
	}
	if op == Decrypt {
		return map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plaintext), "reference": ""}, nil
	}
	edk, err := k.seal(plaintext)
	if err != nil {
		return nil, err
	}
	return map[string]any{"ciphertext": edk, "key_version": len(k.versions), "reference": ""}, nil
}
