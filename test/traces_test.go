// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// findTraces returns the storage entries that hold the bytes: as they are, in hex, or in base64 wherever they begin in it.
func findTraces(entries map[string][]byte, secret []byte) []string {
	forms := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(base64.RawURLEncoding.EncodeToString(secret))}
	for shift := range 3 { // three bytes make four characters: what stands before moves the text
		padded := append(make([]byte, shift), secret...)
		inside := base64.RawStdEncoding.EncodeToString(padded)
		forms = append(forms, []byte(inside[(shift*8+5)/6:len(inside)-1])) // the first and last characters are shared
	}
	var found []string
	for name, value := range entries {
		for _, form := range forms {
			if bytes.Contains(value, form) {
				found = append(found, name)
				break
			}
		}
	}
	return found
}

func requireNoTrace(t testing.TB, entries map[string][]byte, secret []byte) {
	t.Helper()
	require.Empty(t, findTraces(entries, secret), "storage entries that still hold it")
}

// A search that finds nothing proves something only if it would find it.
func TestTracesAreFoundInEveryForm(t *testing.T) {
	secret := []byte("\x00\xffsecret material\xfb\xef\xbe 0123456789")
	for shift := range 4 {
		before, after := bytes.Repeat([]byte{0xa5}, shift), []byte{0x5a, 0x5a}
		inside := slices.Concat(before, secret, after)
		for name, value := range map[string][]byte{
			"raw": inside, "hex": []byte(hex.EncodeToString(inside)), "base64": []byte(base64.StdEncoding.EncodeToString(inside)),
		} {
			require.Len(t, findTraces(map[string][]byte{"entry": value}, secret), 1, "%s behind %d bytes", name, shift)
			value[len(value)/2]++
			require.Empty(t, findTraces(map[string][]byte{"entry": value}, secret), "%s that is another", name)
		}
	}
	require.Len(t, findTraces(map[string][]byte{"entry": []byte(base64.URLEncoding.EncodeToString(secret))}, secret), 1)
}
