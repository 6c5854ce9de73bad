// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package enginetest

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/scheduler"
)

// KEK is the identifier of a key encryption key of a [Token]. At first it wraps with KEK(0).
func KEK(n byte) [16]byte { return [16]byte{n} }

// Activate makes a key the one that the token wraps with.
func (k *Token) Activate(n byte, hardware bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.active, k.hardware[n] = n, hardware
}

// Active is envelope.KEKWrapper's.
func (k *Token) Active() [16]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return KEK(k.active)
}

// KEKIDOf is envelope.KEKWrapper's.
func (k *Token) KEKIDOf(text []byte) ([16]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(text) != 8 {
		return [16]byte{}, errForeign
	}
	w, ok := k.wrapped[binary.BigEndian.Uint64(text)]
	if !ok {
		return [16]byte{}, errForeign
	}
	return KEK(w.kek), nil
}

// Hardware reports whether the active key is kept by a token.
func (k *Token) Hardware() bool { return k.IsHardware(k.Active()) }

// IsHardware reports whether a key is.
func (k *Token) IsHardware(kek [16]byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.hardware[kek[0]]
}

// AnyHardware reports whether a token keeps any of the keys.
func (k *Token) AnyHardware() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(slices.Collect(maps.Values(k.hardware)), true)
}

// RotateKEK makes a key the active one of both purposes, as an operator does.
func (w *World) RotateKEK(n byte, hardware bool) {
	w.T.Helper()
	for _, purpose := range []string{envelope.PurposeOnline, envelope.PurposeArchive} {
		require.NoError(w.T, w.Session().Wrapping().BeginRewrap(context.Background(), purpose, KEK(n)))
	}
	w.Token.Activate(n, hardware)
}

// Rewraps says how far material has been wrapped with the active keys, by purpose.
func (w *World) Rewraps() map[string]scheduler.RewrapStatus {
	w.T.Helper()
	list, err := w.ByClock().RewrapStatus(context.Background())
	require.NoError(w.T, err)
	all := map[string]scheduler.RewrapStatus{}
	for _, status := range list {
		all[status.Purpose] = status
	}
	return all
}

// References counts what a key wraps.
func (w *World) References(n byte) int {
	w.T.Helper()
	count, complete, err := w.Session().Wrapping().References(context.Background(), KEK(n))
	require.NoError(w.T, err)
	require.Equal(w.T, len(w.Rewraps()) == 0, complete)
	return count
}
