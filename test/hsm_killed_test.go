// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// steps are the calls of a token at which the plugin dies, each before it is done: those that come before it are.
type steps []struct {
	function string
	skip     int
}

// The plugin dies at the calls by which keys are made, put in force, and used to wrap anew what is stored. Whatever was done then,
// nothing is lost, no key is on the token that no mount knows of, and one is active.
func TestThePluginDiesAtEachStepOfAKeyOnAToken(t *testing.T) {
	t.Parallel()
	token, faults := hsmtest.Faulty(t, hsmtest.SoftHSMElsewhere(t))
	k := killed{tokenServer: withToken(t, token, true), faults: faults, mounts: []string{"keylife"}}
	k.configure(t, "keylife")
	for range 3 {
		k.version(t, "keylife")
	}
	t.Run("creation", k.creation)
	t.Run("rotation", k.rotation)
	t.Run("wrapping anew", k.sweep)
	t.Run("at random", k.random)
}

// killed is a server of which the plugin dies.
type killed struct {
	tokenServer
	faults *hsmtest.Faults
	mounts []string
	texts  map[string][]string
}

// version adds a version to the key of a mount, and a ciphertext of it.
func (k *killed) version(t *testing.T, mount string) {
	t.Helper()
	path := "/keys/k"
	if len(k.texts[mount]) > 0 {
		path += "/rotate"
	}
	k.Must(t, http.MethodPost, mount+path, nil)
	if k.texts == nil {
		k.texts = map[string][]string{}
	}
	k.texts[mount] = append(k.texts[mount], k.sealed(t, mount, "k"))
}

// dies has the plugin die at a step of a request, which Vault sends once more to the plugin that it starts.
func (k *killed) dies(t *testing.T, function string, skip int, request func()) {
	t.Helper()
	pids := k.PluginPIDs(t)
	k.faults.Set(function, hsmtest.Rule{Skip: skip, Calls: 1, Crash: true})
	before := k.faults.Hits(function)
	request()
	k.faults.Clear(function)
	require.Equal(t, before+1, k.faults.Hits(function), "the step was not reached")
	k.RevivePlugin(t)
	k.respawned(t, "keylife")
	require.NotSubset(t, pids, k.PluginPIDs(t), "no new process: the plugin did not die")
}

// requireWhole demands that all is well once a tick of a mount has come: with another process, so that all that opens is opened by the token.
func (k *killed) requireWhole(t *testing.T, mount string) {
	t.Helper()
	k.Tick(t, mount)
	for _, mount := range k.mounts {
		k.requireOpens(t, mount, "k", k.texts[mount]...)
		require.Equal(t, "healthy", k.status(t, mount)["state"])
	}
	k.requireTokenAsTold(t, k.mounts...)
}

// The first keys of a mount: two are made for the self-test, and two to stay.
func (k *killed) creation(t *testing.T) {
	for i, step := range (steps{{"C_GenerateKey", 0}, {"C_DestroyObject", 0}, {"C_GenerateKey", 1}, {"C_Encrypt", 5}, {"C_GenerateKey", 2}}) {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			mount := fmt.Sprintf("created-%d", i)
			k.Mount(t, mount, harness.PluginName)
			k.dies(t, step.function, step.skip, func() { k.Do(t, http.MethodPost, mount+"/config/hsm", k.settings()) })
			k.configure(t, mount) // the operator, who was told of an error or not
			k.version(t, mount)
			k.mounts = append(k.mounts, mount)
			k.requireWhole(t, mount)
		})
	}
}

func (k *killed) rotation(t *testing.T) {
	for _, step := range (steps{{"C_GenerateKey", 0}, {"C_GetAttributeValue", 0}, {"C_Encrypt", 0}, {"C_Decrypt", 2}, {"C_GenerateKey", 1}, {"C_Encrypt", 4}}) {
		t.Run(fmt.Sprint(step), func(t *testing.T) {
			k.dies(t, step.function, step.skip, func() { k.Do(t, http.MethodPost, "keylife/hsm/keks/rotate", nil) })
			k.version(t, "keylife")
			k.requireWhole(t, "keylife")
		})
	}
}

// The plugin is killed while some versions are wrapped by the new key and some by those before. The one that Vault starts goes on.
func (k *killed) sweep(t *testing.T) {
	k.configure(t, "keylife", "call_timeout", "1m") // what hangs is not given up before the plugin is killed
	k.rewrap(t, "keylife")
	all := 0
	for range 3 { // Vault's own tick may come between a rotation and the count
		k.Must(t, http.MethodPost, "keylife/hsm/keks/rotate", nil)
		if all = len(k.sealedByOthers(t, "keylife")); all > 0 {
			break
		}
	}
	require.Greater(t, all, 5)
	k.faults.Set("C_Encrypt", hsmtest.Rule{Skip: all / 2, Hang: true, Calls: 1})
	var ticking sync.WaitGroup
	ticking.Go(func() { k.Tick(t, "keylife") })
	harness.Eventually(t, backAfter, func() error {
		if k.faults.Hanging("C_Encrypt") == 0 {
			return fmt.Errorf("no version is being wrapped")
		}
		return nil
	})
	require.Positive(t, k.KillPlugin(t))
	k.faults.Clear("C_Encrypt")
	ticking.Wait()
	k.RevivePlugin(t)
	k.respawned(t, "keylife")
	k.rewrap(t, "keylife")
	require.Empty(t, k.sealedByOthers(t, "keylife"))
	k.requireWhole(t, "keylife")
}

// The plugin is killed at any moment of rotations that follow each other, once it has logged in: SoftHSM writes its token anew at each
// login, and has none any more if its process ends meanwhile.
func (k *killed) random(t *testing.T) {
	const rounds = 8
	for range rounds {
		k.version(t, "keylife")
		var rotating sync.WaitGroup
		rotating.Go(func() { _, _ = k.Send(harness.Request{Method: http.MethodPost, Path: "keylife/hsm/keks/rotate"}) })
		<-time.After(rand.N(400 * time.Millisecond))
		k.KillPlugin(t)
		rotating.Wait()
		k.RevivePlugin(t)
		k.respawned(t, "keylife")
	}
	k.version(t, "keylife")
	k.requireWhole(t, "keylife")
	k.rewrap(t, "keylife")
	require.Empty(t, k.sealedByOthers(t, "keylife"))
	k.requireWhole(t, "keylife")
}
