// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest/faketoken"
	"github.com/keylife/vault-plugin-keylife/hsm/token"
)

func selecting(label, serial string) func(*token.Config) {
	return func(c *token.Config) { c.Label, c.Serial = label, serial }
}

func (b *bench) plug(devices ...faketoken.Config) {
	made := make([]*faketoken.Device, len(devices))
	for i, c := range devices {
		c.PIN = pin
		made[i] = faketoken.NewDevice(c)
	}
	b.device, b.library = made[0], faketoken.NewLibrary(made...)
}

func TestLabelAndSerialSelectExactlyOneToken(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.plug(faketoken.Config{Label: "a", Serial: "1"}, faketoken.Config{Label: "a", Serial: "2"}, faketoken.Config{Label: "b", Serial: "3"})
		for want, selection := range map[string]func(*token.Config){
			"1": selecting("a", "1"), "2": selecting("", "2"), "3": selecting("b", ""),
		} {
			info, err := b.open(selection).Info(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, info.Serial)
		}
		err := b.open(selecting("a", "")).Check(t.Context())
		require.ErrorIs(t, err, hsm.ErrMisconfigured)
		require.ErrorContains(t, err, `2 tokens match label "a"`)
		err = b.open(selecting("a", "3")).Check(t.Context())
		require.ErrorIs(t, err, hsm.ErrUnavailable)
		require.ErrorContains(t, err, `no token is present with label "a" and serial number "3"`)
		require.Equal(t, 3, b.library.Calls(faketoken.Login))
	})
}

func TestTokensOfOneSerialNumberAreToldApartByTheirLabels(t *testing.T) { // as those of NSS
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.plug(faketoken.Config{Label: "a", Serial: "0"}, faketoken.Config{Label: "b", Serial: "0"})
		for range 2 {
			for _, label := range []string{"b", "a"} {
				info, err := b.open(selecting(label, "")).Info(t.Context())
				require.NoError(t, err)
				require.Equal(t, label, info.Label)
			}
			b.library.Fail(faketoken.GetMechanisms, cryptoki.ErrNotInitialized, 1)
			_, err := b.open(selecting("b", "")).Mechanisms(t.Context())
			require.NoError(t, err)
		}
	})
}

func TestATokenThatIsNotThereYetIsFoundWhenItIs(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.device.Vanish()
		require.NoError(t, b.library.Reinitialize()) // so that the library starts without it
		tok := b.open()
		require.ErrorIs(t, tok.Check(t.Context()), hsm.ErrUnavailable)
		h := tok.Health()
		require.Equal(t, token.Unavailable, h.State)
		require.Contains(t, h.LastError, "no token is present")
		require.True(t, h.Next.After(time.Now()))
		b.device.Return()
		time.Sleep(time.Second)
		require.NoError(t, tok.Check(t.Context()))
		require.Equal(t, token.Healthy, tok.Health().State)
	})
}

func TestALibraryThatDoesNotLoadIsTriedLater(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tries := 0
		tok := b.open(func(c *token.Config) {
			load := c.Load
			c.Load = func() (cryptoki.Library, error) {
				if tries++; tries < 6 {
					return nil, errors.New("no such file")
				}
				return load()
			}
		})
		requireAll(t, together(8, func(int) error { return tok.Check(t.Context()) }), hsm.ErrUnavailable)
		require.Equal(t, 3, tries, "at 0, 50 and 150 ms")
		for tok.Check(t.Context()) != nil {
			time.Sleep(time.Second)
		}
		require.Equal(t, 6, tries)
	})
}

func TestABinaryWithoutPKCS11SaysSo(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		tok := b.open(func(c *token.Config) {
			c.Load = func() (cryptoki.Library, error) { return nil, hsm.ErrNotBuilt }
		})
		err := tok.Check(t.Context())
		require.ErrorIs(t, err, hsm.ErrNotBuilt)
		require.NotErrorIs(t, err, hsm.ErrUnavailable, "no retry helps")
	})
}

func TestATokenThatWasInitialisedAnewIsFoundByItsLabelButNotBySerial(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		byLabel := b.open(selecting("prod", ""))
		kek := b.probed(byLabel)
		b.device.InitToken("0002")
		require.ErrorIs(t, kek.open(t.Context()), hsm.ErrKEKMissing)
		info, err := byLabel.Info(t.Context())
		require.NoError(t, err)
		require.Equal(t, "0002", info.Serial)
		require.Equal(t, token.KEKMissing, byLabel.Health().State)

		b.addKey("kek")
		require.ErrorIs(t, b.open(selecting("", "0001")).Check(t.Context()), hsm.ErrUnavailable)
	})
}

func TestAnEpochIsNeverUsedTwice(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		seen := map[uint64]bool{}
		for i := range 6 {
			tok := b.open()
			require.NoError(t, tok.Run(t.Context(), func(_ cryptoki.Session, epoch uint64) error {
				require.False(t, seen[epoch])
				seen[epoch] = true
				return nil
			}))
			if i%2 == 0 {
				tok.Close()
			} else {
				b.device.Restart()
				require.Error(t, tok.Run(t.Context(), func(s cryptoki.Session, epoch uint64) error {
					_, _ = s.Random(1)
					return errWrong
				}))
				b.device.InitToken(fmt.Sprint(i))
				tok.Close()
			}
		}
	})
}

func TestTwoTokensOfALibraryKeepTheirOwnLoginsThroughInitialize(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		b.plug(faketoken.Config{Label: "a", Serial: "1"}, faketoken.Config{Label: "b", Serial: "2"})
		a, other := b.open(selecting("a", "")), b.open(selecting("b", ""))
		require.NoError(t, a.Check(t.Context()))
		require.NoError(t, other.Check(t.Context()))
		b.library.Fail(faketoken.GenerateRandom, cryptoki.ErrNotInitialized, 1)
		require.NoError(t, a.Check(t.Context()))
		require.NoError(t, other.Check(t.Context()))
		require.Equal(t, 4, b.library.Calls(faketoken.Login))
		require.Equal(t, 1, a.Health().Reinits+other.Health().Reinits)
		require.Equal(t, token.Healthy, other.Health().State)
	})
}

func TestConfigurationsWithoutALibraryOrATokenAreRefused(t *testing.T) {
	run(t, faketoken.Config{}, func(t *testing.T, b *bench) {
		for _, change := range []func(*token.Config){
			selecting("", ""),
			func(c *token.Config) { c.Library = "" },
			func(c *token.Config) { c.Load = nil },
			func(c *token.Config) { c.CallTimeout = -1 },
		} {
			c := b.config()
			change(&c)
			_, err := b.registry.Open(c)
			require.ErrorIs(t, err, hsm.ErrMisconfigured)
		}
	})
}
