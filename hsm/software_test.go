// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
)

var (
	testID  = [16]byte{0: 1, 15: 16}
	testKEK = []byte("the key encryption key of a test")
)

func software(t testing.TB, rand io.Reader) *hsm.Software {
	t.Helper()
	s, err := hsm.NewSoftware(testID, testKEK, rand)
	require.NoError(t, err)
	return s
}

func TestSoftwareConforms(t *testing.T) {
	hsmtest.Run(t, func(t *testing.T) hsmtest.Wrapper {
		var id [16]byte
		_, _ = rand.Read(id[:])
		kek := make([]byte, 32)
		_, _ = rand.Read(kek)
		s, err := hsm.NewSoftware(id, kek, rand.Reader)
		require.NoError(t, err)
		clear(kek) // a copy was taken, or everything below fails
		return s
	})
}

// The vector is what is stored: it must open for ever, and be written the same way.
func TestSoftwareKeepsItsFormat(t *testing.T) {
	vector := unhex(t, "01"+"01000000000000000000000000000010"+"00001087"+"0c"+"000102030405060708090a0b"+
		"0030"+"f5b1109e892b78e4884c1b620622debd2dfc9cacceb0e9c2201161cd08ea86c99ff4862e1db394a8482b6dfd7a5938c8")
	dek := bytes.Repeat([]byte{0x42}, 32)

	got, err := software(t, rand.Reader).Unwrap(t.Context(), vector, []byte("aad"))
	require.NoError(t, err)
	require.Equal(t, dek, got)

	iv := unhex(t, "000102030405060708090a0b")
	written, err := software(t, bytes.NewReader(iv)).Wrap(t.Context(), dek, []byte("aad"))
	require.NoError(t, err)
	require.Equal(t, vector, written)
}

func TestSoftwareRefusesAKeyOfAnotherSize(t *testing.T) {
	for _, size := range []int{0, 16, 24, 31, 33} {
		_, err := hsm.NewSoftware(testID, make([]byte, size), rand.Reader)
		require.Error(t, err, size)
	}
}

func TestSoftwareBindsTheKEKIdentifier(t *testing.T) {
	wrapped, err := software(t, rand.Reader).Wrap(t.Context(), []byte("secret"), nil)
	require.NoError(t, err)

	otherID := [16]byte{0: 2}
	other, err := hsm.NewSoftware(otherID, testKEK, rand.Reader) // the same key by another name
	require.NoError(t, err)
	copy(wrapped[1:], otherID[:])
	_, err = other.Unwrap(t.Context(), wrapped, nil)
	require.ErrorIs(t, err, hsm.ErrCorrupt)
}

func TestSoftwareNeedsAllItsRandomness(t *testing.T) {
	for _, source := range []io.Reader{strings.NewReader(""), strings.NewReader("11 of 12..."), brokenReader{}} {
		wrapped, err := software(t, source).Wrap(t.Context(), []byte("secret"), nil)
		require.Error(t, err)
		require.Empty(t, wrapped)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

func TestSoftwareNeverPrintsItsKey(t *testing.T) {
	s := software(t, rand.Reader)
	pointer, value := struct{ w *hsm.Software }{s}, struct{ w hsm.Software }{*s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
		require.Equal(t, "software wrapper "+hex.EncodeToString(testID[:]), fmt.Sprintf(verb, s))
		for _, in := range []any{*s, pointer, &pointer, value, &value} {
			requireNoKey(t, fmt.Sprintf(verb, in))
		}
	}
	out, err := json.Marshal(map[string]any{"wrapper": s})
	require.NoError(t, err)
	requireNoKey(t, string(out))
}

func requireNoKey(t *testing.T, text string) {
	t.Helper()
	// The first words of the key schedule are the key, big endian in this build or in another.
	word := testKEK[:4]
	for _, leak := range []string{
		string(word), hex.EncodeToString(word), "116 104 101 32",
		fmt.Sprint(binary.BigEndian.Uint32(word)), fmt.Sprint(binary.LittleEndian.Uint32(word)),
	} {
		require.NotContains(t, strings.ToLower(text), leak)
	}
}

func TestSoftwareIsSafeForConcurrentUse(t *testing.T) {
	s := software(t, rand.Reader)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			dek := bytes.Repeat([]byte{byte(i)}, 32)
			for range 50 {
				wrapped, err := s.Wrap(context.Background(), dek, nil)
				got, errUnwrap := s.Unwrap(context.Background(), wrapped, nil)
				if err != nil || errUnwrap != nil || !bytes.Equal(dek, got) {
					t.Errorf("got %x, %v, %v", got, err, errUnwrap)
				}
			}
		})
	}
	group.Wait()
}

func FuzzUnwrap(f *testing.F) {
	s := software(f, bytes.NewReader(make([]byte, 12)))
	wrapped, err := s.Wrap(context.Background(), bytes.Repeat([]byte{7}, 32), nil)
	require.NoError(f, err)
	f.Add(wrapped)
	f.Add(wrapped[:len(wrapped)-1])
	f.Add(append(bytes.Clone(wrapped), 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := s.Unwrap(t.Context(), in, nil)
		if err == nil {
			require.Equal(t, wrapped, in, "a forgery opened")
			return
		}
		require.Empty(t, got)
		require.True(t, errors.Is(err, hsm.ErrCorrupt) || errors.Is(err, hsm.ErrKEKMissing), err)
	})
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}
