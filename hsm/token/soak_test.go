// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

// troubles are what may befall a token. Each returns what ends it.
func (b *bench) troubles(r *rand.Rand) []func() (end func()) {
	funcs := []faketoken.Func{faketoken.Decrypt, faketoken.OpenSession, faketoken.GetTokenInfo, faketoken.FindObjects}
	slow := append(slices.Clone(funcs), faketoken.CloseSession, faketoken.Initialize, faketoken.Login)
	codes := []cryptoki.Error{
		cryptoki.ErrDeviceError, cryptoki.ErrDeviceMemory, cryptoki.ErrDeviceRemoved, cryptoki.ErrSessionHandleInvalid,
		cryptoki.ErrObjectHandleInvalid, cryptoki.ErrUserNotLoggedIn, cryptoki.ErrTokenNotPresent, cryptoki.ErrNotInitialized,
		cryptoki.ErrOperationActive, cryptoki.ErrSessionCount,
	}
	nothing := func() {}
	return []func() func(){
		func() func() { b.device.Restart(); return nothing },
		func() func() { b.library.Logout(0); return nothing },
		func() func() { b.device.Vanish(); return b.device.Return },
		func() func() { b.library.Fail(faketoken.Decrypt, cryptoki.ErrGeneralError, 1); return b.library.Heal },
		func() func() { b.device.Unplug(); return b.device.Return },
		func() func() { b.device.LimitSessions(2); return func() { b.device.LimitSessions(0) } },
		func() func() {
			b.library.Fail(funcs[r.IntN(len(funcs))], codes[r.IntN(len(codes))], 1+r.IntN(8))
			return b.library.Heal
		},
		func() func() {
			hold := b.library.Hang(slow[r.IntN(len(slow))], 1+r.IntN(3))
			return func() {
				b.library.Heal()
				hold.Release()
			}
		},
	}
}

// TestATokenIsBackAfterAnySequenceOfTroubles has eight callers work through troubles that are drawn. What they get is right, or
// says that it is unavailable; when the troubles are over, all is as it was.
func TestATokenIsBackAfterAnySequenceOfTroubles(t *testing.T) {
	for seed := range uint64(12) {
		run(t, faketoken.Config{Tampered: cryptoki.ErrGeneralError, ReuseHandles: seed%2 == 0}, func(t *testing.T, b *bench) {
			r := rand.New(rand.NewPCG(seed, 0))
			b.addKey("another")
			tok := b.open()
			kek := b.probed(tok)
			var over atomic.Bool
			var group sync.WaitGroup
			for i := range 8 {
				group.Go(func() {
					for n := 0; !over.Load(); n++ {
						err := kek.open(t.Context())
						if i == 0 && n%10 == 0 {
							require.Error(t, kek.openTampered(t))
						}
						if err != nil && !errors.Is(err, hsm.ErrUnavailable) && !errors.Is(err, hsm.ErrKEKMissing) {
							t.Errorf("seed %d: %v", seed, err)
						}
						time.Sleep(time.Duration(20+10*i) * time.Millisecond)
					}
				})
			}
			troubles := b.troubles(r)
			for range 12 {
				end := troubles[r.IntN(len(troubles))]()
				time.Sleep(time.Duration(r.IntN(1500)) * time.Millisecond)
				end()
				time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
			}
			over.Store(true)
			group.Wait()
			time.Sleep(time.Minute)
			synctest.Wait()

			requireNone(t, together(8, func(int) error { return kek.open(t.Context()) }))
			require.NoError(t, tok.Check(t.Context()))
			h := tok.Health()
			require.Equal(t, token.Healthy, h.State)
			require.Zero(t, h.Stuck)
			require.Equal(t, b.device.Sessions(), h.Sessions)
			require.Zero(t, b.library.BadLogins())
		})
	}
}
