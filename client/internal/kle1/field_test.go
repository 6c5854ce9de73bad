// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package kle1_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

func TestWhatIsSealedOpensWithItsContextOnly(t *testing.T) {
	k := newKey(t, material)
	for _, plaintext := range []string{"", "4111111111111111", strings.Repeat("long", 1<<14)} {
		message := seal(t, k, plaintext, row)
		opened, err := open(k, message, row)
		require.NoError(t, err)
		require.Equal(t, plaintext, string(opened))
		for _, other := range []kle1.Context{nil, {"table": "cards"}, {"table": "cards", "row": "18"}, {"table": "row", "cards": "17"}, {"table": "cards", "row": "17", "x": ""}} {
			opened, err = open(k, message, other)
			require.ErrorIs(t, err, kle1.ErrInvalidMessage)
			require.Nil(t, opened)
		}
	}
}

func TestAMessageIs165BytesLongerThanItsPlaintext(t *testing.T) {
	require.Len(t, seal(t, newKey(t, material), "four", row), 4+165)
}

func TestNoByteOfAMessageMayChangeButNameAndEncryptedDataKey(t *testing.T) {
	k := newKey(t, material)
	message := seal(t, k, "4111111111111111", row)
	nameAt := 8
	edkAt := nameAt + len("orders") + 2
	for at := range message {
		for bit := range 8 {
			altered := bytes.Clone(message)
			altered[at] ^= 1 << bit
			opened, err := open(k, altered, row)
			hint := at >= nameAt && at < nameAt+len("orders") || at >= edkAt && at < edkAt+len(edk)
			if hint && err == nil {
				require.Equal(t, "4111111111111111", string(opened))
				continue
			}
			require.ErrorIs(t, err, kle1.ErrInvalidMessage, "byte %d, bit %d", at, bit)
			require.Nil(t, opened)
		}
	}
}

func TestAMessageEndsWhereItEnds(t *testing.T) {
	k := newKey(t, material)
	message := seal(t, k, "4111111111111111", row)
	for n := range message {
		_, err := open(k, message[:n], row)
		require.ErrorIs(t, err, kle1.ErrInvalidMessage, "%d bytes", n)
	}
	_, err := open(k, append(bytes.Clone(message), 0), row)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
}

// framed is a message of any suite with any header; what is not given is right.
func framed(suite byte, name, edk string, commitment, body []byte) []byte {
	n := 1 + len(name) + 2 + len(edk) + len(commitment)
	m := append([]byte("KLE1"), suite, byte(n>>8), byte(n), byte(len(name)))
	m = append(append(m, name...), byte(len(edk)>>8), byte(len(edk)))
	return append(append(append(m, edk...), commitment...), body...)
}

func TestAFrameHasNoRoomForAnythingElse(t *testing.T) {
	commitment, body, short := make([]byte, 32), make([]byte, 28), make([]byte, 27)
	_, err := kle1.Parse(framed(1, "a.b-c_", "vault:v1:A+/=", commitment, body))
	require.NoError(t, err)
	_, err = kle1.Parse(framed(2, "", "vault:v2147483647:A", commitment, make([]byte, 56)))
	require.NoError(t, err)
	for name, message := range map[string][]byte{
		"suite 0": framed(0, "a", edk, commitment, body), "suite 3": framed(3, "a", edk, commitment, body),
		"a path for a name": framed(1, "../a", edk, commitment, body), "a name that ends in a dot": framed(1, "a.", edk, commitment, body),
		"a name of bytes": framed(1, "a\x00b", edk, commitment, body), "no data key": framed(1, "a", "", commitment, body),
		"version 0": framed(1, "a", "vault:v0:A", commitment, body), "long data key": framed(1, "a", "vault:v1:"+strings.Repeat("A", 4088), commitment, body),
		"long commitment": framed(1, "a", edk, make([]byte, 33), body), "short commitment": framed(1, "a", edk, make([]byte, 31), body),
		"no room for a tag": framed(1, "a", edk, commitment, short), "no room for a segment": framed(2, "a", edk, commitment, make([]byte, 55)),
		"longer than any": framed(1, "a", edk, commitment, make([]byte, kle1.MaxPlaintext+29)),
	} {
		_, err := kle1.Parse(message)
		require.ErrorIs(t, err, kle1.ErrInvalidMessage, name)
		if !strings.Contains(name, "room") && name != "longer than any" {
			_, err = kle1.ReadHeader(bytes.NewReader(message))
			require.ErrorIs(t, err, kle1.ErrInvalidMessage, name)
		}
	}
}

func TestAContextIsSerializedAsTheEncryptionSDKDoes(t *testing.T) {
	k := newKey(t, material)
	_, _, _, bare := k.Derived(kle1.Field, nil)
	_, _, _, aad := k.Derived(kle1.Field, kle1.Context{"é": "2", "b": "", "a\x00": "x", "Z": "1"})
	require.Equal(t, "\x00\x04"+"\x00\x01Z\x00\x011"+"\x00\x02a\x00\x00\x01x"+"\x00\x01b\x00\x00"+"\x00\x02é\x00\x012", string(aad[len(bare):]))
	_, _, _, empty := k.Derived(kle1.Field, kle1.Context{})
	require.Equal(t, bare, empty)
	require.Len(t, bare, 4+1+32)
}

func TestAMessageOpensWithOneDataKey(t *testing.T) {
	other := bytes.Repeat([]byte{8}, kle1.KeySize)
	message := seal(t, newKey(t, material), "4111111111111111", row)
	_, err := open(newKey(t, other), message, row)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
}

// TestACommitmentIsLookedAt: a message whose body was sealed with the data key, and whose commitment is another's, opens
// where only the body is asked. The commitment is in the associated data, so the body is sealed with the wrong one.
func TestACommitmentIsLookedAt(t *testing.T) {
	k, other := newKey(t, material), newKey(t, bytes.Repeat([]byte{8}, kle1.KeySize))
	message := seal(t, kle1.Mixed(other, k), "4111111111111111", row)
	_, err := open(k, message, row)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
	opened, err := open(kle1.Mixed(other, k), message, row)
	require.NoError(t, err)
	require.Equal(t, "4111111111111111", string(opened))
}

func TestAMessageLivesThroughARewrap(t *testing.T) {
	k := newKey(t, material)
	message := seal(t, k, "4111111111111111", row)
	rewrapped, err := kle1.Rewrapped(message, "vault:v12:AAAA")
	require.NoError(t, err)
	m, err := kle1.Parse(rewrapped)
	require.NoError(t, err)
	require.Equal(t, 12, m.Version)
	opened, err := k.Open(m, row)
	require.NoError(t, err)
	require.Equal(t, "4111111111111111", string(opened))
	_, err = kle1.Rewrapped(message, "plain")
	require.ErrorIs(t, err, kle1.ErrInput)
	_, err = kle1.Rewrapped(message[:20], edk)
	require.ErrorIs(t, err, kle1.ErrInvalidMessage)
}

func TestWhatCannotBeWrittenIsRefusedByName(t *testing.T) {
	k := newKey(t, material)
	for want, c := range map[string]kle1.Context{
		"a name is empty": {"": "x"}, "not UTF-8": {"x": "\xff"}, "65536 bytes serialized": {"x": strings.Repeat("y", 1<<16-7)},
	} {
		_, err := k.Seal(nil, c)
		require.ErrorIs(t, err, kle1.ErrInput)
		require.ErrorContains(t, err, want)
		_, err = k.NewWriter(&bytes.Buffer{}, c)
		require.ErrorIs(t, err, kle1.ErrInput)
		_, err = k.Open(kle1.Message{}, c)
		require.ErrorIs(t, err, kle1.ErrInput)
		_, err = k.NewReader(kle1.Header{}, &bytes.Buffer{}, c)
		require.ErrorIs(t, err, kle1.ErrInput)
	}
	_, err := k.Seal(nil, kle1.Context{"x": strings.Repeat("y", 1<<16-8)})
	require.NoError(t, err)
	_, err = k.Seal(make([]byte, kle1.MaxPlaintext+1), row)
	require.ErrorIs(t, err, kle1.ErrInput)
	for _, bad := range [][2]string{
		{"../sys/seal", edk},
		{"-a", edk},
		{"a.", edk},
		{"a/b", edk},
		{strings.Repeat("a", 256), edk},
		{"a", ""},
		{"a", "vault:v0:AAAA"},
		{"a", "vault:v01:AAAA"},
		{"a", "vault:v1:"},
		{"a", "vault:v1"},
		{"a", "vault:v2147483648:AAAA"},
		{"a", "vault:v+1:AAAA"},
		{"a", "vault:v1:A A"},
		{"a", "vault:v1:A:A"},
		{"a", "vault:v1:" + strings.Repeat("A", 4088)},
	} {
		_, err := kle1.New(bad[0], bad[1], material)
		require.ErrorIs(t, err, kle1.ErrInput, "%v", bad)
	}
	_, err = kle1.New("orders", edk, material[1:])
	require.ErrorIs(t, err, kle1.ErrInput)
	_, err = kle1.New("", "vault:v2147483647:"+strings.Repeat("A", 4096-18), material)
	require.NoError(t, err)
}

func TestAMessageHasOneText(t *testing.T) {
	for n := range 4 { // each remainder of three bytes
		message := seal(t, newKey(t, material), "xxx"[:n], row)
		text := kle1.Text(message)
		back, err := kle1.FromText([]byte(text))
		require.NoError(t, err)
		require.Equal(t, message, back)
		for _, broken := range []string{text + "\n", text[:20] + "\r\n" + text[20:]} {
			_, err := kle1.FromText([]byte(broken))
			require.ErrorIs(t, err, kle1.ErrInvalidMessage)
		}
		for _, other := range []string{
			text + "=", text + "\n", "\r" + text, text[:20] + "\n" + text[20:], text + "==", "KLE1." + text[5:], text[:len(text)-1] + "+", text[5:], text + "A", "kle1.",
		} {
			_, err := kle1.FromText([]byte(other))
			if err == nil { // one more character may be one more byte
				require.NotEqual(t, message, back[:len(back)-1])
				continue
			}
			require.ErrorIs(t, err, kle1.ErrInvalidMessage)
		}
		last := strings.IndexByte(alphabet, text[len(text)-1])
		for bits := 1; bits < 1<<([3]int{0, 4, 2}[len(message)%3]); bits++ {
			_, err := kle1.FromText([]byte(text[:len(text)-1] + string(alphabet[last|bits])))
			require.ErrorIs(t, err, kle1.ErrInvalidMessage, "bits that do not count")
		}
	}
	_, err := kle1.FromText([]byte(kle1.Text(writeStream(t, newKey(t, material), nil, row))))
	require.ErrorIs(t, err, kle1.ErrInvalidMessage, "a stream has no text")
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func TestSealingAndOpeningTakeTwoAllocations(t *testing.T) {
	k, plaintext := newKey(t, material), make([]byte, 64)
	message := seal(t, k, string(plaintext), row)
	for name, use := range map[string]func() error{
		"seal": func() error { _, err := k.Seal(plaintext, row); return err }, // associated data and message
		"open": func() error { _, err := open(k, message, row); return err },  // associated data and plaintext
	} {
		require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
			if err := use(); err != nil {
				panic(err)
			}
		}), 2.0, name)
	}
}

func TestAWipedDataKeyBeginsNoStream(t *testing.T) {
	k := newKey(t, material)
	require.Equal(t, material, k.Bytes())
	var out bytes.Buffer
	w, err := k.NewWriter(&out, row)
	require.NoError(t, err)
	k.Wipe()
	require.Nil(t, k.Bytes())
	_, err = k.NewWriter(&bytes.Buffer{}, row)
	require.ErrorIs(t, err, kle1.ErrWiped)
	_, err = k.NewReader(kle1.Header{}, &bytes.Buffer{}, row)
	require.ErrorIs(t, err, kle1.ErrWiped)
	_, err = w.Write([]byte("begun"))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	plaintext, err := readStream(newKey(t, material), &out, row)
	require.NoError(t, err)
	require.Equal(t, "begun", string(plaintext))
}

func BenchmarkSeal64(b *testing.B) {
	k, plaintext := newKey(b, material), make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = k.Seal(plaintext, row)
	}
}

func BenchmarkOpen64(b *testing.B) {
	k := newKey(b, material)
	message := seal(b, k, strings.Repeat("x", 64), row)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = open(k, message, row)
	}
}

func TestADataKeyIsNeverPrinted(t *testing.T) {
	k := newKey(t, material)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		require.Equal(t, "data key [redacted]", fmt.Sprintf(verb, k), verb)
		require.Equal(t, "{data key [redacted]}", fmt.Sprintf("%v", struct{ K fmt.Formatter }{k}))
	}
}
