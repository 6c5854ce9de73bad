// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/helper/errutil"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
)

// pair is one version of one key, held by Transit's code and by ours.
type pair struct {
	spec    envelope.Spec
	version int
	encrypt map[string]func(plaintext string, in envelope.Params) (string, error)
	decrypt map[string]func(ciphertext string, in envelope.Params) (string, error)
}

const (
	ours   = "keylife"
	theirs = "keysutil"
)

func newPair(t testing.TB, spec envelope.Spec, version int) pair {
	t.Helper()
	policy, m := transit(t, spec, version)
	c := newCipher(t, spec, version, m)
	p := pair{spec: spec, version: version}
	p.encrypt = map[string]func(string, envelope.Params) (string, error){
		ours: func(text string, in envelope.Params) (string, error) {
			return c.Encrypt(context.Background(), text, in)
		},
		theirs: func(text string, in envelope.Params) (string, error) {
			return transitEncrypt(policy, version, text, in)
		},
	}
	p.decrypt = map[string]func(string, envelope.Params) (string, error){
		ours:   func(text string, in envelope.Params) (string, error) { return open(c, text, in) },
		theirs: func(text string, in envelope.Params) (string, error) { return transitDecrypt(policy, text, in) },
	}
	return p
}

// eachPair runs test for every kind of key at a low, a middling and a very high version.
func eachPair(t *testing.T, test func(*testing.T, pair)) {
	for _, spec := range specs() {
		for _, version := range []int{1, 7, 12345} {
			t.Run(fmt.Sprintf("%s v%d", specName(spec), version), func(t *testing.T) {
				t.Parallel()
				test(t, newPair(t, spec, version))
			})
		}
	}
}

// inputs are parameters that every kind of key takes: those that need no context ignore it.
var inputs = []envelope.Params{
	{Context: []byte("context")},
	{Context: []byte("context"), AssociatedData: []byte("associated data")},
	{Context: bytes.Repeat([]byte{0xff}, 1000), AssociatedData: bytes.Repeat([]byte{0}, 10000)},
	{Context: []byte{0}, AssociatedData: []byte{}, Nonce: []byte{}},
}

// plaintexts are of the sizes around the blocks of the ciphers and the smallest buffer.
func plaintexts() []string {
	var out []string
	for _, size := range []int{0, 1, 2, 3, 15, 16, 17, 31, 64, 700, 1000, 4096} {
		random := make([]byte, size)
		_, _ = rand.Read(random)
		out = append(out, b64(random))
	}
	return append(out, "aGVs\nbG8=", "\r\nQR==\r\n") // base64 as lenient as Transit takes it
}

func TestEitherSideDecryptsWhatTheOtherEncrypts(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		for _, in := range inputs {
			for _, plaintext := range plaintexts() {
				for writer, encrypt := range p.encrypt {
					ciphertext, err := encrypt(plaintext, in)
					require.NoError(t, err, writer)
					requireShape(t, p, ciphertext)
					requireSamePlaintext(t, p, ciphertext, plaintext, in)
				}
			}
		}
	})
}

func requireShape(t *testing.T, p pair, ciphertext string) {
	t.Helper()
	require.True(t, strings.HasPrefix(ciphertext, fmt.Sprintf("vault:v%d:", p.version)))
	version, _, err := envelope.Parse(ciphertext)
	require.NoError(t, err)
	require.Equal(t, p.version, version)
}

// requireSamePlaintext compares the readers with each other and, but for its line breaks and slack
// bits, with what was encrypted.
func requireSamePlaintext(t *testing.T, p pair, ciphertext, plaintext string, in envelope.Params) {
	t.Helper()
	want, err := p.decrypt[theirs](ciphertext, in)
	require.NoError(t, err)
	got, err := p.decrypt[ours](ciphertext, in)
	require.NoError(t, err)
	require.Equal(t, want, got)
	if !strings.ContainsAny(plaintext, "\r\n") {
		require.Equal(t, plaintext, got)
	}
}

// With associated data they are not, see convergent_test.go; TestEitherSideDecryptsWhatTheOtherEncrypts holds for both.
func TestConvergentCiphertextsAreTheSameBytesWithoutAssociatedData(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		for _, in := range inputs {
			for _, plaintext := range plaintexts() {
				want, err := p.encrypt[theirs](plaintext, in)
				require.NoError(t, err)
				got, err := p.encrypt[ours](plaintext, in)
				require.NoError(t, err)
				require.Equal(t, p.spec.Convergent && len(in.AssociatedData) == 0, want == got)
			}
		}
	})
}

func TestAnotherContextOrAssociatedDataDoesNotOpen(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		in := envelope.Params{Context: []byte("context"), AssociatedData: []byte("data")}
		ciphertext, err := p.encrypt[theirs](b64([]byte("text")), in)
		require.NoError(t, err)

		_, err = p.decrypt[ours](ciphertext, envelope.Params{Context: in.Context})
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = p.decrypt[ours](ciphertext, envelope.Params{Context: in.Context, AssociatedData: []byte("Data")})
		require.ErrorIs(t, err, envelope.ErrInput)
		_, err = p.decrypt[ours](ciphertext, envelope.Params{Context: []byte("Context"), AssociatedData: in.AssociatedData})
		require.Equal(t, p.spec.Derived, err != nil, "a context counts for derived keys, and for these only")
	})
}

func TestDamagedCiphertextsAreRefusedAsInTransit(t *testing.T) {
	eachPair(t, func(t *testing.T, p pair) {
		in := envelope.Params{Context: []byte("context")}
		whole, err := p.encrypt[theirs](b64([]byte("text")), in)
		require.NoError(t, err)
		for at := range len(whole) + 1 {
			for _, bad := range []string{whole[:at], whole[:at] + "!" + whole[at:], whole[:at] + "A" + whole[at:]} {
				if bad == whole {
					continue
				}
				_, want := p.decrypt[theirs](bad, in)
				_, got := p.decrypt[ours](bad, in)
				requireSameRefusal(t, want, got, bad, p.version)
			}
		}
	})
}

// requireSameRefusal allows for what is meant to differ: the text of ChaCha20-Poly1305, and versions
// out of range, which are for the engine to refuse and do not authenticate here.
func requireSameRefusal(t *testing.T, want, got error, bad string, version int) {
	t.Helper()
	require.Error(t, want, bad)
	require.ErrorIs(t, got, envelope.ErrInput, bad)
	if parsed, _, err := envelope.Parse(bad); err == nil && parsed != version {
		return
	}
	text := strings.Replace(want.Error(), "chacha20poly1305: ", "cipher: ", 1)
	require.EqualError(t, got, text, bad)
}

func TestBadInputIsRefusedInTransitsWords(t *testing.T) {
	context := []byte("context")
	tests := map[string]struct {
		plaintext string
		in        envelope.Params
	}{
		"not base64":                    {"!", envelope.Params{Context: context}},
		"base64 broken late":            {"aGVsbG8gd29ybGQgaGVsbG8gd29ybGQ*", envelope.Params{Context: context}},
		"base64 without padding":        {"aGVsbG8", envelope.Params{Context: context}},
		"base64 for URLs":               {"_-8=", envelope.Params{Context: context}},
		"base64 with data after it":     {"aGVsbG8=aGVs", envelope.Params{Context: context}},
		"nonce":                         {"aGVsbG8=", envelope.Params{Context: context, Nonce: make([]byte, 12)}},
		"nonce of the wrong size":       {"aGVsbG8=", envelope.Params{Context: context, Nonce: make([]byte, 5)}},
		"nonce, and not base64":         {"!", envelope.Params{Context: context, Nonce: make([]byte, 12)}},
		"nonce, and no context":         {"aGVsbG8=", envelope.Params{Nonce: make([]byte, 12)}},
		"no context":                    {"aGVsbG8=", envelope.Params{}},
		"no context, and not base64":    {"!", envelope.Params{}},
		"empty context":                 {"aGVsbG8=", envelope.Params{Context: []byte{}}},
		"nothing wrong with it (check)": {"aGVsbG8=", envelope.Params{Context: context}},

		"associated data, not base64":            {"!", envelope.Params{Context: context, AssociatedData: context}},
		"associated data, nonce":                 {"aGVsbG8=", envelope.Params{Context: context, AssociatedData: context, Nonce: make([]byte, 12)}},
		"associated data, nonce, and no context": {"aGVsbG8=", envelope.Params{AssociatedData: context, Nonce: make([]byte, 12)}},
		"associated data, and no context":        {"aGVsbG8=", envelope.Params{AssociatedData: context}},
		"associated data (check)":                {"aGVsbG8=", envelope.Params{Context: context, AssociatedData: context}},
	}
	eachPair(t, func(t *testing.T, p pair) {
		for name, test := range tests {
			_, want := p.encrypt[theirs](test.plaintext, test.in)
			_, got := p.encrypt[ours](test.plaintext, test.in)
			if want == nil {
				require.NoError(t, got, name)
				continue
			}
			text := want.Error()
			if strings.HasPrefix(text, "illegal base64") {
				text = "plaintext: " + text
			}
			require.EqualError(t, got, text, name)
			require.ErrorIs(t, got, envelope.ErrInput, name)
		}
	})
}

// TestBrokenAssociatedDataIsFoundWhenTransitFindsIt is about which of two faults is told: only this one is internal.
func TestBrokenAssociatedDataIsFoundWhenTransitFindsIt(t *testing.T) {
	broken := errors.New("associated_data: broken")
	context := []byte("context")
	eachPair(t, func(t *testing.T, p pair) {
		head := fmt.Sprintf("vault:v%d:", p.version)
		for _, in := range []envelope.Params{{AssociatedDataErr: broken}, {AssociatedDataErr: broken, Context: context}} {
			for _, plaintext := range []string{"aGVsbG8=", "!", ""} {
				_, want := p.encrypt[theirs](plaintext, in)
				_, got := p.encrypt[ours](plaintext, in)
				requireSameClass(t, want, got, "encrypt %q %s", plaintext, in.Context)
			}
			for _, ciphertext := range []string{head, head + "!", head + "AAAA", head + strings.Repeat("A", 80)} {
				_, want := p.decrypt[theirs](ciphertext, in)
				_, got := p.decrypt[ours](ciphertext, in)
				requireSameClass(t, want, got, "decrypt %q %s", ciphertext, in.Context)
			}
		}
	})
}

func requireSameClass(t *testing.T, want, got error, what ...any) {
	t.Helper()
	require.Error(t, want, what...)
	var internal errutil.InternalError
	if errors.As(want, &internal) {
		require.ErrorIs(t, got, envelope.ErrInternal, what...)
		require.ErrorContains(t, got, "associated_data: broken", what...)
		return
	}
	require.ErrorIs(t, got, envelope.ErrInput, what...)
}

func TestBadParametersOfDecryptAreTreatedAsInTransit(t *testing.T) {
	context := []byte("context")
	eachPair(t, func(t *testing.T, p pair) {
		whole, err := p.encrypt[theirs]("aGVsbG8=", envelope.Params{Context: context})
		require.NoError(t, err)
		for _, ciphertext := range []string{whole, fmt.Sprintf("vault:v%d:", p.version), fmt.Sprintf("vault:v%d:!", p.version)} {
			for _, in := range []envelope.Params{{}, {Context: []byte{}}, {Context: context, Nonce: make([]byte, 12)}, {Nonce: []byte{1}}} {
				plain, want := p.decrypt[theirs](ciphertext, in)
				got, err := p.decrypt[ours](ciphertext, in)
				require.Equal(t, plain, got)
				if want == nil {
					require.NoError(t, err)
					continue
				}
				require.EqualError(t, err, want.Error())
				require.ErrorIs(t, err, envelope.ErrInput)
			}
		}
	})
}
