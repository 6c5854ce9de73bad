// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

var update = flag.Bool("update", false, "write the vectors anew")

const folder = "../../testdata/kle1/"

// hexBytes are bytes that JSON holds in hex.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vectors is a file of them. A message is opened with the data key that its encrypted data key stands for.
type vectors struct {
	Suite    kle1.Suite          `json:"suite"`
	DataKeys map[string]hexBytes `json:"data_keys"`   // by encrypted data key
	Derived  hexBytes            `json:"derived_key"` // field key or stream key of the first data key
	Valid    []vector            `json:"valid"`
	Invalid  []vector            `json:"invalid"`
}

// vector is a message, whole or as a recipe.
type vector struct {
	Name       string       `json:"name"`
	Context    kle1.Context `json:"context"`
	Commitment hexBytes     `json:"commitment,omitempty"`
	AAD        hexBytes     `json:"aad,omitempty"`

	// of suite 1
	Nonce     hexBytes `json:"nonce,omitempty"`
	Plaintext hexBytes `json:"plaintext,omitempty"`
	Message   hexBytes `json:"message,omitempty"`
	Text      string   `json:"text,omitempty"`

	// of suite 2: byte i of the plaintext is i mod 251
	Salt   hexBytes `json:"salt,omitempty"`
	Prefix hexBytes `json:"nonce_prefix,omitempty"`
	Length *int     `json:"plaintext_length,omitempty"`
	Head   hexBytes `json:"head,omitempty"` // up to the first segment
	SHA256 hexBytes `json:"sha256,omitempty"`

	// of suite 2, invalid: what is done to a valid one, in this order
	Of       string   `json:"of,omitempty"`
	Segments []int    `json:"segments,omitempty"` // those that are left
	Cut      int      `json:"cut,omitempty"`      // bytes off the end
	Append   hexBytes `json:"append,omitempty"`
	Flip     *int     `json:"flip,omitempty"` // index of a byte whose lowest bit changes
}

func (v *vectors) keys(t *testing.T) map[string]*kle1.DataKey {
	t.Helper()
	keys := map[string]*kle1.DataKey{}
	for edk, material := range v.DataKeys {
		k, err := kle1.New("orders", edk, material)
		require.NoError(t, err)
		keys[edk] = k
	}
	return keys
}

func load(t *testing.T, name string) (v vectors) {
	t.Helper()
	text, err := os.ReadFile(folder + name)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &v))
	require.NotEmpty(t, v.Valid)
	require.NotEmpty(t, v.Invalid)
	return v
}

// save writes the file where that was asked for, and else holds that it is what would be written.
func save(t *testing.T, name string, v *vectors) {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	text = append(text, '\n')
	if *update {
		require.NoError(t, os.WriteFile(folder+name, text, 0o600))
	}
	have, err := os.ReadFile(folder + name)
	require.NoError(t, err)
	require.Equal(t, string(have), string(text), "the format changed, or the vectors did")
}

func TestVectorsOfFieldsAreWhatIsSealed(t *testing.T) {
	v := fieldVectors(t)
	save(t, "fields.json", v)
}

func TestVectorsOfFields(t *testing.T) {
	v := load(t, "fields.json")
	keys := v.keys(t)
	openVector := func(c vector) ([]byte, error) {
		message := []byte(c.Message)
		if c.Text != "" {
			var err error
			if message, err = kle1.FromText([]byte(c.Text)); err != nil {
				return nil, err
			}
		}
		m, err := kle1.Parse(message)
		if err != nil {
			return nil, err
		}
		if keys[string(m.EDK)] == nil {
			return nil, kle1.ErrInvalidMessage
		}
		return keys[string(m.EDK)].Open(m, c.Context)
	}
	for _, c := range v.Valid {
		plaintext, err := openVector(c)
		require.NoError(t, err, c.Name)
		require.Equal(t, string(c.Plaintext), string(plaintext), c.Name)
	}
	for _, c := range v.Invalid {
		_, err := openVector(c)
		require.ErrorIs(t, err, kle1.ErrInvalidMessage, c.Name)
	}
}

func TestVectorsOfStreamsAreWhatIsWritten(t *testing.T) {
	v := streamVectors(t)
	save(t, "streams.json", v)
}

func TestVectorsOfStreams(t *testing.T) {
	v := load(t, "streams.json")
	k := v.keys(t)[edk]
	written := map[string][]byte{}
	for _, c := range v.Valid {
		written[c.Name] = writeVector(t, k, c)
		digest := sha256.Sum256(written[c.Name])
		require.Equal(t, []byte(c.SHA256), digest[:], c.Name)
		plaintext, err := readStream(k, bytes.NewReader(written[c.Name]), c.Context)
		require.NoError(t, err, c.Name)
		require.True(t, bytes.Equal(pattern(*c.Length), plaintext), c.Name)
	}
	for _, c := range v.Invalid {
		_, err := readStream(k, bytes.NewReader(alter(t, written[c.Of], c)), c.Context)
		require.ErrorIs(t, err, kle1.ErrInvalidMessage, c.Name)
	}
}

// writeVector writes a stream whose salt and nonce prefix are given.
func writeVector(t *testing.T, k *kle1.DataKey, c vector) []byte {
	t.Helper()
	system := rand.Reader
	defer func() { rand.Reader = system }()
	rand.Reader = bytes.NewReader(slices.Concat(c.Salt, c.Prefix))
	return writeStream(t, k, pattern(*c.Length), c.Context)
}

func alter(t *testing.T, stream []byte, c vector) []byte {
	t.Helper()
	stream = bytes.Clone(stream)
	if c.Segments != nil {
		head, segments := segmentsOf(t, stream)
		stream = bytes.Clone(head)
		for _, i := range c.Segments {
			stream = append(stream, segments[i]...)
		}
	}
	stream = append(stream[:len(stream)-c.Cut], c.Append...)
	if c.Flip != nil {
		stream[*c.Flip] ^= 1
	}
	return stream
}
