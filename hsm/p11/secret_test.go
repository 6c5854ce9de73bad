//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/hsm/p11"
)

// token is a token with a KEK, and a session with it.
type token struct {
	cryptoki.Session
	key    cryptoki.Object
	faults *hsmtest.Faults
}

func newToken(t testing.TB) token {
	t.Helper()
	fixture, faults := faulty(t)
	session := loggedIn(t, open(t, fixture), fixture)
	return token{session, aesKey(t, session, "kek"), faults}
}

func (k token) encrypt(t testing.TB, iv []byte) []byte {
	t.Helper()
	sealed, err := k.Do(cryptoki.Encrypt, k.key, gcm(iv), dek)
	require.NoError(t, err)
	return sealed
}

func (k token) decrypt(iv, sealed []byte) ([]byte, error) {
	return k.Do(cryptoki.Decrypt, k.key, gcm(iv), sealed)
}

func TestAnIVThatTheTokenWritesOverTheCallersIsSeen(t *testing.T) {
	token := newToken(t)
	token.faults.IVs(hsmtest.IVOverwritten)
	given := bytes.Repeat([]byte{7}, 12)
	one, other := bytes.Clone(given), bytes.Clone(given)
	sealed, again := token.encrypt(t, one), token.encrypt(t, other)
	require.Len(t, sealed, len(dek)+16)
	require.NotEqual(t, given, one)
	require.NotEqual(t, one, other)
	require.NotEqual(t, sealed, again)

	opened, err := token.decrypt(one, sealed)
	require.NoError(t, err)
	require.Equal(t, dek, opened)
	_, err = token.decrypt(given, sealed)
	require.Error(t, err)
}

func TestAnIVThatTheTokenAppendsHasRoom(t *testing.T) {
	token := newToken(t)
	token.faults.IVs(hsmtest.IVAppended)
	given := bytes.Repeat([]byte{7}, 12)
	for _, size := range []int{1, 32, 4096} {
		secret := bytes.Repeat([]byte{0xd5}, size)
		output, err := token.Do(cryptoki.Encrypt, token.key, gcm(given), secret)
		require.NoError(t, err)
		require.Len(t, output, size+16+16)
		sealed, iv := output[:size+16], output[size+16:]
		opened, err := token.decrypt(iv, sealed)
		require.NoError(t, err)
		require.Equal(t, secret, opened)
	}
	require.Equal(t, bytes.Repeat([]byte{7}, 12), given)
}

func TestAnUnwrapCrossesIntoCOnceAndCallsTheTokenTwice(t *testing.T) {
	token := newToken(t)
	iv := make([]byte, 12)
	sealed := token.encrypt(t, iv)
	before, inits, decrypts := runtime.NumCgoCall(), token.faults.Calls("C_DecryptInit"), token.faults.Calls("C_Decrypt")
	_, err := token.decrypt(iv, sealed)
	require.NoError(t, err)
	require.Equal(t, int64(1), runtime.NumCgoCall()-before)
	require.Equal(t, 1, token.faults.Calls("C_DecryptInit")-inits)
	require.Equal(t, 1, token.faults.Calls("C_Decrypt")-decrypts, "the token is not asked for the size first")
}

func TestABufferIsWipedOfWhatIsNotReturned(t *testing.T) {
	token := newToken(t)
	iv := make([]byte, 12)
	sealed := token.encrypt(t, iv)
	fresh := func() []byte { return bytes.Repeat([]byte{0xaa}, 128) }

	buffer := fresh()
	opened, err := p11.DoInto(token.Session, buffer, cryptoki.Decrypt, token.key, gcm(iv), sealed)
	require.NoError(t, err)
	require.Equal(t, dek, opened)
	require.Equal(t, len(opened), cap(opened), "wiping what is returned wipes all")
	require.Equal(t, make([]byte, 128-len(dek)), buffer[len(dek):])

	token.faults.Set("C_Decrypt", hsmtest.Rule{Return: cryptoki.ErrDeviceError, Lose: true, Calls: 1})
	buffer = fresh()
	opened, err = p11.DoInto(token.Session, buffer, cryptoki.Decrypt, token.key, gcm(iv), sealed)
	require.ErrorIs(t, err, cryptoki.ErrDeviceError, "the plaintext was written, and the call failed all the same")
	require.Nil(t, opened)
	require.Equal(t, make([]byte, 128), buffer)

	buffer = fresh()[:8]
	_, err = p11.DoInto(token.Session, buffer, cryptoki.Decrypt, token.key, gcm(iv), sealed)
	require.ErrorIs(t, err, cryptoki.ErrBufferTooSmall)
	require.Equal(t, make([]byte, 8), buffer)
}

func TestRandomBytesOfACallThatFailedAreNotReturned(t *testing.T) {
	token := newToken(t)
	token.faults.Set("C_GenerateRandom", hsmtest.Rule{Return: cryptoki.ErrRandomNoRNG, Skip: 1})
	got, err := token.Random(1025)
	require.ErrorIs(t, err, cryptoki.ErrRandomNoRNG)
	require.Nil(t, got)
	require.Equal(t, 2, token.faults.Calls("C_GenerateRandom"), "no more than 1024 bytes a call")
}

// residentMemory is what the process has in memory, of C and Go.
func residentMemory(t *testing.T) int {
	t.Helper()
	debug.FreeOSMemory()
	stat, err := os.ReadFile("/proc/self/statm")
	require.NoError(t, err)
	pages, err := strconv.Atoi(strings.Fields(string(stat))[1])
	require.NoError(t, err)
	return pages * os.Getpagesize()
}

func TestFailingDecryptionsLeakNothing(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(50)) // garbage that may be collected late is no leak
	token := newToken(t)
	iv, damaged := make([]byte, 12), make([]byte, 16<<10)
	fail := func(n int) {
		for range n {
			_, err := token.decrypt(iv, damaged)
			require.Error(t, err)
		}
	}
	fail(200)
	before := residentMemory(t)
	fail(5000) // 80 MB, if each left its output behind
	require.Less(t, residentMemory(t)-before, 16<<20)
}

// A PIN is not left in memory by its login: whoever passed it wipes it, and there is no other copy. The library is told to
// refuse before it sees it, since what a library keeps is its own affair.
func TestAPINIsCopiedNowhere(t *testing.T) {
	fixture, faults := faulty(t)
	session := sessionOf(t, open(t, fixture), fixture)
	faults.Set("C_Login", hsmtest.Rule{Return: cryptoki.ErrPINIncorrect})
	pin := make([]byte, 160) // free writes over the first bytes of what is given back, so the last are looked for
	_, err := rand.Read(pin)
	require.NoError(t, err)
	masked := bytes.Clone(pin[len(pin)-32:])
	for i := range masked {
		masked[i] = ^masked[i]
	}
	require.Equal(t, 1, copiesInMemory(t, masked), "the search finds what is there")
	require.ErrorIs(t, session.Login(pin), cryptoki.ErrPINIncorrect)
	clear(pin)
	require.Zero(t, copiesInMemory(t, masked))
}

// copiesInMemory counts the places in the writable memory of this process that hold the complement of some bytes, so that it
// does not find itself.
func copiesInMemory(t *testing.T, masked []byte) (copies int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	memory, err := os.Open("/proc/self/mem")
	require.NoError(t, err)
	defer memory.Close()
	const chunk = 1 << 20
	overlap := int64(len(masked) - 1) // a whole copy would be counted in both chunks
	buffer := outsideOfGo(t, chunk)
	for line := range strings.Lines(string(maps)) {
		from, to, ok := writable(line)
		if bufferIn(buffer, from, to) {
			continue
		}
		for at := from; ok && at < to; at += chunk - overlap {
			n, err := memory.ReadAt(buffer[:min(chunk, to-at)], at)
			if err != nil && err != io.EOF {
				break // guard pages
			}
			copies += countMasked(buffer[:n], masked)
			clear(buffer)
		}
	}
	return copies
}

// outsideOfGo returns memory of a mapping of its own, which a search can leave out: what is read into it would be found again.
func outsideOfGo(t *testing.T, size int) []byte {
	t.Helper()
	buffer, err := syscall.Mmap(-1, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_ANONYMOUS)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, syscall.Munmap(buffer)) })
	return buffer
}

// bufferIn reports whether a range of memory is the buffer's mapping. One that is shared is merged with no other.
func bufferIn(buffer []byte, from, to int64) bool {
	at := int64(uintptr(unsafe.Pointer(unsafe.SliceData(buffer))))
	return from <= at && at < to
}

func countMasked(in, masked []byte) (count int) {
	for {
		at := bytes.IndexByte(in, ^masked[0])
		if at < 0 || len(in)-at < len(masked) {
			return count
		}
		equal := true
		for i, b := range masked {
			equal = equal && in[at+i] == ^b
		}
		if equal {
			count++
		}
		in = in[at+1:]
	}
}

// writable returns a range of memory, of a line of /proc/self/maps. What is larger than anything this test makes is memory
// that the race detector sets aside.
func writable(line string) (from, to int64, ok bool) {
	fields := strings.Fields(line)
	begin, end, _ := strings.Cut(fields[0], "-")
	from, err := strconv.ParseInt(begin, 16, 64)
	if err != nil {
		return 0, 0, false
	}
	to, err = strconv.ParseInt(end, 16, 64)
	return from, to, err == nil && strings.HasPrefix(fields[1], "rw") && to-from < 1<<30
}
