//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11_test

import (
	"testing"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
)

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
