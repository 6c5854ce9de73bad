// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsm_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

// bubbleClock is the clock of the bubble that a test runs in, or the machine's outside of one.
type bubbleClock struct{}

func (bubbleClock) Now() time.Time                                  { return time.Now() }
func (bubbleClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// reachable returns a token of a device that is kept reachable.
func reachable(t *testing.T, d *faketoken.Device) (*token.Token, *faketoken.Library) {
	t.Helper()
	library := faketoken.NewLibrary(d)
	opened, err := token.NewRegistry(bubbleClock{}, func() float64 { return 0 }).Open(token.Config{
		Library: "lib", Label: "prod", PIN: []byte(testPIN), CallTimeout: 3 * time.Second,
		Load: func() (cryptoki.Library, error) { return library, nil },
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		opened.Close()
		assert.Empty(t, library.Misuse())
	})
	return opened, library
}

func TestEachSuiteConformsOnATokenThatIsKeptReachable(t *testing.T) {
	for _, s := range hsm.Suites() {
		for name, tampered := range map[string]cryptoki.Error{"its own error": 0, "a general error": cryptoki.ErrGeneralError} {
			t.Run(s.String()+", damage is "+name, func(t *testing.T) {
				tok, _ := reachable(t, device(s, faketoken.Config{Label: "prod", Tampered: tampered}))
				tok.SetProbe(wrapper(t, tok, create(t, tok, s)).Probe)
				hsmtest.RunSampled(t, func(t *testing.T) hsmtest.Wrapper { return wrapper(t, tok, create(t, tok, s)) })
			})
		}
	}
}

// onReachable runs a test in a bubble, on a token with keys of AES-GCM.
func onReachable(t *testing.T, c faketoken.Config, test func(t *testing.T, d *faketoken.Device, l *faketoken.Library, tok *token.Token)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.Label = "prod"
		d := device(hsm.SuiteGCM, c)
		tok, l := reachable(t, d)
		test(t, d, l, tok)
	})
}

// Handles are numbers that a token gives anew after a restart: the one of one key is then that of another.
func TestARestartUnderLoadNeverWrapsUnderAnotherKEK(t *testing.T) {
	onReachable(t, faketoken.Config{ReuseHandles: true}, func(t *testing.T, d *faketoken.Device, _ *faketoken.Library, tok *token.Token) {
		a, b := wrapper(t, tok, create(t, tok, hsm.SuiteGCM)), wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
		tok.SetProbe(a.Probe)
		var all sync.WaitGroup
		for range 4 {
			for _, w := range []*hsm.Wrapper{a, b} {
				all.Go(func() {
					for range 200 {
						wrapped, err := w.Wrap(t.Context(), []byte("dek"), []byte("aad"))
						if assert.NoError(t, err) {
							got, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
							assert.NoError(t, err)
							assert.Equal(t, []byte("dek"), got)
						}
						time.Sleep(time.Millisecond)
					}
				})
			}
		}
		for range 20 {
			time.Sleep(10 * time.Millisecond)
			d.Restart()
		}
		all.Wait()
	})
}

func TestATokenThatIsAwayIsNoDamage(t *testing.T) {
	onReachable(t, faketoken.Config{Tampered: cryptoki.ErrGeneralError}, func(t *testing.T, d *faketoken.Device, _ *faketoken.Library, tok *token.Token) {
		w := wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
		tok.SetProbe(w.Probe)
		wrapped := wrap(t, w)
		d.Vanish()
		_, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		require.NotErrorIs(t, err, hsm.ErrCorrupt)
		d.Return()
		time.Sleep(time.Minute)
		requireOpens(t, w, wrapped)
	})
}

func TestDamagedDataNeverInitialisesTheLibraryAnew(t *testing.T) {
	onReachable(t, faketoken.Config{Tampered: cryptoki.ErrGeneralError}, func(t *testing.T, _ *faketoken.Device, l *faketoken.Library, tok *token.Token) {
		w := wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
		tok.SetProbe(w.Probe)
		damaged := bytes.Clone(wrap(t, w))
		damaged[len(damaged)-1] ^= 1
		initialised := l.Calls(faketoken.Initialize)
		for range 5 {
			_, err := w.Unwrap(t.Context(), damaged, []byte("aad"))
			require.ErrorIs(t, err, hsm.ErrCorrupt)
		}
		require.Equal(t, initialised, l.Calls(faketoken.Initialize))
	})
}

func TestErrorsOfATokenAreNeverTakenForDamage(t *testing.T) {
	onReachable(t, faketoken.Config{Tampered: cryptoki.ErrGeneralError}, func(t *testing.T, _ *faketoken.Device, l *faketoken.Library, tok *token.Token) {
		w := wrapper(t, tok, create(t, tok, hsm.SuiteGCM))
		tok.SetProbe(w.Probe)
		wrapped := wrap(t, w)
		for _, rv := range []cryptoki.Error{cryptoki.ErrGeneralError, cryptoki.ErrDeviceError, cryptoki.ErrSessionHandleInvalid} {
			for n := 1; n < 12; n++ {
				l.Fail(faketoken.Decrypt, rv, n)
				_, err := w.Unwrap(t.Context(), wrapped, []byte("aad"))
				require.True(t, err == nil || errors.Is(err, hsm.ErrUnavailable), "%v, %d times: %v", rv, n, err)
				require.NotErrorIs(t, err, hsm.ErrCorrupt)
				l.Heal()
				time.Sleep(time.Minute)
				requireOpens(t, w, wrapped)
			}
		}
	})
}
