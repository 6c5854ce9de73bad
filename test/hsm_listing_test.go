// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
)

// listingVariable makes a process of this test binary list the keys of a token. SoftHSM finds its tokens by the environment of its
// process, and tests that run in parallel share theirs.
const listingVariable = "KEYLIFE_TEST_LISTING"

// keysOn lists the keys on a token, each as label and CKA_ID.
func keysOn(t testing.TB, token hsmtest.Fixture) (keys []string) {
	t.Helper()
	question, err := json.Marshal(token)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), listingVariable+"="+string(question)), token.Environment...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &keys))
	return keys
}

// listIfAsked ends a process that was started to list keys.
func listIfAsked() {
	question := os.Getenv(listingVariable)
	if question == "" {
		return
	}
	var token hsmtest.Fixture
	err := json.Unmarshal([]byte(question), &token)
	if err == nil {
		var keys []string
		if keys, err = token.SecretKeys(); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(keys)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
