// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package sealed keeps data keys in a file, encrypted, for the start of an application while Vault cannot be reached. The
// same file in Python is python/keylife/_sealed.py.
//
//	file = "KLC1" | nonce 12 | AES-256-GCM(sealing key, JSON, aad) | tag 16
//	aad  = "KLC1" | address | "\n" | namespace | "\n" | mount
//	JSON = {"written": unix seconds, "keys": [{"name", "edk", "key": base64, "protect", "process", "messages", "bytes", "made"}]}
//
// The package decides whether a file is believed: it is of this engine, sealed with this key, not of the future and not too
// old. What its data keys may still do is decided where they are used.
package sealed

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/atomicfile"
)

const (
	magic   = "KLC1"
	keySize = 32
	maxSize = 64 << 20 // 10,000 data keys with the longest names and EDKs are 60 MiB
)

var (
	// ErrNone is wrapped where there is no file.
	ErrNone = errors.New("no sealed file")
	// ErrRefused is wrapped where there was a file that is not believed. It was deleted.
	ErrRefused = errors.New("sealed file refused")
)

// File is where data keys are kept, and what they are sealed with and for.
type File struct {
	Path string
	// Sealer gives the 32 bytes of the sealing key. They stay its own: nothing here changes or keeps them.
	Sealer  func() ([]byte, error)
	Binding Binding
	For     time.Duration // that a file is believed after it was written
	FS      atomicfile.FS // nil: the machine's
}

// Binding is of which engine the data keys are. A file of another one does not open.
type Binding struct{ Address, Namespace, Mount string }

func (b Binding) associatedData() []byte {
	return []byte(magic + b.Address + "\n" + b.Namespace + "\n" + b.Mount)
}

// DataKey is one data key in the file. Times are Unix seconds.
type DataKey struct {
	Name     string `json:"name"`
	EDK      string `json:"edk"`
	Key      []byte `json:"key"`
	Protect  int64  `json:"protect"` // when the engine last let it encrypt; 0: it is not to encrypt
	Process  int64  `json:"process"` // when the engine last let it decrypt
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
	Made     int64  `json:"made"`
}

// Format keeps the key out of logs and errors, whatever the verb.
func (DataKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "data key [redacted]") }

// Save replaces the file. After an error or a crash it is the one before or the new one.
func (f *File) Save(now time.Time, keys []DataKey) error {
	aead, err := f.aead()
	if err != nil {
		return err
	}
	content, err := encode(now, keys)
	if err != nil {
		return err
	}
	defer clear(content)
	next, err := atomicfile.New(f.fs(), f.Path)
	if err != nil {
		return fmt.Errorf("sealed file: %w", err)
	}
	if _, err := next.Write(aead.Seal([]byte(magic), nil, content, f.Binding.associatedData())); err != nil { //nolint:gosec // G407: the AEAD makes the nonce
		next.Abort()
		return fmt.Errorf("sealed file: %w", err)
	}
	if err := next.Commit(0o600); err != nil {
		return fmt.Errorf("sealed file: %w", err)
	}
	return nil
}

// Load reads the file. The error wraps [ErrNone] or [ErrRefused], or says why the file could not be read; that one is still
// there. The caller wipes the keys.
func (f *File) Load(now time.Time) ([]DataKey, error) {
	aead, err := f.aead()
	if err != nil {
		return nil, err
	}
	file, err := f.read()
	if err != nil {
		return nil, err
	}
	content, ok := f.open(aead, file)
	if !ok {
		return nil, f.refuse("it was altered, or sealed with another key or for another engine")
	}
	defer clear(content)
	written, keys, ok := decode(content)
	if why := f.doubt(now, written, ok); why != "" {
		wipe(keys)
		return nil, f.refuse(why)
	}
	return keys, nil
}

// doubt tells why a file that opened is not believed.
func (f *File) doubt(now time.Time, written int64, readable bool) string {
	switch {
	case !readable:
		return "its content cannot be read"
	case now.Unix() < written:
		return fmt.Sprintf("it was written at %s, which is not yet", time.Unix(written, 0).UTC().Format(time.RFC3339))
	case now.Sub(time.Unix(written, 0)) > f.For:
		return fmt.Sprintf("it was written at %s, longer than %s ago", time.Unix(written, 0).UTC().Format(time.RFC3339), f.For)
	}
	return ""
}

// Remove deletes the file, if there is one.
func (f *File) Remove() error {
	if err := f.fs().Remove(f.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("sealed file: %w", err)
	}
	return nil
}

func (f *File) refuse(why string) error {
	return errors.Join(fmt.Errorf("%s: %w: %s", f.Path, ErrRefused, why), f.Remove())
}

func (f *File) fs() atomicfile.FS {
	if f.FS == nil {
		return atomicfile.OS{}
	}
	return f.FS
}

func (f *File) aead() (cipher.AEAD, error) {
	key, err := f.Sealer()
	if err != nil {
		return nil, fmt.Errorf("key of the sealed file: %w", err)
	}
	if len(key) != keySize {
		return nil, fmt.Errorf("key of the sealed file: the sealer gave %d bytes, want %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("key of the sealed file: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (f *File) read() ([]byte, error) {
	info, err := os.Lstat(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", f.Path, ErrNone)
	case err != nil:
		return nil, fmt.Errorf("sealed file: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("sealed file %s: not a regular file, but %s", f.Path, info.Mode().Type())
	case info.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows":
		return nil, f.refuse(fmt.Sprintf("its mode is %#o, want 0600", info.Mode().Perm()))
	case info.Size() > maxSize:
		return nil, f.refuse(fmt.Sprintf("it has %d bytes, the most is %d", info.Size(), maxSize))
	}
	file, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, fmt.Errorf("sealed file: %w", err)
	}
	return file, nil
}

func (f *File) open(aead cipher.AEAD, file []byte) (content []byte, ok bool) {
	sealed, ok := bytes.CutPrefix(file, []byte(magic))
	if !ok {
		return nil, false
	}
	content, err := aead.Open(nil, nil, sealed, f.Binding.associatedData())
	return content, err == nil
}

func decode(content []byte) (written int64, keys []DataKey, ok bool) {
	var stored struct {
		Written int64     `json:"written"`
		Keys    []DataKey `json:"keys"`
	}
	ok = json.Unmarshal(content, &stored) == nil
	for _, k := range stored.Keys {
		ok = ok && len(k.Key) == keySize
	}
	return stored.Written, stored.Keys, ok
}

func wipe(keys []DataKey) {
	for _, k := range keys {
		clear(k.Key)
	}
}
