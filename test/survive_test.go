// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// backAfter is how long Vault may take to serve a mount again.
const backAfter = 60 * time.Second

// restarts are the ways in which a plugin process, or all of Vault, begins anew.
var restarts = []struct {
	name string
	act  func(t *testing.T, s *harness.Server)
}{
	{"plugin reload", func(t *testing.T, s *harness.Server) { s.ReloadPlugin(t) }},
	{"seal and unseal", func(t *testing.T, s *harness.Server) { s.Seal(t); s.Unseal(t) }},
	{"death of the plugin", func(t *testing.T, s *harness.Server) { require.Positive(t, s.KillPlugin(t)) }},
	{"stop and start", func(t *testing.T, s *harness.Server) { s.Stop(t); s.Restart(t) }},
	{"death of the server", func(t *testing.T, s *harness.Server) { s.Kill(); s.Restart(t) }},
}

func TestNothingIsLostOverARestart(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Standard())
	possessions := settle(t, s)
	before := possessions.look(t, s)
	pids := s.PluginPIDs(t)
	for _, r := range restarts {
		t.Run(r.name, func(t *testing.T) {
			r.act(t, s)
			harness.Eventually(t, backAfter, func() error {
				reply, err := s.Send(harness.Request{Method: http.MethodGet, Path: "keylife/config/keys"})
				if err != nil || reply.Status != http.StatusOK {
					return fmt.Errorf("the mount answers %d %v %w", reply.Status, reply.Body, err)
				}
				return nil
			})
			require.Equal(t, before, possessions.look(t, s))
			now := s.PluginPIDs(t)
			require.NotEmpty(t, now)
			require.NotSubset(t, pids, now, "no new process: the restart did not happen")
			pids = append(pids, now...)
		})
	}
	possessions.goOn(t, s)
}

// possessions are a mount's keys, by flavour, with a ciphertext of each version.
type possessions map[string][]sealedText

type sealedText struct {
	flavour flavour
	text    string
}

// settle fills a mount: keys of every flavour with three versions, a policy, labels, floors and the mount's settings.
func settle(t *testing.T, s *harness.Server) possessions {
	t.Helper()
	all := possessions{}
	s.Must(t, http.MethodPost, "keylife/policies/p", map[string]any{"owner": "acceptance", "rotation_period": "90d"})
	s.Must(t, http.MethodPost, "keylife/config/keys", map[string]any{"disable_upsert": true})
	for _, f := range flavours() {
		name := f.kind + "-" + f.mode
		s.Must(t, http.MethodPost, "keylife/keys/"+name, map[string]any{
			"type": f.kind, "derived": f.derived(), "convergent_encryption": f.mode == "convergent",
			"policy": "p", "owner": "acceptance", "labels": map[string]string{"flavour": f.mode},
		})
		for version := 1; version <= 3; version++ {
			all[name] = append(all[name], sealedText{f, sealAt(t, s, "keylife", name, f, version, "")})
			if version < 3 {
				s.Must(t, http.MethodPost, "keylife/keys/"+name+"/rotate", map[string]any{"reason": "acceptance"})
			}
		}
		s.Must(t, http.MethodPost, "keylife/keys/"+name+"/config", map[string]any{"min_encryption_version": 2, "deletion_allowed": true})
	}
	return all
}

// look reads all there is to see of the mount, and what its ciphertexts hold.
func (p possessions) look(t *testing.T, s *harness.Server) map[string]any {
	t.Helper()
	seen := map[string]any{}
	for _, path := range []string{"config/keys", "policies/p", "keys?list=true", "policies?list=true"} {
		seen[path] = s.Must(t, http.MethodGet, "keylife/"+path, nil)
	}
	for name, ciphertexts := range p {
		for _, path := range []string{"keys/" + name, "keys/" + name + "/rotation"} {
			data := s.Must(t, http.MethodGet, "keylife/"+path, nil)
			delete(data, "encryptions") // what was leased and not used is lost with the process, and counted
			delete(data, "bytes")
			seen[path] = data
		}
		for i, c := range ciphertexts {
			seen[fmt.Sprintf("%s %d", name, i+1)] = openAt(t, s, "keylife", name, c.flavour, c.text, "")
		}
	}
	return seen
}

// goOn demands that the mount is not only readable: the next version follows the last.
func (p possessions) goOn(t *testing.T, s *harness.Server) {
	t.Helper()
	for name, ciphertexts := range p {
		s.Must(t, http.MethodPost, "keylife/keys/"+name+"/rotate", map[string]any{"reason": "acceptance"})
		require.Equal(t, 4, latest(t, s, name))
		f := ciphertexts[0].flavour
		require.Equal(t, hello, openAt(t, s, "keylife", name, f, sealAt(t, s, "keylife", name, f, 4, ""), ""))
	}
}
