// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package envelope_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

var withContext = envelope.Params{Context: []byte("context")}

func TestNewCipherRefusesWhatDoesNotFit(t *testing.T) {
	good := envelope.Spec{Algorithm: envelope.AES256GCM96}
	key := func(size, hmacSize int) envelope.Material {
		return envelope.NewMaterial(make([]byte, size), make([]byte, hmacSize))
	}
	for name, test := range map[string]struct {
		spec    envelope.Spec
		version int
		m       envelope.Material
	}{
		"no algorithm":               {envelope.Spec{}, 1, key(32, 32)},
		"unknown algorithm":          {envelope.Spec{Algorithm: "rsa-2048"}, 1, key(32, 32)},
		"convergent but not derived": {envelope.Spec{Algorithm: good.Algorithm, Convergent: true}, 1, key(32, 32)},
		"version zero":               {good, 0, key(32, 32)},
		"negative version":           {good, -1, key(32, 32)},
		"short key":                  {good, 1, key(31, 32)},
		"long key":                   {good, 1, key(33, 32)},
		"key of another AES":         {good, 1, key(16, 32)},
		"key too long for AES-128":   {envelope.Spec{Algorithm: envelope.AES128GCM96}, 1, key(32, 32)},
		"short ChaCha20 key":         {envelope.Spec{Algorithm: envelope.ChaCha20Poly1305, Derived: true}, 1, key(16, 32)},
		"no HMAC key":                {good, 1, key(32, 0)},
		"no material":                {good, 1, envelope.Material{}},
	} {
		c, err := envelope.NewCipher(test.spec, test.version, test.m, rand.Reader)
		require.ErrorIs(t, err, envelope.ErrInternal, name)
		require.Nil(t, c, name)
	}
}

func TestSelfTestPassesForEveryKindOfKey(t *testing.T) {
	for _, spec := range specs() {
		require.NoError(t, someCipher(t, spec).SelfTest(context.Background()), specName(spec))
	}
}

func TestSelfTestNoticesANonceThatRepeats(t *testing.T) {
	c, err := envelope.NewCipher(envelope.Spec{Algorithm: envelope.AES256GCM96}, 1, testMaterial(), zeroes{})
	require.NoError(t, err)
	require.ErrorIs(t, c.SelfTest(context.Background()), envelope.ErrInternal)
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestEncryptNeedsAllItsRandomness(t *testing.T) {
	for _, source := range []io.Reader{strings.NewReader(""), strings.NewReader("11 of 12..."), iotest.ErrReader(errAway)} {
		c, err := envelope.NewCipher(envelope.Spec{Algorithm: envelope.AES256GCM96}, 1, testMaterial(), source)
		require.NoError(t, err)

		out, err := c.Encrypt(context.Background(), b64([]byte("text")), envelope.Params{})
		require.ErrorIs(t, err, envelope.ErrInternal)
		require.NotErrorIs(t, err, envelope.ErrInput)
		require.Empty(t, out)
	}
}

func TestNonceIsWhatTheSourceGives(t *testing.T) {
	nonce := []byte("twelve bytes")
	c, err := envelope.NewCipher(envelope.Spec{Algorithm: envelope.AES256GCM96}, 1, testMaterial(), bytes.NewReader(nonce))
	require.NoError(t, err)
	out, err := c.Encrypt(context.Background(), "", envelope.Params{})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(out, "vault:v1:"+b64(nonce)), out)
}

func TestRefusedDecryptionReadsAlikeForEveryKey(t *testing.T) {
	for _, spec := range specs() {
		_, err := someCipher(t, spec).Decrypt(context.Background(), b64(make([]byte, 40)), withContext)
		require.EqualError(t, err, "cipher: message authentication failed", specName(spec))
		require.ErrorIs(t, err, envelope.ErrInput)
	}
}

func TestAnotherVersionsCiphertextDoesNotOpen(t *testing.T) {
	for _, spec := range specs() {
		out, err := someCipher(t, spec).Encrypt(context.Background(), b64([]byte("text")), withContext)
		require.NoError(t, err)
		_, err = open(someCipher(t, spec), out, withContext)
		require.ErrorIs(t, err, envelope.ErrInput)
	}
}

// The sizes are around that of the largest buffer kept, with nonce and tag and without, and large.
func TestPayloadsAboveThePoolsBuffersReadAsInTransit(t *testing.T) {
	racetest.Skip(t, "one goroutine works alone")
	in := envelope.Params{AssociatedData: []byte("data")}
	for _, algorithm := range algorithms {
		p := newPair(t, envelope.Spec{Algorithm: algorithm}, 1)
		for _, size := range []int{65507, 65508, 65509, 65535, 65536, 65537, 5 << 20} {
			plaintext := b64(bytes.Repeat([]byte{0xaa}, size))
			ciphertext, err := p.encrypt[ours](plaintext, in)
			require.NoError(t, err)
			for _, decrypt := range p.decrypt {
				got, err := decrypt(ciphertext, in)
				require.NoError(t, err)
				require.True(t, plaintext == got, "%d bytes", size)
			}
		}
	}
}

func TestPooledBuffersHoldNothing(t *testing.T) {
	c := someCipher(t, envelope.Spec{Algorithm: envelope.AES256GCM96})
	for _, size := range []int{2000, 10} { // a small request must not uncover a large one's rest
		plaintext := b64(bytes.Repeat([]byte{0xaa}, size))
		out, err := c.Encrypt(context.Background(), plaintext, envelope.Params{})
		require.NoError(t, err)
		requireZeroPool(t, c)
		_, err = open(c, out, envelope.Params{})
		require.NoError(t, err)
		requireZeroPool(t, c)
		_, err = c.Encrypt(context.Background(), plaintext+"!", envelope.Params{})
		require.Error(t, err)
		requireZeroPool(t, c)
	}
}

func requireZeroPool(t *testing.T, c *envelope.Cipher) {
	t.Helper()
	envelope.Pooled(c, func(b []byte) {
		require.Equal(t, make([]byte, len(b)), b)
	})
}

func TestPoolDoesNotKeepLargeBuffers(t *testing.T) {
	c := someCipher(t, envelope.Spec{Algorithm: envelope.AES256GCM96})
	_, err := c.Encrypt(context.Background(), b64(make([]byte, 1<<20)), envelope.Params{})
	require.NoError(t, err)
	envelope.Pooled(c, func(b []byte) {
		require.LessOrEqual(t, len(b), 64<<10)
	})
}

func TestCipherIsSafeForConcurrentUse(t *testing.T) {
	for _, spec := range specs() {
		c := someCipher(t, spec)
		var group sync.WaitGroup
		for i := range 8 {
			group.Go(func() {
				in := envelope.Params{Context: []byte{byte(i)}, AssociatedData: []byte{byte(i)}}
				for size := range 100 {
					plaintext := b64(bytes.Repeat([]byte{byte(i)}, size*7))
					out, err := c.Encrypt(context.Background(), plaintext, in)
					got, errOpen := open(c, out, in)
					if err != nil || errOpen != nil || got != plaintext {
						t.Errorf("%s: got %q, %v, %v", specName(spec), got, err, errOpen)
					}
				}
			})
		}
		group.Wait()
	}
}

// The hot path allocates its answer and nothing else, whatever the size.
func TestHotPathAllocatesOnlyTheAnswer(t *testing.T) {
	racetest.Skip(t, "the race detector allocates on its own")
	in := envelope.Params{AssociatedData: []byte("data")}
	for _, algorithm := range algorithms {
		c := someCipher(t, envelope.Spec{Algorithm: algorithm})
		for _, size := range []int{0, 64, 4096, 40000} {
			plaintext := b64(make([]byte, size))
			out, err := c.Encrypt(context.Background(), plaintext, in)
			require.NoError(t, err)

			got := testing.AllocsPerRun(200, func() { _, _ = c.Encrypt(context.Background(), plaintext, in) })
			require.LessOrEqual(t, got, 1.0, "encrypt %d bytes with %s", size, algorithm)
			got = testing.AllocsPerRun(200, func() { _, _ = open(c, out, in) })
			require.LessOrEqual(t, got, 1.0, "decrypt %d bytes with %s", size, algorithm)
		}
	}
}
