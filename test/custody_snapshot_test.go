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

// An older snapshot brings back an older custody record. Only a checkpoint that was kept outside can tell, and does;
// the mount goes on all the same.
func TestAnOlderSnapshotIsSeenAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, force := range []bool{false, true} {
		t.Run(map[bool]string{false: "snapshot", true: "snapshot-force"}[force], func(t *testing.T) {
			t.Parallel()
			s := harness.Start(t, harness.Standard())
			rotate := func() { s.Must(t, http.MethodPost, "keylife/keys/k/rotate", object("reason", lifeReason)) }
			s.Must(t, http.MethodPost, "keylife/keys/k", nil)
			rotate()
			old := sealAt(t, s, "keylife", "k", f0(), 1, "")
			earlier := s.Must(t, http.MethodPost, "keylife/custody/checkpoint", nil)
			snapshot := s.Snapshot(t)
			rotate()
			s.Must(t, http.MethodPost, "keylife/keys/later", nil)
			lost := sealAt(t, s, "keylife", "k", f0(), 3, "")
			newer := s.Must(t, http.MethodPost, "keylife/custody/checkpoint", nil)
			requireCustody(t, s, newer, true)

			s.RestoreSnapshot(t, snapshot, force)
			harness.Eventually(t, backAfter, func() error {
				reply, err := s.Send(harness.Request{Method: http.MethodGet, Path: "keylife/keys/k"})
				if err != nil || reply.Status != http.StatusOK || number(reply.Data()["latest_version"]) != 2 {
					return fmt.Errorf("the key answers %d %v %w", reply.Status, reply.Body, err)
				}
				return nil
			})
			requireCustody(t, s, earlier, true)
			problems := requireCustody(t, s, newer, false)
			require.Contains(t, problems, "behind the checkpoint")
			require.Equal(t, http.StatusNotFound, s.Do(t, http.MethodGet, "keylife/keys/later", nil).Status)

			require.Equal(t, hello, openAt(t, s, "keylife", "k", f0(), old, ""))
			rotate()
			require.Equal(t, hello, openAt(t, s, "keylife", "k", f0(), sealAt(t, s, "keylife", "k", f0(), 3, ""), ""))
			other := s.Do(t, http.MethodPost, "keylife/decrypt/k", object("ciphertext", lost))
			require.Equal(t, http.StatusBadRequest, other.Status, "version 3 is another one now: %v", other.Body)
			rotate()
			requireCustody(t, s, earlier, true)
			requireCustody(t, s, newer, false)
			requireCustody(t, s, s.Must(t, http.MethodPost, "keylife/custody/checkpoint", nil), true)
		})
	}
}

// requireCustody verifies the mount against a checkpoint, and returns what is wrong.
func requireCustody(t *testing.T, s *harness.Server, checkpoint map[string]any, valid bool) string {
	t.Helper()
	report := s.Must(t, http.MethodPost, "keylife/custody/verify", map[string]any{"checkpoint": checkpoint})
	require.Equal(t, valid, report["valid"], "%v", report)
	return fmt.Sprint(report["problems"])
}
