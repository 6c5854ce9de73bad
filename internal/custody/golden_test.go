// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// The files of testdata/format1 are what release 1 exports: they stand for exports and checkpoints
// out in the world, and may never be edited. Every later release has to find them clean, and to write
// the same, or chains of the past break. A new format gets a new folder, made with
//
//	go test ./internal/custody -run TestGolden -add-golden
//
// which writes files that are missing and leaves the rest alone.
var addGolden = flag.Bool("add-golden", false, "write missing golden files")

func golden(t testing.TB, name string, made []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "format1", name)
	if _, err := os.Stat(path); *addGolden && os.IsNotExist(err) {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, made, 0o600))
	}
	raw, err := os.ReadFile(path)
	require.NoError(t, err)
	return raw
}

// goldenJournal has every field, and every character that JSON may be written with in two ways.
func goldenJournal(t testing.TB) *journal {
	j := newJournal(t, mount)
	var controls []byte
	for c := range byte(0x20) {
		controls = append(controls, c)
	}
	created := j.add("orders", custody.Record{
		Kind: custody.Begin, KeyID: "6f72646572", Act: "create", Versions: []int{1}, From: "none", To: "active",
		Actor: custody.Actor{
			EntityID: "0a1b", DisplayName: "ldap-jörg", TokenAccessorHMAC: "hmac-sha256:00ff", Address: "2001:db8::1",
		},
		Reason: "a < b & c > d / \\ \" ' \u2028\u2029\u007f\u0080\ufeff\ufffd\U0001F511", Policy: "pci", PolicyRevision: 4,
		RequestID: "9f86d081", Details: map[string]string{"z": string(controls), "a": "", "Z": "é", "é": "e"},
	})
	j.begin("payments/2", "rotate")
	j.end("orders", created)
	open := j.add("orders", custody.Record{
		Kind: custody.Begin, Act: "rotate", Versions: []int{2, 1, 2147483647}, Actor: custody.Actor{System: true},
	})
	j.add("orders", custody.Record{Kind: custody.End, Of: open, Outcome: custody.Failed, Note: "wrap: <unreachable>", Recovered: true})
	return j
}

func goldenCheckpoint(t testing.TB) (custody.PublicKeys, custody.Signed) {
	keys, public := generations(t, 2)
	return public, goldenJournal(t).checkpoint(keys[1])
}

func indented(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ")
	require.NoError(t, err)
	return append(raw, '\n')
}

func TestGoldenExportIsWrittenTheSame(t *testing.T) {
	made := export(goldenJournal(t).lines)
	require.Equal(t, string(golden(t, "export.jsonl", made)), string(made))
}

func TestGoldenKeysAndCheckpointAreSignedTheSame(t *testing.T) {
	public, signed := goldenCheckpoint(t)
	require.Equal(t, string(golden(t, "keys.json", indented(t, public))), string(indented(t, public)))
	require.Equal(t, string(golden(t, "checkpoint.json", indented(t, signed))), string(indented(t, signed)))
}

func TestGoldenExportVerifiesForEver(t *testing.T) {
	var public custody.PublicKeys
	var signed custody.Signed
	require.NoError(t, json.Unmarshal(golden(t, "keys.json", nil), &public))
	require.NoError(t, json.Unmarshal(golden(t, "checkpoint.json", nil), &signed))
	in := golden(t, "export.jsonl", nil)
	r, err := custody.Verify(custody.Lines(bytes.NewReader(in)), public, "34750f98bd59fcfc946da45aaabe933b", []custody.Signed{signed})
	require.NoError(t, err)
	require.Empty(t, r.Problems)
	require.Equal(t, 5, r.Records)
	require.Equal(t, 1, r.Checkpoints)
	require.Equal(t, []custody.Unfinished{{Key: "payments/2", Seq: 1}}, r.Unfinished)
}

func TestGoldenExportDecodes(t *testing.T) {
	want := goldenJournal(t)
	for i, line := range bytes.Split(bytes.TrimSpace(golden(t, "export.jsonl", nil)), []byte("\n")) {
		got, err := custody.Decode(line)
		require.NoError(t, err)
		expected, err := custody.Decode(want.lines[i].line)
		require.NoError(t, err)
		require.Equal(t, expected, got)
	}
}

// What is signed is told in the docs: others have to be able to check it without this package.
func TestGoldenSignaturesAreOfTheTextsInTheDocs(t *testing.T) {
	public, signed := goldenCheckpoint(t)
	raw := make([][]byte, 2)
	for i, key := range public {
		var err error
		raw[i], err = base64.StdEncoding.DecodeString(key.Key)
		require.NoError(t, err)
	}
	check := func(key []byte, text, signature string) {
		sig, err := base64.StdEncoding.DecodeString(signature)
		require.NoError(t, err)
		require.True(t, ed25519.Verify(key, []byte(text), sig))
	}
	check(raw[1], "keylife/checkpoint/v1\n"+signed.Payload, signed.Signature)
	check(raw[0], `keylife/custody-key/v1`+"\n"+`{"id":"`+public[1].ID+`","generation":2,"key":"`+public[1].Key+
		`","created":"2027-03-01T12:00:00Z","signed_by":"`+public[0].ID+`"}`, public[1].Signature)
}
