//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/hsm/p11"
)

// open opens the library of a fixture, for the test.
func open(t testing.TB, fixture hsmtest.Fixture) cryptoki.Library {
	t.Helper()
	library, err := p11.Open(p11.Options{Path: fixture.Library, Reserved: fixture.Reserved})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, library.Close()) })
	return library
}

func TestEveryTokenKeepsToWhatIsReliedOn(t *testing.T) {
	for name, fixture := range map[string]func(t testing.TB) hsmtest.Fixture{
		"SoftHSM":             hsmtest.SoftHSM,
		"SoftHSM without GCM": hsmtest.SoftHSMWithoutGCM,
		"NSS":                 hsmtest.NSS,
		"SoftHSM behind faultp11": func(t testing.TB) hsmtest.Fixture {
			fixture, _ := hsmtest.Faulty(t, hsmtest.SoftHSM(t))
			return fixture
		},
	} {
		t.Run(name, func(t *testing.T) {
			hsmtest.RunLibrary(t, func(t *testing.T) (cryptoki.Library, hsmtest.Fixture) {
				made := fixture(t)
				return open(t, made), made
			})
		})
	}
}
