// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// residentActs are acts on keys on the token that can be cut short anywhere.
var residentActs = []struct {
	name    string
	arrange func(w *world, kind string)
	do      func(w *world, kind string)
}{
	{"create", func(*world, string) {}, func(w *world, kind string) { w.Write("keys/k", "protection", "hsm", "type", kind) }},
	{"rotate", func(w *world, kind string) {
		w.Must(w.Write("keys/k", "protection", "hsm", "type", kind))
	}, func(w *world, _ string) { w.Write("keys/k/rotate") }},
	{"trim", func(w *world, kind string) {
		w.Must(w.Write("keys/k", "protection", "hsm", "type", kind))
		w.Must(w.Write("keys/k/rotate"))
		w.Must(w.Write("keys/k/config", "min_decryption_version", 2, "min_encryption_version", 2))
	}, func(w *world, _ string) { w.Write("keys/k/trim", "min_available_version", 2) }},
	{"delete", func(w *world, kind string) {
		w.Must(w.Write("keys/k", "protection", "hsm", "type", kind))
		w.Must(w.Write("keys/k/rotate"))
		w.Must(w.Write("keys/k/config", "deletion_allowed", true))
	}, func(w *world, _ string) { w.Delete("keys/k") }},
	{"erase the private half", func(w *world, kind string) {
		w.Must(w.Write("policies/p", "owner", "o", "erase_private_key", true, "rollback_window", "1h"))
		w.Must(w.Write("keys/k", "protection", "hsm", "type", kind, "policy", "p"))
		w.Must(w.Write("keys/k/rotate", "reason", reason))
		w.Advance(59 * time.Minute)
	}, func(w *world, _ string) {
		w.Clock.Add(2 * time.Minute)
		_ = w.Tick()
	}},
}

// proofs make what a key proves itself by later: a ciphertext, a signature or a MAC.
var proofs = map[string]struct {
	made func(w *world, key string) string
	good func(w *world, key, proof string) bool
}{
	"aes256-gcm96": {
		func(w *world, key string) string { return w.Encrypt(key, "x") },
		func(w *world, key, proof string) bool { return w.Decrypt(key, proof) == "x" },
	},
	"ecdsa-p256": {
		func(w *world, key string) string {
			return w.Must(w.Write("sign/"+key, "input", mounttest.B64("x"))).Data["signature"].(string)
		},
		func(w *world, key, proof string) bool {
			return w.Must(w.Write("verify/"+key, "input", mounttest.B64("x"), "signature", proof)).Data["valid"] == true
		},
	},
	"hmac": {
		func(w *world, key string) string {
			return w.Must(w.Write("hmac/"+key, "input", mounttest.B64("x"))).Data["hmac"].(string)
		},
		func(w *world, key, proof string) bool {
			return w.Must(w.Write("verify/"+key, "input", mounttest.B64("x"), "hmac", proof)).Data["valid"] == true
		},
	},
}

// cutResident does an act on a key of a type with a fault, lets ticks recover from it, and holds the token to storage.
func cutResident(w *world, kind string, i int, fault, heal func()) {
	w.T.Helper()
	w.configure()
	proof := proofs[kind]
	w.Must(w.Write("keys/other", "protection", "hsm", "type", kind))
	other := proof.made(w, "other")
	residentActs[i].arrange(w, kind)
	var before string
	if residentActs[i].name == "rotate" {
		before = proof.made(w, "k")
	}
	fault()
	residentActs[i].do(w, kind)
	heal()
	w.device.Restart()
	w.respawn()
	time.Sleep(time.Minute)
	for range 5 {
		w.Advance(2 * time.Minute)
	}
	w.checkResidents()
	if before != "" {
		require.True(w.T, proof.good(w, "k", before))
	}
	if w.Read("keys/k").Status < 300 {
		require.True(w.T, proof.good(w, "k", proof.made(w, "k")))
		w.Must(w.Write("keys/k/rotate", "reason", reason))
	}
	require.True(w.T, proof.good(w, "other", other))
	require.Equal(w.T, true, w.Must(w.Write("custody/verify")).Data["valid"])
	w.checkResidents()
}

func TestActsOnKeysOnTheTokenSurviveACrashAtEveryWrite(t *testing.T) {
	stride := racetest.Stride(t)
	for k, kind := range slices.Sorted(maps.Keys(proofs)) {
		for i, a := range residentActs {
			if racetest.Spared(t, 3*k+i) { // but the first and the last of all
				continue
			}
			t.Run(kind+" "+a.name, func(t *testing.T) {
				writes := 0
				run(t, func(_ *testing.T, w *world) {
					cutResident(w, kind, i, func() { w.Storage.Reset() }, func() { writes = w.Storage.Reset().Writes() })
				})
				require.NotZero(t, writes)
				for _, fate := range storagetest.Fates() {
					for at := 1; at <= writes; at += stride {
						t.Run(fmt.Sprintf("write %d %s", at, fate), func(t *testing.T) {
							run(t, func(_ *testing.T, w *world) {
								cutResident(w, kind, i, func() { w.Storage.FailWriteAs(at, fate) }, w.Storage.Heal)
							})
						})
					}
				}
			})
		}
	}
}

// callsOf are the functions that a token is lost in, by the type of the key.
var callsOf = map[string][]faketoken.Func{
	"aes256-gcm96": {faketoken.GenerateKey, faketoken.Encrypt, faketoken.Decrypt, faketoken.FindObjects, faketoken.DestroyObject},
	"ecdsa-p256":   {faketoken.GenerateKeyPair, faketoken.GetMechanism, faketoken.GetAttributes, faketoken.Sign, faketoken.FindObjects, faketoken.DestroyObject},
	"hmac":         {faketoken.GenerateKey, faketoken.Sign},
}

func TestActsOnKeysOnTheTokenSurviveATokenThatIsLostAtEveryCall(t *testing.T) {
	cases, stride := 0, racetest.Stride(t)
	for kind, functions := range callsOf {
		for i, a := range residentActs {
			for _, f := range functions {
				for at := 1; at <= 3; at += stride {
					for _, late := range []bool{false, true} {
						if cases++; racetest.Spared(t, cases) {
							continue
						}
						t.Run(fmt.Sprintf("%s %s %s %d %t", kind, a.name, f, at, late), func(t *testing.T) {
							run(t, func(_ *testing.T, w *world) { cutResident(w, kind, i, w.losing(f, at, late), w.found) })
						})
					}
				}
			}
		}
	}
}

// losing takes the token away with a call of a function, or has it fail from then on after the call was done.
func (w *world) losing(f faketoken.Func, at int, late bool) func() {
	return func() {
		w.library.Before(f, at-1, func() {})
		if late {
			w.library.Before(f, 1, func() {})
			w.library.FailLate(f, cryptoki.ErrDeviceError, 100)
			return
		}
		w.library.Before(f, 1, w.device.Vanish)
	}
}

// found brings the token back.
func (w *world) found() {
	w.library.Heal()
	w.device.Return()
}
