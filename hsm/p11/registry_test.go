//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/hsm/p11"
)

func TestAllWhoHoldALibraryShareOneInitialisation(t *testing.T) {
	fixture, faults := faulty(t)
	symbolic, hard := filepath.Join(t.TempDir(), "symbolic.so"), fixture.Library+".hard.so"
	require.NoError(t, os.Symlink(fixture.Library, symbolic))
	require.NoError(t, os.Link(fixture.Library, hard))

	var held []cryptoki.Library
	for _, path := range []string{fixture.Library, symbolic, hard} {
		library, err := p11.Open(p11.Options{Path: path})
		require.NoError(t, err)
		held = append(held, library)
	}
	require.Equal(t, 1, faults.Calls("C_Initialize"))
	loggedIn(t, held[0], fixture)
	require.ErrorIs(t, sessionOf(t, held[1], fixture).Login([]byte(fixture.PIN)), cryptoki.ErrUserAlreadyLoggedIn)

	require.NoError(t, held[0].Close())
	require.NoError(t, held[0].Close(), "a second Close does nothing")
	require.NoError(t, held[1].Close())
	require.Zero(t, faults.Calls("C_Finalize"))
	_, err := sessionOf(t, held[2], fixture).Random(1)
	require.NoError(t, err)

	require.NoError(t, held[2].Close())
	require.Equal(t, 1, faults.Calls("C_Finalize"))
	sessionOf(t, open(t, fixture), fixture)
	require.Equal(t, 2, faults.Calls("C_Initialize"))
}

func TestALibraryThatWasGivenUpIsNotCalled(t *testing.T) {
	fixture, faults := faulty(t)
	other := open(t, fixture)
	library := open(t, fixture)
	session := loggedIn(t, library, fixture)
	require.NoError(t, library.Close())
	_, err := library.Tokens()
	require.ErrorIs(t, err, cryptoki.ErrNotInitialized)
	_, err = library.Mechanisms(0)
	require.ErrorIs(t, err, cryptoki.ErrNotInitialized)
	_, err = library.Open(0)
	require.ErrorIs(t, err, cryptoki.ErrNotInitialized)
	require.ErrorIs(t, library.Reinitialize(), cryptoki.ErrNotInitialized)

	require.NoError(t, session.Close(), "its sessions can be closed still")
	require.NoError(t, session.Close())
	_, err = session.Random(1)
	require.ErrorIs(t, err, cryptoki.ErrSessionHandleInvalid)
	require.Zero(t, faults.Calls("C_GenerateRandom"))
	require.Equal(t, 1, faults.Calls("C_CloseSession"))
	require.NoError(t, other.Close())
}

func TestALibraryIsNamedByTheAbsolutePathOfAPKCS11Library(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	require.NoError(t, os.WriteFile(text, []byte("no library"), 0o600))
	libc, err := filepath.Glob("/lib*/*/libdl.so.2")
	require.NoError(t, err)
	require.NotEmpty(t, libc)
	for path, says := range map[string]string{
		"libsofthsm2.so":   "must be absolute",
		"/nowhere/p11.so":  "no such file",
		text:               "file too short",
		filepath.Dir(text): "cannot read file data",
		libc[0]:            "it is no PKCS#11 library",
	} {
		_, err := p11.Open(p11.Options{Path: path})
		require.ErrorContains(t, err, says)
	}
}

func TestALibraryInUseIsNotInitialisedWithOtherArguments(t *testing.T) {
	fixture := hsmtest.NSS(t)
	library := open(t, fixture)
	other := options(fixture)
	other.Reserved += " "
	_, err := p11.Open(other)
	require.ErrorContains(t, err, "another argument")
	require.NoError(t, library.Close())
	again, err := p11.Open(other)
	require.NoError(t, err)
	require.NoError(t, again.Close())
}

func TestALibraryThatSomebodyElseInitialisedIsLeftAlone(t *testing.T) {
	fixture, _ := faulty(t)
	behind, _ := hsmtest.Faulty(t, fixture)
	library := open(t, fixture)
	_, err := p11.Open(options(behind))
	require.ErrorIs(t, err, cryptoki.ErrAlreadyInitialized)
	sessionOf(t, library, fixture)
}

func TestOneHolderThatInitialisesAnewIsNoticedByTheOthers(t *testing.T) {
	fixture, faults := faulty(t)
	one, other := open(t, fixture), open(t, fixture)
	session := loggedIn(t, other, fixture)
	require.NoError(t, one.Reinitialize())
	require.Equal(t, 2, faults.Calls("C_Initialize"))
	replacement := loggedIn(t, one, fixture) // has the number of the session before, likely

	_, err := session.Random(8)
	require.ErrorIs(t, err, cryptoki.ErrSessionHandleInvalid)
	require.NoError(t, session.Close())
	_, err = other.Open(slotOf(t, one, fixture))
	require.ErrorIs(t, err, cryptoki.ErrNotInitialized, "until it was initialised anew for this holder too")
	require.Zero(t, faults.Calls("C_GenerateRandom")+faults.Calls("C_CloseSession"))

	require.NoError(t, other.Reinitialize())
	require.Equal(t, 2, faults.Calls("C_Initialize"), "what the first holder made is taken over")
	sessionOf(t, other, fixture)
	_, err = replacement.Random(8)
	require.NoError(t, err)
}

func TestALibraryIsFinalizedWhileNoCallIsUnderWayOnly(t *testing.T) {
	fixture, faults := faulty(t)
	library := open(t, fixture)
	session := loggedIn(t, library, fixture)
	faults.Set("C_GenerateRandom", hsmtest.Rule{Hang: true})
	var called sync.WaitGroup
	called.Go(func() {
		_, err := session.Random(8)
		assert.NoError(t, err)
	})
	until(func() bool { return faults.Hanging("C_GenerateRandom") == 1 })
	called.Go(func() { assert.NoError(t, library.Reinitialize()) })
	require.Zero(t, faults.Calls("C_Finalize"))
	faults.Clear("C_GenerateRandom")
	called.Wait()
	require.Equal(t, 1, faults.Calls("C_Finalize"))
}

func TestACallThatHangsKeepsALibraryFromBeingFinalized(t *testing.T) {
	fixture, faults := faulty(t)
	impatient := options(fixture)
	impatient.Drain = 1
	library, err := p11.Open(impatient)
	require.NoError(t, err)
	session := loggedIn(t, library, fixture)
	faults.Set("C_GenerateRandom", hsmtest.Rule{Hang: true, Calls: 1})
	var called sync.WaitGroup
	called.Go(func() {
		_, err := session.Random(8)
		assert.NoError(t, err)
	})
	until(func() bool { return faults.Hanging("C_GenerateRandom") == 1 })

	require.ErrorIs(t, library.Reinitialize(), p11.ErrBusy)
	_, err = sessionOf(t, library, fixture).Random(8)
	require.NoError(t, err, "the others go on")
	patient := options(fixture)
	patient.Drain = 1000 * time.Hour
	other, err := p11.Open(patient)
	require.NoError(t, err)
	require.ErrorIs(t, other.Reinitialize(), p11.ErrBusy, "it was waited for once, and is not again")
	require.NoError(t, other.Close())
	require.ErrorIs(t, library.Close(), p11.ErrBusy)
	require.Zero(t, faults.Calls("C_Finalize"))
	next := open(t, fixture)
	sessionOf(t, next, fixture)
	require.Equal(t, 1, faults.Calls("C_Initialize"), "it was initialised still")

	faults.Clear("C_GenerateRandom")
	called.Wait()
	require.NoError(t, next.Reinitialize())
	require.NoError(t, next.Close())
	require.Equal(t, 2, faults.Calls("C_Finalize"))
}

func TestALibraryThatDidNotInitialiseIsTriedAgain(t *testing.T) {
	fixture, faults := faulty(t)
	require.NoError(t, open(t, fixture).Close())
	faults.Set("C_Initialize", hsmtest.Rule{Return: cryptoki.ErrDeviceError, Calls: 1})
	_, err := p11.Open(options(fixture))
	require.ErrorIs(t, err, cryptoki.ErrDeviceError)
	require.ErrorContains(t, err, "C_Initialize: CKR_DEVICE_ERROR (0x30)")

	library := open(t, fixture)
	faults.Set("C_Initialize", hsmtest.Rule{Return: cryptoki.ErrDeviceError, Calls: 1})
	require.ErrorIs(t, library.Reinitialize(), cryptoki.ErrDeviceError)
	_, err = library.Tokens()
	require.ErrorIs(t, err, cryptoki.ErrNotInitialized)
	require.NoError(t, library.Reinitialize())
	sessionOf(t, library, fixture)
}

func TestALibraryThatDoesNotFinalizeSaysSo(t *testing.T) {
	fixture, faults := faulty(t)
	library := open(t, fixture)
	faults.Set("C_Finalize", hsmtest.Rule{Return: cryptoki.ErrFunctionFailed, Calls: 1})
	err := library.Reinitialize()
	require.ErrorIs(t, err, cryptoki.ErrFunctionFailed)
	require.ErrorIs(t, err, cryptoki.ErrAlreadyInitialized)
	require.NoError(t, library.Reinitialize())
	sessionOf(t, library, fixture)
}

func TestALibraryIsOpenedAndClosedByManyAtOnce(t *testing.T) {
	fixture, faults := faulty(t)
	var holders sync.WaitGroup
	for range 8 {
		holders.Go(func() {
			for range 20 {
				library, err := p11.Open(options(fixture))
				if !assert.NoError(t, err) {
					return
				}
				_, err = library.Tokens()
				assert.NoError(t, err)
				assert.NoError(t, library.Close())
			}
		})
	}
	holders.Wait()
	require.Equal(t, faults.Calls("C_Initialize"), faults.Calls("C_Finalize"))
}
