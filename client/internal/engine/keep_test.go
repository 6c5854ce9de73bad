// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/client/clienttest"
	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
)

// keeping runs an engine that has logged in, in a bubble. The requests are counted from then on.
func keeping(t *testing.T, ttl time.Duration, renewable bool, run func(t *testing.T, f *clienttest.FakeVault)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.SetTokens(ttl, renewable)
		require.NoError(t, engineOf(t, f).Login(t.Context()))
		require.Equal(t, map[string]int{"login": 1}, f.Requests())
		f.ResetRequests()
		run(t, f)
	})
}

// pass lets time go by and what is due happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestATokenIsRenewedAtTwoThirdsOfItsLifetime(t *testing.T) {
	keeping(t, 30*time.Minute, true, func(t *testing.T, f *clienttest.FakeVault) {
		pass(20*time.Minute - time.Second)
		require.Empty(t, f.Requests())
		pass(time.Second)
		require.Equal(t, map[string]int{"renew": 1}, f.Requests())
		pass(24 * time.Hour)
		require.Equal(t, map[string]int{"renew": 73}, f.Requests())
	})
}

func TestATokenThatCannotBeRenewedIsReplacedAtTwoThirds(t *testing.T) {
	keeping(t, 30*time.Minute, false, func(t *testing.T, f *clienttest.FakeVault) {
		pass(20*time.Minute - time.Second)
		require.Empty(t, f.Requests())
		pass(time.Second)
		require.Equal(t, map[string]int{"login": 1}, f.Requests())
		pass(20 * time.Minute)
		require.Equal(t, map[string]int{"login": 2}, f.Requests())
	})
}

func TestATokenWithoutEndIsLeftAlone(t *testing.T) {
	keeping(t, 0, true, func(t *testing.T, f *clienttest.FakeVault) {
		pass(1000 * time.Hour)
		require.Empty(t, f.Requests())
	})
}

func TestARenewalThatGivesLittleLeadsToALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		f.SetTokens(30*time.Minute, true)
		f.SetMaxTTL(time.Hour)
		require.NoError(t, engineOf(t, f).Login(t.Context()))
		pass(20 * time.Minute)
		require.Equal(t, map[string]int{"login": 1, "renew": 1}, f.Requests())
		pass(20 * time.Minute) // 20 of 30 minutes are left
		require.Equal(t, map[string]int{"login": 1, "renew": 2}, f.Requests())
		pass(13*time.Minute + 19*time.Second) // 2/3 of these count
		require.Equal(t, map[string]int{"login": 1, "renew": 2}, f.Requests())
		pass(2 * time.Second) // 6:40 would be left
		require.Equal(t, map[string]int{"login": 2, "renew": 3}, f.Requests())
	})
}

func TestARefusedRenewalLeadsToALogin(t *testing.T) {
	keeping(t, 30*time.Minute, true, func(t *testing.T, f *clienttest.FakeVault) {
		f.RevokeTokens()
		pass(20 * time.Minute)
		require.Equal(t, map[string]int{"renew": 1, "login": 1}, f.Requests())
	})
}

func TestARenewalThatNeverGotThroughLeadsToALogin(t *testing.T) {
	keeping(t, 30*time.Minute, true, func(t *testing.T, f *clienttest.FakeVault) {
		pass(19 * time.Minute)
		f.SetOutage(clienttest.Sealed)
		pass(8*time.Minute - time.Second) // 90 % are at 27
		require.Zero(t, f.Requests()["login"])
		require.Greater(t, f.Requests()["renew"], 20)
		require.Less(t, f.Requests()["renew"], 120, "with pauses")
		pass(time.Second)
		require.Equal(t, 1, f.Requests()["login"])
		f.SetOutage(clienttest.None)
		pass(10 * time.Second)
		f.ResetRequests()
		pass(19 * time.Minute)
		require.Empty(t, f.Requests(), "there is a token again")
	})
}

func TestARenewalThatGetsThroughInTimeIsEnough(t *testing.T) {
	keeping(t, 30*time.Minute, true, func(t *testing.T, f *clienttest.FakeVault) {
		pass(19 * time.Minute)
		f.SetOutage(clienttest.Slow)
		pass(3 * time.Minute)
		f.SetOutage(clienttest.None)
		pass(15 * time.Second)
		f.ResetRequests()
		pass(19 * time.Minute)
		require.Empty(t, f.Requests())
	})
}

func TestARefusedLoginIsLeftToTheNextRequest(t *testing.T) {
	keeping(t, 30*time.Minute, false, func(t *testing.T, f *clienttest.FakeVault) {
		f.RefuseLogins(true)
		pass(24 * time.Hour)
		require.Equal(t, map[string]int{"login": 1}, f.Requests(), "a Vault locks out who tries too often")
	})
}

func TestATokenOfTheCallersClientIsRenewedIfItCanBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		vault := f.Client()
		f.SetTokens(30*time.Minute, true)
		s, err := vault.Auth().Login(t.Context(), f.Auth())
		require.NoError(t, err)
		require.NotNil(t, s)
		f.ResetRequests()
		e := newEngine(t, engine.Options{Vault: vault})
		require.NoError(t, e.Login(t.Context()))
		pass(3 * time.Hour)
		require.Equal(t, map[string]int{"lookup": 1, "renew": 9}, f.Requests())
		_, err = e.Make(t.Context(), "orders")
		require.NoError(t, err)
		f.SetMaxTTL(4 * time.Hour)
		pass(2 * time.Hour)
		require.Zero(t, f.Requests()["login"])
		require.Less(t, f.Requests()["renew"], 40, "nor is Vault kept busy by one that ends")
		_, err = e.Make(t.Context(), "orders")
		require.Equal(t, "access_denied", sortOf(t, err))
	})
}

func TestATokenOfTheCallersClientWhoseRenewalIsRefusedIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		vault := f.Client()
		f.SetTokens(30*time.Minute, true)
		_, err := vault.Auth().Login(t.Context(), f.Auth())
		require.NoError(t, err)
		f.ResetRequests()
		require.NoError(t, newEngine(t, engine.Options{Vault: vault}).Login(t.Context()))
		f.RevokeTokens()
		pass(time.Hour)
		require.Equal(t, map[string]int{"lookup": 1, "renew": 1}, f.Requests())
	})
}

func TestJitterSpreadsRenewals(t *testing.T) {
	for random, at := range map[float64]time.Duration{0: 18 * time.Minute, 0.5: 20 * time.Minute, 1: 22 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			f.SetTokens(30*time.Minute, true)
			e, err := engine.New(engine.Options{Vault: f.Client(), Auth: f.Auth(), Mount: "keylife", Random: func() float64 { return random }})
			require.NoError(t, err)
			defer e.Close()
			require.NoError(t, e.Login(t.Context()))
			pass(at - time.Second)
			require.Zero(t, f.Requests()["renew"])
			pass(time.Second + time.Microsecond)
			require.Equal(t, 1, f.Requests()["renew"])
		})
	}
}
