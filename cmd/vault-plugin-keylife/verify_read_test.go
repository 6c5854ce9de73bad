// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// TestVerifyReadsTheListThatOthersRead: another program reads exact names, so it would see the forged records.
func TestVerifyReadsTheListThatOthersRead(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(golden(t, "export.jsonl")), "\n")
	list := func(lines []string) string {
		raw, err := json.Marshal(lines)
		require.NoError(t, err)
		return string(raw)
	}
	genuine, forged := list(lines), list(append(lines[:2:2], lines[3:]...))
	for name, c := range map[string]struct {
		export string
		code   int
	}{
		"another case":          {response(t, `{"records":`+forged+`,"Records":`+genuine+`}`), exitProblems},
		"another letter":        {response(t, `{"records":`+forged+`,"record\u017f":`+genuine+`}`), exitProblems},
		"an escaped letter":     {response(t, `{"\u0072ecords":`+forged+`}`), exitProblems},
		"only another case":     {response(t, `{"Records":`+genuine+`}`), exitUnusable},
		"records twice":         {response(t, `{"records":`+forged+`,"records":`+genuine+`}`), exitUnusable},
		"records, escaped":      {response(t, `{"records":`+forged+`,"\u0072ecords":`+genuine+`}`), exitUnusable},
		"any other name twice":  {response(t, `{"next_after":"","records":`+genuine+`,"next_after":"x"}`), exitUnusable},
		"data twice":            {`{"data":{"records":` + forged + `},"data":{"records":` + genuine + `}}`, exitUnusable},
		"data in another case":  {`{"data":{"records":` + forged + `},"DATA":{"records":` + genuine + `}}`, exitProblems},
		"records outside data":  {`{"data":{},"records":` + genuine + `}`, exitUnusable},
		"two lines in a record": {response(t, `{"records":`+list([]string{strings.Join(lines, "\n")})+`}`), exitProblems},
	} {
		code, out, errs := runVerify(c.export, "-")
		require.Equal(t, c.code, code, "%s: %s%s", name, out, errs)
	}
}

func TestVerifyReadsTheKeysAndCheckpointsThatOthersRead(t *testing.T) {
	export, keys, checkpoint := golden(t, "export.jsonl"), golden(t, "keys.json"), golden(t, "checkpoint.json")
	stranger := strings.ReplaceAll(keys, firstKey, secondKey)
	last := strings.LastIndex(checkpoint, "}")
	for name, c := range map[string]struct {
		keys, checkpoint string
		code             int
	}{
		"as they are":             {`{"keys":` + keys + `}`, checkpoint, exitClean},
		"keys in another case":    {`{"keys":` + stranger + `,"Keys":` + keys + `}`, checkpoint, exitProblems},
		"keys twice":              {`{"keys":` + stranger + `,"keys":` + keys + `}`, checkpoint, exitUnusable},
		"keys outside and inside": {`{"keys":` + stranger + `,"data":{"keys":` + keys + `}}`, checkpoint, exitUnusable},
		"an id in another case":   {`{"keys":` + strings.Replace(keys, `"id"`, `"id":"x","ID"`, 1) + `}`, checkpoint, exitProblems},
		"an id twice":             {`{"keys":` + strings.Replace(keys, `"id"`, `"id":"x","id"`, 1) + `}`, checkpoint, exitUnusable},
		"payload twice":           {`{"keys":` + keys + `}`, checkpoint[:last] + `,"payload":""}`, exitUnusable},
		"payload, another case":   {`{"keys":` + keys + `}`, strings.Replace(checkpoint, `"payload"`, `"payload":"","Payload"`, 1), exitProblems},
	} {
		code, out, errs := runVerify(export, "-public-key", file(t, c.keys), "-checkpoint", file(t, c.checkpoint), "-")
		require.Equal(t, c.code, code, "%s: %s%s", name, out, errs)
	}
}

// endless is a response in which a piece is repeated, which comes from nowhere.
type endless struct {
	piece      string
	count      int
	rest, tail string
	given      int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" && e.count == 0 {
		e.rest, e.tail = e.tail, ""
	} else if e.rest == "" {
		e.rest, e.count = e.piece, e.count-1
	}
	if e.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, e.rest)
	e.rest, e.given = e.rest[n:], e.given+n
	return n, nil
}

// TestAResponseIsReadRecordByRecord: what is read ahead, which is what is held, does not grow with the response.
func TestAResponseIsReadRecordByRecord(t *testing.T) {
	record := strings.Repeat("x", 1000)
	const ahead = 32 << 10
	count := racetest.Size(t, 50_000)
	in := &endless{piece: `,"` + record + `"`, count: count, rest: `{"data":{"records":["` + record + `"`, tail: `],"next_after":""}}`}
	lines, err := recordLines(in)
	require.NoError(t, err)
	taken := 0
	for line, err := range lines {
		require.NoError(t, err)
		require.Equal(t, record, string(line))
		taken += len(line) + len(`"",`)
		require.Less(t, in.given-taken, ahead)
	}
	require.Equal(t, count+1, taken/(len(record)+3))
}

func TestVerifyHoldsNoValueWithoutEnd(t *testing.T) {
	names := make([]string, 100)
	for i := range names {
		names[i] = `"` + strings.Repeat("n", i+1) + `":1`
	}
	for what, start := range map[string]string{
		"a record":    `{"data":{"records":["`,
		"a name":      `{"data":{"`,
		"other value": `{"data":{"x":["","`,
		"spaces":      `{"data":{ `,
	} {
		in := &endless{piece: strings.Repeat(" ", 64<<10), count: 1 << 20, rest: start}
		var errs strings.Builder
		require.Equal(t, exitUnusable, verify([]string{"-"}, in, io.Discard, &errs), what)
		require.Contains(t, errs.String(), "more than 1048576 bytes", what)
		require.Less(t, in.given, 3<<20, what)
	}
	code, _, errs := runVerify(`{"data":{`+strings.Join(names, ",")+`}}`, "-")
	require.Equal(t, exitUnusable, code)
	require.Contains(t, errs, "more than 64 members")
}
