// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package upgrade_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/test/upgrade/fixture"
)

const newerRelease = "newer release of keylife"

// newer are records, by what their paths begin with, and the requests that need them: "GET", "LIST", "DELETE" or a write. None of
// the requests may write anything.
var newer = map[string][]string{
	"keys/mixed": {
		"GET keys/mixed", "LIST keys/mixed/versions", "GET keys/mixed/versions/4", "GET keys/mixed/rotation", "LIST keys/mixed/history", "GET backup/mixed",
		"encrypt/mixed", "decrypt/mixed", "hmac/mixed", "datakey/wrapped/mixed", "keys/mixed", "keys/mixed/config", "keys/mixed/rotate", "keys/mixed/suspend",
		"keys/mixed/archive", "keys/mixed/versions/4/compromise", "keys/mixed/versions/3/resume", "keys/mixed/hold", "DELETE keys/mixed",
	},
	"versions/mixed/":    {"GET keys/mixed/versions/4", "encrypt/mixed", "decrypt/mixed", "hmac/mixed", "datakey/wrapped/mixed"},
	"archive/mixed/":     {"GET backup/mixed"},
	"denied/mixed/":      {"keys/mixed/versions/2/retire", "keys/mixed/drill"},
	"leases/limited/":    {"encrypt/limited", "GET keys/limited/versions/3"},
	"dates/many/":        {"LIST keys/many/versions"},
	"journal/mixed/":     {"keys/mixed/rotate", "keys/mixed/suspend", "keys/mixed/hold", "custody/checkpoint", "LIST keys/mixed/history"},
	"certificates/":      {"GET keys/ecdsa-p256"},
	"policies/by-hand":   {"GET policies/by-hand", "keys/mixed/rotate", "keys/mixed/archive", "GET backup/mixed"},
	"revisions/by-hand/": {"GET policies/by-hand/revisions/1"},
	"config/kek":         {"encrypt/limited", "decrypt/mixed", "keys/mixed/rotate", "keys/new", "keys/mixed/suspend", "config/keys"},
	"config/archive-kek": {"encrypt/limited", "decrypt/mixed", "keys/mixed/rotate", "keys/new"},
	"config/keys":        {"GET config/keys", "config/keys"},
	"config/engine":      {"GET config/engine", "config/engine", "GET access-review"},
	"config/cache":       {"GET cache-config", "cache-config"},
	"config/clock":       {"GET config/clock", "config/clock", "keys/mixed/archive"},
	"config/custody":     {"GET custody/public-key", "custody/checkpoint", "custody/rotate-key"},
	"config/approvals":   {"GET config/approvals", "config/approvals"},
	"config/approvers":   {"LIST approvers"},
	"access/":            {"GET access-review"},
}

// fieldsOf is what some writes need to get as far as the record.
var fieldsOf = map[string]map[string]any{
	"encrypt/mixed":    mounttest.Data("plaintext", "aGk="),
	"encrypt/limited":  mounttest.Data("plaintext", "aGk="),
	"hmac/mixed":       mounttest.Data("input", "aGk="),
	"config/keys":      mounttest.Data("disable_upsert", false, "reason", reason),
	"config/engine":    mounttest.Data("default_policy", "", "reason", reason),
	"config/clock":     mounttest.Data("acknowledge", true, "reason", reason),
	"config/approvals": mounttest.Data("approver_wait", "1h", "reason", reason),
	"cache-config":     mounttest.Data("size", 500),
	"keys/mixed/drill": mounttest.Data("record", true, "reason", reason),
}

// TestARecordOfANewerReleaseIsRefused holds for each kind of record what a build does that does not know its layout: requests that need
// it say so and write nothing, the tick leaves it as it is, keys that do not need it go on, and the newer build finds all as it was.
func TestARecordOfANewerReleaseIsRefused(t *testing.T) {
	t.Parallel()
	for prefix, requests := range newer {
		t.Run(strings.ReplaceAll(prefix, "/", "_"), func(t *testing.T) {
			t.Parallel()
			m := newest(t)
			was := m.raise(prefix)
			m.Restart()
			raised := m.stored(prefix)
			for _, request := range requests {
				m.requireRefused(request)
			}
			_ = m.Tick() // it may say what it could not read
			require.Equal(t, raised, m.stored(prefix), "a record that is not known is left as it is")
			require.NotContains(t, m.Log.String(), "panic")
			m.requireOthersGoOn(prefix)
			require.Equal(t, raised, m.stored(prefix))
			for path, value := range was { // the newer release is back
				m.Storage.Plant(path, value)
			}
			m.Restart()
			require.NoError(t, m.Tick())
			m.requireProofs()
			m.requireCustody()
		})
	}
}

// newest is the mount of the last fixture, which has records of all kinds.
func newest(t *testing.T) opened {
	t.Helper()
	names, err := fixture.Names()
	require.NoError(t, err)
	return open(t, names[len(names)-1])
}

// raise makes records those of a newer release, with something that this one does not know, and returns what they were.
func (m opened) raise(prefix string) (was map[string][]byte) {
	m.T.Helper()
	was = m.stored(prefix)
	require.NotEmpty(m.T, was)
	if strings.HasPrefix(prefix, "journal/") { // the last record, which acts follow
		last := ""
		for path := range was {
			last = max(last, path)
		}
		was = map[string][]byte{last: was[last]}
	}
	for path, value := range was {
		record := map[string]json.RawMessage{}
		require.NoError(m.T, json.Unmarshal(value, &record), path)
		number := "schema"
		if _, ok := record["format"]; ok {
			number = "format"
		}
		require.Equal(m.T, "1", string(record[number]), path)
		record[number], record["since_then"] = json.RawMessage("2"), json.RawMessage(`{"a":1}`)
		text, err := json.Marshal(record)
		require.NoError(m.T, err)
		m.Storage.Plant(path, text)
	}
	return was
}

func (m opened) stored(prefix string) map[string][]byte {
	m.T.Helper()
	found := map[string][]byte{}
	for path, value := range m.Storage.All() {
		if path == prefix || strings.HasSuffix(prefix, "/") && strings.HasPrefix(path, prefix) {
			found[path] = value
		}
	}
	return found
}

// requireRefused sends a request, which says what is wrong and changes nothing but the entry that says nothing.
func (m opened) requireRefused(request string) {
	m.T.Helper()
	before := m.Storage.All()
	op, path := logical.Operation(logical.UpdateOperation), request
	if verb, rest, ok := strings.Cut(request, " "); ok {
		op, path = map[string]logical.Operation{"GET": logical.ReadOperation, "LIST": logical.ListOperation, "DELETE": logical.DeleteOperation}[verb], rest
	}
	data := maps.Clone(fieldsOf[request])
	if data == nil && op == logical.UpdateOperation && !strings.HasPrefix(path, "custody/checkpoint") {
		data = mounttest.Data("reason", reason)
	}
	if path == "decrypt/mixed" {
		data = m.ofMixed()
	}
	answer := m.Do(op, path, data)
	require.GreaterOrEqual(m.T, answer.Status, http.StatusBadRequest, request)
	require.Contains(m.T, answer.Err, newerRelease, request)
	require.Contains(m.T, answer.Err, "run that release, or a later one", request)
	after := m.Storage.All()
	delete(before, "config/barrier")
	delete(after, "config/barrier")
	require.Equal(m.T, before, after, "%s was refused and has written", request)
}

// ofMixed is a ciphertext of the active version of key mixed.
func (m opened) ofMixed() map[string]any {
	m.T.Helper()
	var last map[string]any
	for _, p := range m.was.Proofs {
		if p.Path == "decrypt/mixed" && p.Want != nil {
			last = p.Body
		}
	}
	require.NotNil(m.T, last)
	return maps.Clone(last)
}

// requireOthersGoOn uses and rotates keys that do not need the record, by hand and by the clock.
func (m opened) requireOthersGoOn(prefix string) {
	m.T.Helper()
	if prefix == "config/kek" || prefix == "config/archive-kek" {
		return // without which no key has material
	}
	require.Equal(m.T, "still here", m.Decrypt("aes256-gcm96", m.Encrypt("aes256-gcm96", "still here")))
	m.Must(m.Write("keys/agile/config", "owner", "somebody-else", "reason", reason))
	if prefix == "config/clock" {
		return // without which no tick knows the time
	}
	before := m.Latest("clockwork")
	m.Clock.Add(25 * time.Hour)
	_ = m.Tick()
	require.Greater(m.T, m.Latest("clockwork"), before)
}
