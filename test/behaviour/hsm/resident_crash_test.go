// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// residentActs are acts on keys on the token that can be cut short anywhere.
var residentActs = []struct {
	name    string
	arrange func(w *world)
	do      func(w *world)
}{
	{"create", func(*world) {}, func(w *world) { w.Write("keys/k", "protection", "hsm") }},
	{"rotate", func(w *world) { w.Must(w.Write("keys/k", "protection", "hsm")) }, func(w *world) { w.Write("keys/k/rotate") }},
	{"trim", func(w *world) {
		w.Must(w.Write("keys/k", "protection", "hsm"))
		w.Must(w.Write("keys/k/rotate"))
		w.Must(w.Write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
	}, func(w *world) { w.Write("keys/k/trim", "min_available_version", 2) }},
	{"delete", func(w *world) {
		w.Must(w.Write("keys/k", "protection", "hsm"))
		w.Must(w.Write("keys/k/rotate"))
		w.Must(w.Write("keys/k/config", "deletion_allowed", true))
	}, func(w *world) { w.Delete("keys/k") }},
}

// cutResident does an act with a fault, lets ticks recover from it, and holds the token to storage.
func cutResident(w *world, i int, fault, heal func()) {
	w.T.Helper()
	w.configure()
	w.Must(w.Write("keys/other", "protection", "hsm"))
	other := w.Encrypt("other", "other")
	residentActs[i].arrange(w)
	var ciphertext string
	if residentActs[i].name == "rotate" {
		ciphertext = w.Encrypt("k", "x")
	}
	fault()
	residentActs[i].do(w)
	heal()
	w.device.Restart()
	w.respawn()
	time.Sleep(time.Minute)
	for range 5 {
		w.Advance(2 * time.Minute)
	}
	w.checkResidents()
	if ciphertext != "" {
		require.Equal(w.T, "x", w.Decrypt("k", ciphertext))
	}
	if w.Read("keys/k").Status < 300 {
		require.Equal(w.T, "y", w.Decrypt("k", w.Encrypt("k", "y")))
		w.Must(w.Write("keys/k/rotate"))
	}
	require.Equal(w.T, "other", w.Decrypt("other", other))
	require.Equal(w.T, true, w.Must(w.Write("custody/verify")).Data["valid"])
	w.checkResidents()
}

func TestActsOnKeysOnTheTokenSurviveACrashAtEveryWrite(t *testing.T) {
	cases := 0
	for i, a := range residentActs {
		t.Run(a.name, func(t *testing.T) {
			writes := 0
			run(t, func(_ *testing.T, w *world) {
				cutResident(w, i, func() { w.Storage.Reset() }, func() { writes = w.Storage.Reset().Writes() })
			})
			require.NotZero(t, writes)
			for _, fate := range storagetest.Fates() {
				for at := 1; at <= writes; at++ {
					if cases++; racetest.Spared(t, cases) {
						continue
					}
					t.Run(fmt.Sprintf("write %d %s", at, fate), func(t *testing.T) {
						run(t, func(_ *testing.T, w *world) {
							cutResident(w, i, func() { w.Storage.FailWriteAs(at, fate) }, w.Storage.Heal)
						})
					})
				}
			}
		})
	}
}

func TestActsOnKeysOnTheTokenSurviveATokenThatIsLostAtEveryCall(t *testing.T) {
	cases := 0
	for i, a := range residentActs {
		for _, f := range []faketoken.Func{faketoken.GenerateKey, faketoken.Encrypt, faketoken.Decrypt, faketoken.FindObjects, faketoken.DestroyObject} {
			for at := 1; at <= 3; at++ {
				for _, late := range []bool{false, true} {
					if cases++; racetest.Spared(t, cases) {
						continue
					}
					t.Run(fmt.Sprintf("%s %s %d %t", a.name, f, at, late), func(t *testing.T) {
						run(t, func(_ *testing.T, w *world) {
							cutResident(w, i, func() {
								w.library.Before(f, at-1, func() {})
								if late {
									w.library.Before(f, 1, func() {})
									w.library.FailLate(f, cryptoki.ErrDeviceError, 100)
									return
								}
								w.library.Before(f, 1, w.device.Vanish)
							}, func() {
								w.library.Heal()
								w.device.Return()
							})
						})
					})
				}
			}
		}
	}
}
