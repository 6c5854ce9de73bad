// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

func (k *key) openTampered(t *testing.T) error {
	tampered := append([]byte{k.sealed[0] ^ 1}, k.sealed[1:]...)
	return k.token.Run(t.Context(), func(s cryptoki.Session, epoch uint64) error { return k.unsealThis(s, epoch, tampered) })
}

func TestDamagedDataDoesNotDisturbTheToken(t *testing.T) {
	for _, rv := range []cryptoki.Error{cryptoki.ErrEncryptedDataInvalid, cryptoki.ErrGeneralError, cryptoki.ErrFunctionFailed} {
		run(t, faketoken.Config{Tampered: rv}, func(t *testing.T, b *bench) {
			tok := b.open()
			kek := b.probed(tok)
			for _, err := range together(8, func(int) error { return kek.openTampered(t) }) {
				require.ErrorIs(t, err, rv)
				require.NotErrorIs(t, err, hsm.ErrUnavailable)
			}
			h := tok.Health()
			require.Equal(t, token.Healthy, h.State)
			require.Equal(t, 1, h.Logins)
			require.Zero(t, h.Reinits)
		})
	}
}

func TestAnAmbiguousErrorIsTheTokensWhereTheProbeFails(t *testing.T) {
	run(t, faketoken.Config{Tampered: cryptoki.ErrGeneralError}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		b.library.Fail(faketoken.Decrypt, cryptoki.ErrGeneralError, 2)
		require.NoError(t, kek.open(t.Context()))
		require.Equal(t, 1, tok.Health().Relogins)
	})
}

func TestDataIsNotCalledDamagedForOneErrorOfTheDevice(t *testing.T) {
	run(t, faketoken.Config{Tampered: cryptoki.ErrGeneralError}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		b.library.Fail(faketoken.Decrypt, cryptoki.ErrGeneralError, 1) // and the probe passes
		require.NoError(t, kek.open(t.Context()))
		require.Zero(t, tok.Health().Relogins)
	})
}

func TestAnAmbiguousErrorWithoutAProbeIsTriedOnceMore(t *testing.T) {
	run(t, faketoken.Config{Tampered: cryptoki.ErrGeneralError}, func(t *testing.T, b *bench) {
		kek := b.kek(b.open())
		b.library.Fail(faketoken.Decrypt, cryptoki.ErrFunctionFailed, 1)
		require.NoError(t, kek.open(t.Context()))
		err := kek.openTampered(t)
		require.ErrorIs(t, err, cryptoki.ErrGeneralError)
		require.NotErrorIs(t, err, hsm.ErrUnavailable)
		require.Equal(t, 1, b.library.Calls(faketoken.Login))
	})
}

func TestAGeneralErrorOfAnotherCallIsTheDevices(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		b.probed(tok)
		b.library.Fail(faketoken.GenerateRandom, cryptoki.ErrGeneralError, 1000)
		err := tok.Run(t.Context(), func(s cryptoki.Session, _ uint64) error {
			_, err := s.Random(8)
			return err
		})
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		require.Equal(t, 1, tok.Health().Relogins, "the probe says that the token works: nothing more is tried")
	})
}

func TestErrorsOfTheCallerClimbNoLadder(t *testing.T) {
	for _, rv := range []cryptoki.Error{
		cryptoki.ErrArgumentsBad, cryptoki.ErrDataLenRange, cryptoki.ErrMechanismInvalid, cryptoki.ErrMechanismParamInvalid,
		cryptoki.ErrKeyFunctionNotPermitted, cryptoki.ErrTemplateInconsistent, cryptoki.ErrFunctionNotSupported,
		cryptoki.ErrBufferTooSmall, cryptoki.ErrAttributeTypeInvalid, cryptoki.Error(0x80000001),
	} {
		run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
			kek := b.probed(b.open())
			calls := b.library.Calls(faketoken.Decrypt)
			b.library.Fail(faketoken.Decrypt, rv, 1)
			require.Equal(t, rv, kek.open(t.Context()))
			require.Equal(t, calls+1, b.library.Calls(faketoken.Decrypt))
			require.Equal(t, token.Healthy, kek.token.Health().State)
		})
	}
}

func TestAHandleThatStaysUnknownIsNoReasonToLogInAgainAndAgain(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		b.probed(tok)
		err := tok.Run(t.Context(), func(s cryptoki.Session, _ uint64) error { return s.Destroy(4711) })
		require.ErrorIs(t, err, cryptoki.ErrObjectHandleInvalid)
		require.NotErrorIs(t, err, hsm.ErrUnavailable)
		require.Equal(t, 2, b.library.Calls(faketoken.Login))
	})
}

func TestAnotherKeyThatIsMissingIsNotTheTokensFault(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		b.probed(tok)
		gone := &key{token: tok, label: "gone"}
		require.ErrorIs(t, gone.open(t.Context()), hsm.ErrKEKMissing)
		require.Equal(t, token.Healthy, tok.Health().State)
		require.Equal(t, 1, b.library.Calls(faketoken.Login))
	})
}

func TestAProbeThatFindsAnotherKeyDoesNotStopTheToken(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.kek(tok)
		tok.SetProbe(func(cryptoki.Session, uint64) error { return hsm.ErrKEKMismatch })
		b.device.Restart()
		require.NoError(t, kek.open(t.Context()))
		h := tok.Health()
		require.Equal(t, token.KEKMissing, h.State)
		require.Equal(t, hsm.ErrKEKMismatch.Error(), h.LastError)
	})
}

// generate makes a key, and counts how often it was asked to.
func generate(calls *int) token.Func {
	return func(s cryptoki.Session, _ uint64) error {
		*calls++
		_, err := s.Generate(cryptoki.Mechanism{Type: cryptoki.AESKeyGen}, keyTemplate("made"))
		return err
	}
}

func TestWhatMayHaveBeenDoneIsNotDoneTwice(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		b.probed(tok)
		for _, rv := range []cryptoki.Error{cryptoki.ErrDeviceError, cryptoki.ErrDeviceRemoved, cryptoki.ErrGeneralError} {
			calls, before := 0, b.device.Objects()
			b.library.FailLate(faketoken.GenerateKey, rv, 1)
			require.ErrorIs(t, tok.RunOnce(t.Context(), generate(&calls)), hsm.ErrUnavailable)
			require.Equal(t, 1, calls)
			require.Equal(t, before+1, b.device.Objects())
		}
	})
}

func TestWhatWasNotDoneIsDoneAgain(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		b.probed(tok)
		b.device.Restart()
		calls, before := 0, b.device.Objects()
		require.NoError(t, tok.RunOnce(t.Context(), generate(&calls)))
		require.Equal(t, 2, calls)
		require.Equal(t, before+1, b.device.Objects())
	})
}

func TestWhatFollowsAChangeIsNotDoneAgainEither(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		calls := 0
		b.library.Fail(faketoken.GenerateRandom, cryptoki.ErrSessionHandleInvalid, 1)
		err := tok.RunOnce(t.Context(), func(s cryptoki.Session, epoch uint64) error {
			if err := generate(&calls)(s, epoch); err != nil {
				return err
			}
			_, err := s.Random(1)
			return err
		})
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		require.Equal(t, 1, calls)
	})
}

func TestMechanismsAndInfoAreAskedOfTheToken(t *testing.T) {
	run(t, faketoken.Config{Missing: []cryptoki.MechanismType{cryptoki.AESGCM}}, func(t *testing.T, b *bench) {
		tok := b.open()
		list, err := tok.Mechanisms(t.Context())
		require.NoError(t, err)
		require.Contains(t, list, cryptoki.AESCBCPad)
		require.NotContains(t, list, cryptoki.AESGCM)
		info, err := tok.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, "0001", info.Serial)
		_, err = tok.MechanismInfo(t.Context(), cryptoki.AESCBCPad)
		require.NoError(t, err)
		_, err = tok.MechanismInfo(t.Context(), cryptoki.AESGCM)
		require.ErrorIs(t, err, cryptoki.ErrMechanismInvalid)
		require.NotErrorIs(t, err, hsm.ErrUnavailable)

		b.library.Fail(faketoken.GetMechanisms, cryptoki.ErrDeviceError, 1)
		_, err = tok.Mechanisms(t.Context())
		require.NoError(t, err)
		hold := b.library.Hang(faketoken.GetMechanisms, 1)
		_, err = tok.Mechanisms(t.Context())
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		hold.Release()
		time.Sleep(time.Second)
		require.Zero(t, tok.Health().Stuck)
	})
}

func TestAnErrorOfAFunctionThatChangedTheTokenIsFinalThoughOthersRecoveredItMeanwhile(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open()
		kek := b.probed(tok)
		for _, once := range []bool{true, false} {
			calls := 0
			work := func(s cryptoki.Session, epoch uint64) error {
				err := generate(&calls)(s, epoch)
				if calls == 1 {
					b.device.Restart()
					require.NoError(t, kek.open(t.Context())) // as another caller
				}
				if err != nil {
					return err
				}
				return errWrong
			}
			runs := map[bool]func() error{
				true:  func() error { return tok.RunOnce(t.Context(), work) },
				false: func() error { return tok.Run(t.Context(), work) },
			}
			require.Equal(t, errWrong, runs[once]())
			require.Equal(t, map[bool]int{true: 1, false: 2}[once], calls)
		}
	})
}
