// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// neighbours are two mounts that one process serves, as Vault has it by default: keylife is asked seldom, busy often.
func neighbours(t *testing.T) *harness.Server {
	t.Helper()
	return harness.Start(t, harness.Options{Mounts: map[string]string{"keylife": harness.PluginName, "busy": harness.PluginName}})
}

// dieTwice has the process end twice. Only busy is asked between, so Vault does not tell the second end by keylife.
func dieTwice(t *testing.T, s *harness.Server) {
	t.Helper()
	require.Positive(t, s.KillPlugin(t))
	serves(t, s, "busy")
	require.Positive(t, s.KillPlugin(t))
}

// serves asks a mount until it answers: Vault learns of the end of a process some moments later.
func serves(t *testing.T, s *harness.Server, mount string) {
	t.Helper()
	harness.Eventually(t, backAfter, func() error {
		reply, err := s.Send(harness.Request{Method: http.MethodGet, Path: mount + "/config/keys"})
		if err != nil || reply.Status != http.StatusOK {
			return fmt.Errorf("%s answers %d %v %w", mount, reply.Status, reply.Body, err)
		}
		return nil
	})
}

// servesAtOnce asks a mount once.
func servesAtOnce(t *testing.T, s *harness.Server, mount string) {
	t.Helper()
	s.Must(t, http.MethodGet, mount+"/config/keys", nil)
}

func TestAMountThatWasNotAskedBetweenTwoDeathsIsBackWithOneThatWas(t *testing.T) {
	t.Parallel()
	s := neighbours(t)
	dieTwice(t, s)
	serves(t, s, "busy")
	servesAtOnce(t, s, "keylife")
	require.Len(t, s.PluginPIDs(t), 1)
}

func TestAMountThatWasNotAskedBetweenTwoDeathsIsBackByAReload(t *testing.T) {
	t.Parallel()
	s := neighbours(t)
	harness.Eventually(t, backAfter, func() error {
		dieTwice(t, s)
		s.RevivePlugin(t)
		servesAtOnce(t, s, "keylife")
		serves(t, s, "busy")
		if n := len(s.PluginPIDs(t)); n != 2 {
			return fmt.Errorf("%d processes: a tick of busy came before the reload", n)
		}
		return nil
	})
	s.Seal(t)
	s.Unseal(t)
	serves(t, s, "keylife")
	serves(t, s, "busy")
	require.Len(t, s.PluginPIDs(t), 1)
}

func TestMountsOfTheirOwnProcessesDieAlone(t *testing.T) {
	t.Setenv("VAULT_PLUGIN_MULTIPLEXING_OPT_OUT", harness.PluginName)
	s := neighbours(t)
	require.Len(t, s.PluginPIDs(t), 2)
	dieTwice(t, s)
	serves(t, s, "keylife")
	serves(t, s, "busy")
	require.Len(t, s.PluginPIDs(t), 2)
}
