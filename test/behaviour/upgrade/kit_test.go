// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package upgrade_test opens what earlier builds stored with the engine as it is, and shows what the engine refuses that a later one
// stored. Tests have the names of the fixtures: the builds' commits.
package upgrade_test

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/racetest"
	"github.com/keylife/vault-plugin-keylife/test/upgrade/fixture"
)

const reason = "CHG-4711: the mount is of an earlier build"

// opened is a mount with the storage of an earlier build, a minute after its last act.
type opened struct {
	*mounttest.Mount
	was fixture.Mount
}

// eachBuild runs a test on the mount of each earlier build.
func eachBuild(t *testing.T, test func(t *testing.T, m opened)) {
	t.Helper()
	for _, name := range builds(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, name))
		})
	}
}

// builds are the names of all fixtures; under the race detector of the first and the last.
func builds(t *testing.T) []string {
	t.Helper()
	names, err := fixture.Names()
	require.NoError(t, err)
	require.NotEmpty(t, names)
	if racetest.Watched(t) {
		return []string{names[0], names[len(names)-1]}
	}
	return names
}

// eachBuildInTurn is eachBuild for tests that count.
func eachBuildInTurn(t *testing.T, test func(t *testing.T, m opened)) {
	t.Helper()
	for _, name := range builds(t) {
		t.Run(name, func(t *testing.T) { test(t, open(t, name)) })
	}
}

func open(t *testing.T, name string) opened {
	t.Helper()
	was, err := fixture.Read(name)
	require.NoError(t, err)
	m := mounttest.New(t)
	m.Clock.Add(was.Written.Sub(mounttest.Start) + time.Minute)
	for _, p := range was.People {
		m.System.Person(p.ID, p.Name, p.Groups...)
	}
	entries := map[string][]byte{}
	for path, value := range was.Entries {
		entries[path] = []byte(value)
	}
	m.Load(entries)
	return opened{m, was}
}

// requireProofs holds what was protected and signed against what it was then.
func (m opened) requireProofs() {
	m.T.Helper()
	require.NotEmpty(m.T, m.was.Proofs)
	for _, p := range m.was.Proofs {
		m.requireProof(p)
	}
}

func (m opened) requireProof(p fixture.Proof) {
	m.T.Helper()
	answer := m.Do(logical.UpdateOperation, p.Path, maps.Clone(p.Body))
	if p.Want == nil {
		require.Equal(m.T, http.StatusBadRequest, answer.Status, "%s %v", p.Path, p.Body)
		return
	}
	require.Equal(m.T, http.StatusOK, answer.Status, "%s %v: %s", p.Path, p.Body, answer.Err)
	for field, want := range p.Want {
		require.Equal(m.T, want, answer.Data[field], "%s %v", p.Path, p.Body)
	}
}

// keys are the names of all keys of the mount.
func (m opened) keys() []string { return slices.Sorted(maps.Keys(m.was.States)) }

// requireCustody verifies custody in the mount, and its export as an auditor does.
func (m opened) requireCustody() {
	m.T.Helper()
	mounttest.RequireCustodyWhole(m.T, m.Mount)
	var export bytes.Buffer
	for after := ""; ; {
		page := m.Must(m.Read("custody/export", "after", after, "limit", 1000)).Data
		for _, line := range page["records"].([]string) {
			export.WriteString(line + "\n")
		}
		if after = page["next_after"].(string); after == "" {
			break
		}
	}
	var signed []custody.Signed
	for _, c := range m.was.Signed {
		signed = append(signed, custody.Signed(c))
	}
	keys := m.Must(m.Read("custody/public-key")).Data["keys"].(custody.PublicKeys)
	report, err := custody.Verify(custody.Lines(&export), keys, "", signed)
	require.NoError(m.T, err)
	require.Empty(m.T, report.Problems)
	require.NotZero(m.T, report.Records)
}

// as sends a write as a person of the fixture.
func (m opened) as(who, path string, kv ...any) mounttest.Answer {
	m.T.Helper()
	i := slices.IndexFunc(m.was.People, func(p fixture.Person) bool { return p.Name == who })
	require.GreaterOrEqual(m.T, i, 0, who)
	m.Caller = func(req *logical.Request) { req.EntityID = m.was.People[i].ID }
	defer func() { m.Caller = nil }()
	return m.DoWith(context.Background(), logical.UpdateOperation, path, mounttest.Data(kv...))
}
