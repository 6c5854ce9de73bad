// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

const (
	firstKey  = "34750f98bd59fcfc946da45aaabe933b"
	secondKey = "6a3803d5f059902a1c6dafbc9ba47292"
)

// golden reads what release 1 exported: five records of two keys, one act open.
func golden(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "internal", "custody", "testdata", "format1", name))
	require.NoError(t, err)
	return string(raw)
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// response is how Vault answers and the CLI prints with -format=json.
func response(t *testing.T, data string) string {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, json.Indent(&out, []byte(`{"request_id":"1","lease_id":"","lease_duration":0,"renewable":false,"data":`+data+`,"warnings":null}`), "", "  "))
	return out.String() + "\n"
}

func records(t *testing.T, lines ...string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"records": append([]string{}, lines...)})
	require.NoError(t, err)
	return response(t, string(raw))
}

func runVerify(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = verify(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestVerifyOfACleanExport(t *testing.T) {
	export := golden(t, "export.jsonl")
	keys, checkpoint := `{"keys":`+golden(t, "keys.json")+`}`, golden(t, "checkpoint.json")
	lines := strings.Split(strings.TrimSpace(export), "\n")
	for name, c := range map[string]struct{ export, keys, checkpoint string }{
		"files":           {export, keys, checkpoint},
		"Vault's answers": {records(t, lines...), response(t, keys), response(t, checkpoint)},
		"pages":           {records(t, lines[:2]...) + records(t) + records(t, lines[2:]...), keys, checkpoint},
	} {
		args := []string{"-public-key", file(t, c.keys), "-pin", firstKey, "-checkpoint", file(t, c.checkpoint), "--checkpoint=" + file(t, checkpoint)}
		for _, in := range []string{"-", file(t, c.export)} {
			code, out, errs := runVerify(c.export, append(args, in)...)
			require.Equal(t, 0, code, name)
			require.Empty(t, errs, name)
			require.Equal(t, `note: key "payments/2": record 1 begins an act whose end is not in the export
clean; records: 5, chains: 2, checkpoints: 2; the newest checkpoint is of 2026-03-01T13:00:00Z, records newer than it: 0; whether more were cut off behind it cannot be seen
`, out, name)
		}
	}
}

func TestVerifyWithoutACheckpointSaysWhatItCannotSee(t *testing.T) {
	code, out, _ := runVerify(golden(t, "export.jsonl"), "-")
	require.Equal(t, 0, code)
	require.Contains(t, out, "clean; records: 5, chains: 2, checkpoints: 0; WITHOUT A CHECKPOINT it cannot be seen whether records were cut off")
}

func TestVerifyWithoutAPinSaysWhichKeyItTrusts(t *testing.T) {
	code, out, _ := runVerify(golden(t, "export.jsonl"), "-public-key", file(t, `{"keys":`+golden(t, "keys.json")+`}`), "-")
	require.Equal(t, 0, code)
	require.Contains(t, out, `public key "`+firstKey+`" was trusted as given`)
}

func TestVerifyNamesProblems(t *testing.T) {
	export := golden(t, "export.jsonl")
	lines := strings.SplitAfter(strings.TrimSuffix(export, "\n"), "\n")
	keys := `{"keys":` + golden(t, "keys.json") + `}`
	signed := []string{"-public-key", file(t, keys), "-checkpoint", file(t, golden(t, "checkpoint.json"))}
	for want, c := range map[string]struct {
		export string
		args   []string
	}{
		`PROBLEM line 4: key "orders": record 2: edited: record 3 holds another hash of it`: {strings.Replace(export, "done", "failed", 1), nil},
		`PROBLEM line 3: key "orders": record 2: missing before record 3`:                   {strings.Join(append(lines[:2:2], lines[3:]...), ""), nil},
		`PROBLEM checkpoint 1: key "orders": record 4: the export, or the storage`:          {strings.Join(lines[:4], ""), signed},
		`PROBLEM checkpoint 1: key "payments/2": record 1: the export, or`:                  {strings.Join(append(lines[:1:1], lines[2:]...), ""), signed},
		`PROBLEM public keys are not to be trusted: the first is "` + firstKey:              {export, append(signed, "-pin", secondKey)},
		`PROBLEM line 1: malformed`: {"x" + export, nil},
		`PROBLEM line 2: malformed`: {records(t, strings.TrimSpace(lines[0]), "?"), nil},
	} {
		code, out, errs := runVerify(c.export, append(c.args, "-")...)
		require.Equal(t, 1, code, want)
		require.Empty(t, errs, want)
		require.Contains(t, out, want)
		require.Contains(t, out, "\nproblems: ", want)
	}
}

func TestVerifySaysWhatItLeftOut(t *testing.T) {
	code, out, _ := runVerify(strings.Repeat("?\n", 123), "-")
	require.Equal(t, 1, code)
	require.Contains(t, out, "... and 23 more problems\nproblems: 123; records: 0")
}

func TestVerifyRefusesWhatItCannotUse(t *testing.T) {
	export := golden(t, "export.jsonl")
	keys := file(t, `{"keys":`+golden(t, "keys.json")+`}`)
	for want, args := range map[string][]string{
		`"" for flag -pin: must not be empty`:         {"-public-key", keys, "-pin", "", "-"},
		`"" for flag -public-key: must not be empty`:  {"-public-key", "", "-"},
		`"" for flag -checkpoint: must not be empty`:  {"-public-key", keys, "-checkpoint", "", "-"},
		"one export is needed":                        nil,
		"one export is needed, behind":                {"-", "-pin", "x"},
		"need -public-key":                            {"-pin", "x", "-"},
		"-pin, -checkpoint and -attestation":          {"-checkpoint", keys, "-"},
		"flag provided but not defined":               {"-key", "x", "-"},
		"no such file":                                {"/does/not/exist"},
		"open /does/not/exist":                        {"-public-key", "/does/not/exist", "-"},
		"is a directory":                              {t.TempDir()},
		"has no public keys":                          {"-public-key", file(t, "{}"), "-"},
		"has no public keys: want":                    {"-public-key", file(t, `{"data":{}}`), "-"},
		`"data": want an object`:                      {"-public-key", file(t, `{"data":null}`), "-"},
		"file: want an object":                        {"-public-key", file(t, `[]`), "-"},
		"more follows the object":                     {"-public-key", file(t, `{"keys":[]}{}`), "-"},
		"invalid character":                           {"-public-key", file(t, "no JSON"), "-"},
		"is no checkpoint":                            {"-public-key", keys, "-checkpoint", keys, "-"},
		"unexpected EOF":                              {"-public-key", keys, "-checkpoint", file(t, ""), "-"},
		"no records in it":                            {file(t, "")},
		"export: no records in it":                    {file(t, records(t))},
		`a response has no "records"`:                 {file(t, response(t, `{"keys":[]}`))},
		`read line 1: a response has no`:              {file(t, response(t, `{}`))},
		`read line 1: "data": want an object`:         {file(t, response(t, `null`))},
		`"data": unexpected EOF`:                      {file(t, records(t, export)[:99])},
		`export: read line 6: "data": unexpected EOF`: {file(t, records(t, strings.Split(strings.TrimSpace(export), "\n")...)+`{"data":`)},
		"cannot unmarshal":                            {file(t, response(t, `{"records":[1]}`))},
		`"keys": want a list`:                         {"-public-key", file(t, response(t, `{"keys":1}`)), "-"},
	} {
		code, out, errs := runVerify(export, args...)
		require.Equal(t, 2, code, want)
		require.Empty(t, out, want)
		require.Contains(t, errs, want)
	}
}

func TestVerifyHelps(t *testing.T) {
	code, out, errs := runVerify("", "-h")
	require.Equal(t, 0, code)
	require.Empty(t, out)
	require.Contains(t, errs, "usage: vault-plugin-keylife verify")
	require.Contains(t, errs, "-public-key file")
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestVerifyFailsIfItsVerdictIsLost(t *testing.T) {
	var errs bytes.Buffer
	code := verify([]string{"-"}, strings.NewReader(golden(t, "export.jsonl")), full{}, &errs)
	require.Equal(t, 2, code)
	require.Contains(t, errs.String(), "disk full")
}

// attestation is one of version 1 of key orders, and an export that it belongs to, with the keys that signed it.
func attestation(t *testing.T) (envelope, export, keys string) {
	t.Helper()
	key, err := custody.NewSigningKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), 1, nil)
	require.NoError(t, err)
	var head custody.Head
	var lines [][]byte
	for _, r := range []custody.Record{
		{Kind: custody.Begin, Act: "create", KeyID: "6f72", Versions: []int{1}, From: "none", Policy: "pci", PolicyRevision: 2},
		{Kind: custody.End, Of: 1, Outcome: custody.Done},
	} {
		r.Instance, r.Key, r.Time = "8f14", "orders", time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		line, next, err := head.Append(r)
		require.NoError(t, err)
		head, lines = next, append(lines, line)
	}
	first, err := custody.Decode(lines[0])
	require.NoError(t, err)
	m, made := custody.MakingOf(first, 1)
	require.True(t, made)
	m.Type, m.Created, m.Chain = "aes256-gcm96", first.Time, custody.ChainHead(head)
	signed, err := custody.SignStatement(m, lines[0], key)
	require.NoError(t, err)
	text := func(v any) string {
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		return string(raw)
	}
	return text(signed), string(bytes.Join(lines, []byte("\n"))), text(map[string]any{"keys": custody.PublicKeys{key.Public()}})
}

const attestedLine = `attested: version 1 of key "orders" of mount "8f14", made by "create" at 2026-03-01T12:00:00Z under revision 2 of policy "pci"; custody record 1 of 2
`

func TestVerifyOfAnAttestation(t *testing.T) {
	envelope, export, keys := attestation(t)
	var public struct{ Keys custody.PublicKeys }
	require.NoError(t, json.Unmarshal([]byte(keys), &public))
	trusted := []string{"-public-key", file(t, keys), "-pin", public.Keys[0].ID}
	for _, form := range []string{envelope, response(t, envelope)} {
		args := slices.Concat(trusted, []string{"-attestation", file(t, form)})
		code, out, errs := runVerify("", args...)
		require.Equal(t, 0, code, errs)
		require.Equal(t, attestedLine, out)

		code, out, errs = runVerify(export, append(args, "-")...)
		require.Equal(t, 0, code, errs)
		require.Equal(t, attestedLine+"clean; records: 2, chains: 1, checkpoints: 0; without a checkpoint: whether records were cut off behind what attestations vouch for, "+
			"or all of another key were computed anew, cannot be seen\n", out)
	}

	line, _, _ := strings.Cut(export, "\n")
	code, out, _ := runVerify(line, append(trusted, "-attestation", file(t, envelope), "-")...)
	require.Equal(t, 1, code)
	require.Contains(t, out, `PROBLEM key "orders": record 2: the export, or the storage it came from, is behind`)
}

func TestVerifyNamesAnAttestationThatNobodyTrustedHasSigned(t *testing.T) {
	envelope, export, keys := attestation(t)
	forged := strings.Replace(envelope, `"payload":"`, `"payload":"AAAA`, 1)
	for name, args := range map[string][]string{
		"forged":             {"-public-key", file(t, keys), "-attestation", file(t, forged)},
		"by another key":     {"-public-key", file(t, `{"keys":`+golden(t, "keys.json")+`}`), "-attestation", file(t, envelope)},
		"by one of no trust": {"-public-key", file(t, keys), "-pin", firstKey, "-attestation", file(t, envelope)},
	} {
		for _, in := range [][]string{args, append(args, "-")} {
			code, out, errs := runVerify(export, in...)
			require.Equal(t, 1, code, "%s: %s", name, errs)
			require.Contains(t, out, "PROBLEM attestation ", name)
			require.NotContains(t, out, "attested: ", name)
		}
	}
	for want, args := range map[string][]string{
		"need -public-key":                            {"-attestation", file(t, envelope)},
		"-checkpoint needs an export":                 {"-public-key", file(t, keys), "-attestation", file(t, envelope), "-checkpoint", "x"},
		"one export is needed":                        {"-public-key", file(t, keys), "-attestation", file(t, envelope), ""},
		"is no attestation":                           {"-public-key", file(t, keys), "-attestation", file(t, "{}")},
		`"payload" is there twice`:                    {"-public-key", file(t, keys), "-attestation", file(t, `{"payload":"a","payload":"b"}`)},
		`"" for flag -attestation: must not be empty`: {"-public-key", file(t, keys), "-attestation", ""},
	} {
		code, out, errs := runVerify(export, args...)
		require.Equal(t, 2, code, want)
		require.Empty(t, out, want)
		require.Contains(t, errs, want)
	}
}
