// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const exposed = "the backup tape is missing"

// governedKey makes a key under a policy with the given fields.
func governedKey(t testing.TB, s *harness.Server, namesAndValues ...any) (mount, key string) {
	t.Helper()
	mount = freshMount(t, s, harness.PluginName)
	s.Must(t, http.MethodPost, mount+"/policies/p", object(append(namesAndValues, "owner", "acceptance")...))
	s.Must(t, http.MethodPost, mount+"/keys/k", `{"policy":"p"}`)
	return mount, mount + "/keys/k"
}

// The active version is replaced in the same act: no request that begins afterwards encrypts with it, and none fails.
func TestACompromisedActiveVersionIsReplacedAtOnce(t *testing.T) {
	t.Parallel()
	s := server(t)
	mount, key := governedKey(t, s)
	for version := 1; version <= 5; version++ {
		sealed := sealAt(t, s, mount, "k", f0(), version, "")
		old := fmt.Sprintf("vault:v%d:", version)
		d := startDrill(s, []harness.Request{{Method: http.MethodPost, Path: mount + "/encrypt/k", Body: object("plaintext", hello)}})
		view := s.Must(t, http.MethodPost, fmt.Sprintf("%s/versions/%d/compromise", key, version), object("reason", exposed, "reason_code", "key_compromise"))
		for range 20 {
			ciphertext, _ := s.Must(t, http.MethodPost, mount+"/encrypt/k", object("plaintext", hello))["ciphertext"].(string)
			require.False(t, strings.HasPrefix(ciphertext, old), "%s after version %d was reported", ciphertext, version)
		}
		d.over.Store(true)
		d.workers.Wait()
		require.Empty(t, d.wrong)
		require.Equal(t, version+1, number(view["primary_version"]))
		require.Equal(t, version+1, number(view["latest_version"]))
		require.Equal(t, hello, openAt(t, s, mount, "k", f0(), sealed, ""), "what it protected can still be rewrapped")
		moved := s.Must(t, http.MethodPost, mount+"/rewrap/k", object("ciphertext", sealed))
		require.Contains(t, moved["ciphertext"], fmt.Sprintf("vault:v%d:", version+1))
	}
	require.Equal(t, "incident", s.Must(t, http.MethodGet, key+"/rotation", nil)["last_rotation_trigger"])
	report, _ := s.Must(t, http.MethodGet, key+"/compromise-report", nil)["versions"].([]any)
	require.Len(t, report, 5)
}

func TestACompromiseIsReportedWithItsCircumstances(t *testing.T) {
	s := server(t)
	_, key := governedKey(t, s)
	happened := time.Now().UTC().Add(-48 * time.Hour).Truncate(time.Second).Format(time.RFC3339)
	tomorrow := time.Now().Add(24 * time.Hour).Format(time.RFC3339)
	for body, says := range map[string]string{
		`{}`: "reason", object("reason", "short"): "reason", object("reason", exposed, "reason_code", "stolen"): "reason_code",
		object("reason", exposed, "occurred_at", "yesterday"): "occurred_at", object("reason", exposed, "occurred_at", tomorrow): "occurred_at",
	} {
		answer := s.Do(t, http.MethodPost, key+"/versions/1/compromise", body)
		require.Equal(t, http.StatusBadRequest, answer.Status, "%s: %v", body, answer.Body)
		require.Contains(t, fmt.Sprint(answer.Body["errors"]), says)
	}
	require.Equal(t, 1, number(s.Must(t, http.MethodGet, key, nil)["latest_version"]), "a report that is refused rotates nothing")

	s.Must(t, http.MethodPost, key+"/versions/1/compromise", object("reason", exposed, "reason_code", "key_compromise", "occurred_at", happened))
	v := s.Must(t, http.MethodGet, key+"/versions/1", nil)
	require.Equal(t, "compromised", v["state"])
	require.Equal(t, "key_compromise", v["compromise_reason_code"])
	require.Equal(t, happened, v["compromise_occurred_time"])
	require.WithinDuration(t, time.Now(), moment(t, v["compromise_reported_time"]), 10*time.Minute)
	report, _ := s.Must(t, http.MethodGet, key+"/compromise-report", nil)["versions"].([]any)
	require.Len(t, report, 1)
	row, _ := report[0].(map[string]any)
	require.Equal(t, "vault:v1:", row["ciphertext_prefix"])
	require.Equal(t, 2, number(row["replaced_by"]))
	require.Equal(t, true, row["processes"])
}

// A report is for ever: nothing leads back to a state that protects.
func TestACompromiseIsNeverCleared(t *testing.T) {
	s := server(t)
	mount, key := governedKey(t, s, "quiet_period", "0")
	s.Must(t, http.MethodPost, key+"/versions/1/compromise", object("reason", exposed))
	for _, op := range []string{"resume", "recover", "restore", "promote", "suspend", "archive"} {
		answer := s.Do(t, http.MethodPost, key+"/versions/1/"+op, object("reason", lifeReason))
		require.Equal(t, http.StatusBadRequest, answer.Status, "%s: %v", op, answer.Body)
	}
	require.Equal(t, http.StatusBadRequest, s.Do(t, http.MethodPost, key+"/rollback", object("reason", lifeReason)).Status)
	pinned := s.Do(t, http.MethodPost, mount+"/encrypt/k", object("plaintext", hello, "key_version", 1))
	require.Equal(t, http.StatusBadRequest, pinned.Status, "%v", pinned.Body)
	s.Must(t, http.MethodPost, key+"/versions/1/retire", object("reason", lifeReason))
	s.Must(t, http.MethodPost, key+"/versions/1/restore", object("reason", lifeReason))
	require.Equal(t, "compromised", s.Must(t, http.MethodGet, key+"/versions/1", nil)["state"], "restored to what it was")
}

// Who learns of the exposure when the version is gone still has to be told.
func TestACompromiseOutlivesTheMaterial(t *testing.T) {
	s := server(t)
	mount := freshMount(t, s, harness.PluginName)
	key := mount + "/keys/k"
	s.Must(t, http.MethodPost, key, nil)
	s.Must(t, http.MethodPost, key+"/versions/1/compromise", object("reason_code", "key_compromise"))
	s.Must(t, http.MethodPost, key+"/config", object("min_decryption_version", 2, "min_encryption_version", 2))
	s.Must(t, http.MethodPost, key+"/trim", object("min_available_version", 2))
	v := s.Must(t, http.MethodGet, key+"/versions/1", nil)
	require.Equal(t, "destroyed", v["state"])
	require.Equal(t, "key_compromise", v["compromise_reason_code"], "%v", v)
	report, _ := s.Must(t, http.MethodGet, key+"/compromise-report", nil)["versions"].([]any)
	require.Len(t, report, 1)
}

func TestAPolicySaysWhetherCompromisedVersionsDecrypt(t *testing.T) {
	s := server(t)
	for rule, status := range map[string]int{"allow": http.StatusOK, "deny": http.StatusBadRequest} {
		mount, key := governedKey(t, s, "compromised_processing", rule)
		sealed := sealAt(t, s, mount, "k", f0(), 1, "")
		s.Must(t, http.MethodPost, key+"/versions/1/compromise", object("reason", exposed))
		require.Equal(t, status, s.Do(t, http.MethodPost, mount+"/decrypt/k", object("ciphertext", sealed)).Status, rule)
	}
}

// Only the active version has to be replaced; where one is staged it takes over.
func TestWhatReplacesACompromisedVersion(t *testing.T) {
	s := server(t)
	_, key := governedKey(t, s)
	rotate := func(body ...any) {
		s.Must(t, http.MethodPost, key+"/rotate", object(append(body, "reason", lifeReason)...))
	}
	compromise := func(version string) map[string]any {
		return s.Must(t, http.MethodPost, key+"/versions/"+version+"/compromise", object("reason", exposed))
	}
	rotate()
	view := compromise("1")
	require.Equal(t, 2, number(view["latest_version"]), "a version that only decrypts needs no successor")
	rotate("stage", true)
	view = compromise("2")
	require.Equal(t, 3, number(view["latest_version"]), "the staged version is there already")
	require.Equal(t, 3, number(view["primary_version"]))
	require.Equal(t, 0, number(view["staged_version"]))
	rotate("stage", true)
	view = compromise("4")
	require.Equal(t, 3, number(view["primary_version"]))
	require.Equal(t, 0, number(view["staged_version"]), "a staged version that is compromised is not promoted")
}
