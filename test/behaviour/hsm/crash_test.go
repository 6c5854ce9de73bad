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
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/keks"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

// kekAct is an act on keys of the token that can be cut short anywhere.
type kekAct struct {
	name    string
	arrange func(w *world)
	do      func(w *world) mounttest.Answer
}

func kekActs() []kekAct {
	return []kekAct{
		{"configure", func(*world) {}, func(w *world) mounttest.Answer { return w.Write("config/hsm", settings()...) }},
		{"rotate", func(w *world) { w.configure() }, func(w *world) mounttest.Answer { return w.Write("hsm/keks/rotate") }},
		{"disable", func(w *world) { w.configure() }, func(w *world) mounttest.Answer { return w.Write("config/hsm", "enabled", false) }},
	}
}

// endings are the acts that end a key: the first that material in use was wrapped by, when nothing is any more.
func endings() []kekAct {
	first := func(w *world) string { return hexOf(w.firstKEK().ID) }
	replaced := func(w *world) {
		w.configure("kek_min_age", "0s")
		w.Must(w.Write("custody/rotate-key"))
		w.Must(w.Write("hsm/keks/rotate"))
		w.sweep()
	}
	return []kekAct{
		{"retire", replaced, func(w *world) mounttest.Answer { return w.Write("hsm/keks/" + first(w) + "/retire") }},
		{"destroy", func(w *world) {
			replaced(w)
			w.Must(w.Write("hsm/keks/" + first(w) + "/retire"))
		}, func(w *world) mounttest.Answer {
			return w.Write("hsm/keks/"+first(w)+"/destroy", "confirm", first(w))
		}},
	}
}

// firstKEK is the key that was the first to wrap material in use.
func (w *world) firstKEK() keyring.TokenKEK {
	w.T.Helper()
	for _, k := range w.stored().KEKs {
		if k.Purpose == envelope.PurposeOnline && !k.Activated.IsZero() {
			return k
		}
	}
	w.T.Fatal("no key wraps")
	return keyring.TokenKEK{}
}

// end does an act that ends a key with a fault, and once more after it: then it was done, or is.
func (a kekAct) end(w *world, fault, heal func()) {
	w.T.Helper()
	w.Must(w.Write("keys/k"))
	ciphertext := w.Encrypt("k", "x")
	a.arrange(w)
	fault()
	_ = a.do(w)
	heal()
	w.recover()
	w.checkKEKs()
	if k := w.firstKEK(); k.State == keyring.DecryptOnly || a.name == "destroy" && k.State == keyring.Retired {
		w.Must(a.do(w))
	}
	w.checkKEKs()
	k := w.firstKEK()
	require.Equal(w.T, map[string]keyring.State{"retire": keyring.Retired, "destroy": keyring.Destroyed}[a.name], k.State)
	require.Equal(w.T, a.name == "destroy", k.Gone)
	w.respawn()
	require.Equal(w.T, "x", w.Decrypt("k", ciphertext), "nothing was wrapped by what is gone")
	require.Equal(w.T, true, w.Must(w.Write("custody/verify", "checkpoint", w.checkpoint())).Data["valid"])
}

func TestTheEndOfAKEKSurvivesACrashAtEveryWrite(t *testing.T) {
	cases := 0
	for _, a := range endings() {
		t.Run(a.name, func(t *testing.T) {
			writes := 0
			run(t, func(_ *testing.T, w *world) {
				a.end(w, func() { w.Storage.Reset() }, func() { writes = w.Storage.Reset().Writes() })
			})
			require.NotZero(t, writes)
			for _, fate := range storagetest.Fates() {
				for at := 1; at <= writes; at++ {
					if cases++; racetest.Spared(t, cases) {
						continue
					}
					t.Run(fmt.Sprintf("write %d %s", at, fate), func(t *testing.T) {
						run(t, func(_ *testing.T, w *world) {
							a.end(w, func() { w.Storage.FailWriteAs(at, fate) }, w.Storage.Heal)
						})
					})
				}
			}
		})
	}
}

// TestTheEndOfAKEKSurvivesATokenThatIsLostAtEveryCall takes the token away at each call of the destruction, before or after it
// took effect.
func TestTheEndOfAKEKSurvivesATokenThatIsLostAtEveryCall(t *testing.T) {
	cases := 0
	for _, a := range endings() {
		for _, f := range []faketoken.Func{faketoken.FindObjects, faketoken.Decrypt, faketoken.GetAttributes, faketoken.DestroyObject} {
			for at := 1; at <= 3; at++ {
				for _, late := range []bool{false, true} {
					if cases++; racetest.Spared(t, cases) {
						continue
					}
					t.Run(fmt.Sprintf("%s %s %d %t", a.name, f, at, late), func(t *testing.T) {
						run(t, func(_ *testing.T, w *world) {
							a.end(w, func() {
								w.library.Before(f, at-1, func() {})
								w.library.Before(f, 1, func() {
									if !late {
										w.device.Vanish()
									}
								})
								if late {
									w.library.FailLate(f, cryptoki.ErrDeviceError, 100)
								}
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

// checkKEKs holds what is stored of keys to what is on the token, at rest.
func (w *world) checkKEKs() {
	w.T.Helper()
	h := w.stored()
	on := 0
	for _, k := range h.KEKs {
		require.NotEqual(w.T, keyring.Pending, k.State)
		if !k.Gone {
			on++
		}
	}
	require.Equal(w.T, on, w.onToken(), "keys that nobody knows, or that are missing: %v", h.KEKs)
	for _, purpose := range keks.Purposes {
		active := 0
		for _, state := range states(h, purpose) {
			if state == keyring.Active {
				active++
			}
		}
		require.LessOrEqual(w.T, active, 1)
		if h.Configured {
			require.Equal(w.T, 1, active, purpose)
		}
	}
}

// recover is what comes after a crash: another process, and ticks.
func (w *world) recover() {
	w.T.Helper()
	w.device.Restart()
	w.respawn()
	time.Sleep(time.Minute) // of the bubble: the pause between recoveries
	for range 2 {
		require.NoError(w.T, w.Tick())
	}
}

// cut does the act with a fault, and again after it.
func (a kekAct) cut(w *world, fault func(), heal func()) {
	w.T.Helper()
	w.Must(w.Write("keys/old"))
	a.arrange(w)
	w.Must(w.Write("keys/k"))
	ciphertext := w.Encrypt("k", "x")
	fault()
	_ = a.do(w)
	heal()
	w.recover()
	w.checkKEKs()
	require.Equal(w.T, "x", w.Decrypt("k", ciphertext))
	w.Must(a.do(w))
	w.checkKEKs()
	w.Must(w.Write("keys/k2"))
	require.Equal(w.T, "x", w.Decrypt("k", ciphertext))
	require.Equal(w.T, true, w.Must(w.Write("custody/verify")).Data["valid"])
}

func TestActsOnKEKsSurviveACrashAtEveryWrite(t *testing.T) {
	for _, a := range kekActs() {
		t.Run(a.name, func(t *testing.T) {
			writes := 0
			run(t, func(_ *testing.T, w *world) {
				a.cut(w, func() { w.Storage.Reset() }, func() { writes = w.Storage.Reset().Writes() })
			})
			require.NotZero(t, writes)
			for f, fate := range storagetest.Fates() {
				for at := 1; at <= writes; at++ {
					if racetest.Spared(t, at+f) {
						continue
					}
					t.Run(fmt.Sprintf("write %d %s", at, fate), func(t *testing.T) {
						run(t, func(_ *testing.T, w *world) {
							a.cut(w, func() { w.Storage.FailWriteAs(at, fate) }, w.Storage.Heal)
						})
					})
				}
			}
		})
	}
}

// TestActsOnKEKsSurviveATokenThatIsLostAtEveryCall takes the token away at each call that changes what is on it.
func TestActsOnKEKsSurviveATokenThatIsLostAtEveryCall(t *testing.T) {
	cases := 0
	for _, a := range kekActs()[:2] {
		for _, f := range []faketoken.Func{faketoken.GenerateKey, faketoken.Encrypt, faketoken.Decrypt, faketoken.FindObjects, faketoken.GetAttributes, faketoken.DestroyObject} {
			for at := 1; at <= 3; at++ {
				for _, late := range []bool{false, true} {
					if cases++; racetest.Spared(t, cases) {
						continue
					}
					t.Run(fmt.Sprintf("%s %s %d %t", a.name, f, at, late), func(t *testing.T) {
						run(t, func(_ *testing.T, w *world) {
							breaks := func(l *faketoken.Library) {
								l.Before(f, at-1, func() {})
								l.Before(f, 1, func() {
									if late {
										return
									}
									w.device.Vanish()
								})
								if late {
									l.FailLate(f, cryptoki.ErrDeviceError, 100)
								}
							}
							a.cut(w, func() {
								w.arm = breaks
								if w.library != nil {
									breaks(w.library)
								}
							}, func() {
								w.arm = nil
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
