// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

func beginning() custody.Record {
	return custody.Record{Instance: mount, Key: "orders", Time: start, Kind: custody.Begin, Act: "rotate"}
}

func ending() custody.Record {
	return custody.Record{Instance: mount, Key: "orders", Time: start, Kind: custody.End, Of: 1, Outcome: custody.Done}
}

var second = custody.Head{Count: 1, Hash: strings.Repeat("ab", 32)}

func TestAppendWritesOneLineInTheOrderOfTheStruct(t *testing.T) {
	r := beginning()
	r.Reason, r.Details = "a < b & c", map[string]string{"z": "1", "a": "2"}
	line, next, err := custody.Head{}.Append(r)
	require.NoError(t, err)
	require.Equal(t, `{"format":1,"instance":"8f14e45f","key":"orders","seq":1,"prev":"`+strings.Repeat("0", 64)+
		`","time":"2026-03-01T12:00:00Z","kind":"begin","act":"rotate","reason":"a < b & c","details":{"a":"2","z":"1"}}`, string(line))
	require.Equal(t, custody.Head{Count: 1, Hash: custody.Hash(line)}, next)
}

func TestAppendWritesTimeInUTC(t *testing.T) {
	r := beginning()
	r.Time = start.Add(5 * time.Nanosecond).In(time.FixedZone("", 3600))
	line, _, err := custody.Head{}.Append(r)
	require.NoError(t, err)
	require.Contains(t, string(line), `"time":"2026-03-01T12:00:00.000000005Z"`)
}

func TestDecodeReturnsWhatWasAppended(t *testing.T) {
	r := beginning()
	r.KeyID, r.Versions, r.From, r.To = "6f72", []int{3, 4}, "none", "active"
	r.Actor = custody.Actor{EntityID: "e", DisplayName: "d\u2028\"", TokenAccessorHMAC: "h", Address: "::1", System: true}
	r.Policy, r.PolicyRevision, r.RequestID, r.Details = "pci", 2, "q", map[string]string{"a": "\x00<\u00e9"}
	line, _, err := second.Append(r)
	require.NoError(t, err)
	got, err := custody.Decode(line)
	require.NoError(t, err)
	r.Format, r.Seq, r.Prev = 1, 2, second.Hash
	require.Equal(t, r, got)
}

func TestAppendRefuses(t *testing.T) {
	long := strings.Repeat("x", 513)
	many := map[string]string{}
	for i := range 33 {
		many[fmt.Sprint(i)] = ""
	}
	huge := map[string]string{}
	for i := range 32 {
		huge[fmt.Sprint(i)] = strings.Repeat("\x01", 512)
	}
	for want, edit := range map[string]func(*custody.Record){
		"instance and key":       func(r *custody.Record) { r.Key = "" },
		"instance and key are":   func(r *custody.Record) { r.Instance = "" },
		"time is needed":         func(r *custody.Record) { r.Time = time.Time{} },
		"encode":                 func(r *custody.Record) { r.Time = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"kind must be":           func(r *custody.Record) { r.Kind = "" },
		"needs an act":           func(r *custody.Record) { r.Act = "" },
		"reason has 513 bytes":   func(r *custody.Record) { r.Reason = long },
		"key has 8193 bytes":     func(r *custody.Record) { r.Key = strings.Repeat("k", 8193) },
		"reason is not UTF-8":    func(r *custody.Record) { r.Reason = "\xff" },
		"display_name is not":    func(r *custody.Record) { r.Actor.DisplayName = "\xff" },
		"has no outcome":         func(r *custody.Record) { r.Outcome = custody.Done },
		"begin record has no":    func(r *custody.Record) { r.Recovered = true },
		"65 versions":            func(r *custody.Record) { r.Versions = make([]int, 65) },
		"count from 1":           func(r *custody.Record) { r.Versions = []int{0} },
		"not be negative":        func(r *custody.Record) { r.PolicyRevision = -1 },
		"33 details":             func(r *custody.Record) { r.Details = many },
		"needs a name":           func(r *custody.Record) { r.Details = map[string]string{"": "x"} },
		"name of a detail has":   func(r *custody.Record) { r.Details = map[string]string{long[:65]: "x"} },
		"a detail has 513 bytes": func(r *custody.Record) { r.Details = map[string]string{"x": long} },
		"at most 65536 are kept": func(r *custody.Record) { r.Details = huge },
		"end record needs":       func(r *custody.Record) { *r = ending(); r.Of = 2 },
		"end record needs the":   func(r *custody.Record) { *r = ending(); r.Of = 0 },
		`"done" or "failed"`:     func(r *custody.Record) { *r = ending(); r.Outcome = "unknown" },
		"note has 513 bytes":     func(r *custody.Record) { *r = ending(); r.Note = long },
		"nothing but of":         func(r *custody.Record) { *r = ending(); r.Act = "rotate" },
		"has nothing but of":     func(r *custody.Record) { *r = ending(); r.Actor.System = true },
	} {
		r := beginning()
		edit(&r)
		line, next, err := second.Append(r)
		require.ErrorIs(t, err, custody.ErrInvalid, want)
		require.ErrorContains(t, err, want)
		require.Nil(t, line, want)
		require.Zero(t, next, want)
	}
}

func TestAppendRefusesAHeadThatIsNone(t *testing.T) {
	for _, head := range []custody.Head{{Count: -1}, {Count: 1}, {Count: 1, Hash: strings.Repeat("AB", 32)}, {Count: 1<<31 - 1, Hash: second.Hash}} {
		_, _, err := head.Append(beginning())
		require.ErrorIs(t, err, custody.ErrInvalid, "%+v", head)
	}
}

func TestDecodeRefuses(t *testing.T) {
	line, _, err := second.Append(beginning())
	require.NoError(t, err)
	text := string(line)
	for name, in := range map[string]string{
		"empty":             "",
		"null":              "null",
		"no JSON":           text[:len(text)-1],
		"trailing space":    text + " ",
		"trailing break":    text + "\r",
		"two records":       text + text,
		"leading space":     " " + text,
		"inner space":       strings.Replace(text, ":", ": ", 1),
		"unknown field":     strings.Replace(text, `"seq"`, `"more":1,"seq"`, 1),
		"repeated field":    strings.Replace(text, `"seq":2`, `"seq":2,"seq":2`, 1),
		"other spelling":    strings.Replace(text, `"seq"`, `"Seq"`, 1),
		"other order":       strings.Replace(text, `"format":1,"instance":"8f14e45f"`, `"instance":"8f14e45f","format":1`, 1),
		"other escape":      strings.Replace(text, "rotate", `rot\u0061te`, 1),
		"other zone":        strings.Replace(text, "12:00:00Z", "12:00:00+00:00", 1),
		"trailing zeros":    strings.Replace(text, "12:00:00Z", "12:00:00.0Z", 1),
		"not the first":     strings.Replace(text, second.Hash, strings.Repeat("0", 64), 1),
		"the first":         strings.Replace(text, `"seq":2`, `"seq":1`, 1),
		"empty field":       strings.Replace(text, `"act"`, `"key_id":"","act"`, 1),
		"empty list":        strings.Replace(text, `"act":"rotate"`, `"act":"rotate","versions":[]`, 1),
		"format 0":          strings.Replace(text, `"format":1`, `"format":0`, 1),
		"negative":          strings.Replace(text, `"seq":2`, `"seq":-2`, 1),
		"rule of the write": strings.Replace(text, `"act":"rotate"`, `"key_id":"x"`, 1),
	} {
		require.NotEqual(t, text, in, name)
		got, err := custody.Decode([]byte(in))
		require.ErrorIs(t, err, custody.ErrMalformed, name)
		require.Zero(t, got, name)
	}
	_, err = custody.Decode(append(line, bytes.Repeat([]byte(" "), 64<<10)...))
	require.ErrorContains(t, err, "longer than")
}

func TestDecodeSaysThatARecordIsNewer(t *testing.T) {
	line, _, err := second.Append(beginning())
	require.NoError(t, err)
	_, err = custody.Decode(bytes.Replace(line, []byte(`"format":1`), []byte(`"format":2,"new":true`), 1))
	require.ErrorIs(t, err, custody.ErrNewer)
}

func TestClipMakesATextFit(t *testing.T) {
	for _, text := range []string{"short", strings.Repeat("é", 256), strings.Repeat("é", 257), strings.Repeat("x€", 999), "\xff", strings.Repeat("\xff", 999)} {
		got := custody.Clip(text)
		require.True(t, utf8.ValidString(got))
		require.LessOrEqual(t, len(got), 512)
		if len(text) <= 512 && utf8.ValidString(text) {
			require.Equal(t, text, got)
		} else {
			require.NotEmpty(t, got)
		}
		r := ending()
		r.Note = got
		_, _, err := second.Append(r)
		require.NoError(t, err)
	}
}
