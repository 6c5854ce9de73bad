// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// rotation is the record of one that has all that an attestation takes from a record.
func rotation(version int) custody.Record {
	return custody.Record{
		Kind: custody.Begin, Act: "rotate", KeyID: "6f72", Versions: []int{version}, From: "none", To: "active", Policy: "pci", PolicyRevision: 2,
		Details: map[string]string{
			"trigger": "operator", "fingerprint": "a1b2", "superseded": "1", "policy_hash": "c3d4", "approval": "ap-4tq7", "approvers": "bob (3f2b)",
			"checks": "clock_sane=passed,storage_writable=with_commit",
		},
	}
}

// rotated is a journal in which version 2 was made, with its attestation.
func rotated(t testing.TB, key custody.SigningKey) (*journal, custody.Envelope) {
	t.Helper()
	j := newJournal(t, mount)
	j.act("orders", "create")
	seq := j.add("orders", rotation(2))
	j.end("orders", seq)
	j.act("orders", "suspend")
	return j, attest(t, j, seq, key)
}

// attest attests version 2 by a record of the journal.
func attest(t testing.TB, j *journal, seq int, key custody.SigningKey) custody.Envelope {
	t.Helper()
	line := j.lines[at(j.lines, "orders", seq)].line
	r, err := custody.Decode(line)
	require.NoError(t, err)
	m, made := custody.MakingOf(r, 2)
	require.True(t, made)
	m.Type, m.Created, m.Activated = "aes256-gcm96", start, start
	if m.Predecessor != nil {
		m.Predecessor.Fingerprint = "e5f6"
	}
	m.Chain = custody.ChainHead{Count: j.heads["orders"].Count, Hash: j.heads["orders"].Hash}
	e, err := custody.SignStatement(m, line, key)
	require.NoError(t, err)
	return e
}

func TestAnAttestationIsAnInTotoStatement(t *testing.T) {
	keys, public := generations(t, 1)
	j, e := rotated(t, keys[0])
	require.Equal(t, "application/vnd.in-toto+json", e.PayloadType)
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	require.NoError(t, err)
	digest := custody.Hash(j.lines[2].line)
	require.JSONEq(t, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"8f14e45f/orders/2","digest":{"sha256":"`+digest+`"}}],
		"predicateType":"urn:keylife:rotation:v1","predicate":{"instance":"8f14e45f","key":"orders","keyId":"6f72","version":2,"type":"aes256-gcm96",
		"fingerprint":"a1b2","predecessor":{"version":1,"fingerprint":"e5f6"},"act":"rotate","trigger":"operator","created":"2026-03-01T12:00:00Z",
		"activated":"2026-03-01T12:00:00Z","policy":{"name":"pci","revision":2,"hash":"c3d4"},
		"checks":{"clock_sane":"passed","storage_writable":"passed"},"approval":{"id":"ap-4tq7","approvers":"bob (3f2b)"},
		"record":3,"chain":{"count":6,"hash":"`+j.heads["orders"].Hash+`"}}}`, string(payload))
	s, err := e.Statement(public)
	require.NoError(t, err)
	require.Equal(t, "operator", s.Predicate.Trigger)
}

func TestWhatMakesAVersion(t *testing.T) {
	for name, c := range map[string]struct {
		record  custody.Record
		want    custody.Making
		refused bool
	}{
		"a creation": {
			record: custody.Record{Kind: custody.Begin, Act: "create", Versions: []int{2}, From: "none"},
			want:   custody.Making{Act: "create", Trigger: "creation", Version: 2},
		},
		"a restored key of very many versions": {
			record: custody.Record{Kind: custody.Begin, Act: "restore-backup", From: "none", Details: map[string]string{"versions": "66 of 1 to 66"}},
			want:   custody.Making{Act: "restore-backup", Trigger: "restore", Version: 2},
		},
		"the report of the version before": {
			record: custody.Record{
				Kind: custody.Begin, Act: "compromise", Versions: []int{1}, From: "active", To: "compromised",
				Details: map[string]string{"successor": "2", "successor_fingerprint": "a1b2", "break_glass": "true"},
			},
			want: custody.Making{
				Act: "compromise", Trigger: "incident", Version: 2, Fingerprint: "a1b2", BreakGlass: true, Predecessor: &custody.Predecessor{Version: 1},
			},
		},
		"a report after which the staged version takes over": {
			record:  custody.Record{Kind: custody.Begin, Act: "compromise", Versions: []int{1}, From: "active", Details: map[string]string{"successor": "2"}},
			refused: true,
		},
		"a promotion":            {record: custody.Record{Kind: custody.Begin, Act: "promote", Versions: []int{2}, From: "pre_active"}, refused: true},
		"another version":        {record: custody.Record{Kind: custody.Begin, Act: "rotate", Versions: []int{3}, From: "none"}, refused: true},
		"the end of an act":      {record: custody.Record{Kind: custody.End, Of: 1, Outcome: custody.Done}, refused: true},
		"a drill of the version": {record: custody.Record{Kind: custody.Begin, Act: "drill", Details: map[string]string{"version": "2"}}, refused: true},
	} {
		got, made := custody.MakingOf(c.record, 2)
		require.Equal(t, !c.refused, made, name)
		require.Equal(t, c.want, got, name)
	}
}

// held verifies an export with an attestation.
func held(t testing.TB, lines []entry, public custody.PublicKeys, e custody.Envelope) custody.Report {
	t.Helper()
	s, err := e.Statement(public)
	require.NoError(t, err)
	report, err := custody.Evidence{Keys: public, Attestations: []custody.Statement{s}}.Verify(custody.Lines(bytes.NewReader(export(lines))))
	require.NoError(t, err)
	require.Equal(t, 1, report.Attestations)
	return report
}

func TestAnExportHasTheRecordThatIsAttested(t *testing.T) {
	keys, public := generations(t, 1)
	j, e := rotated(t, keys[0])
	report := held(t, j.lines, public, e)
	require.True(t, report.Clean(), "%v", report.Problems)
	require.Zero(t, report.Unsigned, "the attestation vouches for the chain up to it")
	j.act("orders", "resume")
	report = held(t, j.lines, public, e)
	require.True(t, report.Clean(), "%v", report.Problems)
	require.Equal(t, 2, report.Unsigned)
}

func TestAnExportThatIsNotWhatIsAttestedIsAProblem(t *testing.T) {
	keys, public := generations(t, 1)
	j, e := rotated(t, keys[0])
	problem := func(lines []entry, e custody.Envelope, kind error, text string) {
		t.Helper()
		report := held(t, lines, public, e)
		require.True(t, slices.ContainsFunc(report.Problems, func(p custody.Problem) bool {
			return p.Key == "orders" && strings.Contains(p.Error(), text) && errors.Is(p.Err, kind)
		}), "%v", report.Problems)
	}
	problem(j.lines[:2], e, custody.ErrGap, "the record that version 2 is attested by")
	problem(j.lines[:4], e, custody.ErrCut, "attestation of version 2")

	anew := newJournal(t, mount) // a chain that was computed anew is whole
	anew.act("orders", "create")
	other := rotation(2)
	other.Reason = "another"
	anew.end("orders", anew.add("orders", other))
	anew.act("orders", "suspend")
	require.True(t, func() bool { r := verify(t, export(anew.lines), nil); return r.Clean() }())
	problem(anew.lines, e, custody.ErrEdited, "not the one that the attestation of version 2 is about")

	failed := newJournal(t, mount)
	failed.act("orders", "create")
	seq := failed.add("orders", rotation(2))
	failed.add("orders", custody.Record{Kind: custody.End, Of: seq, Outcome: custody.Failed})
	problem(failed.lines, attest(t, failed, seq, keys[0]), custody.ErrEdited, "the act that version 2 is attested by failed")
}

// TestAnAttestationSaysWhatTheRecordSays changes each thing that both say, and signs it anew.
func TestAnAttestationSaysWhatTheRecordSays(t *testing.T) {
	keys, public := generations(t, 1)
	j, e := rotated(t, keys[0])
	genuine, err := e.Statement(public)
	require.NoError(t, err)
	line := j.lines[2].line
	for name, change := range map[string]func(m *custody.Making){
		"version":     func(m *custody.Making) { m.Version = 3 },
		"key id":      func(m *custody.Making) { m.KeyID = "0000" },
		"instance":    func(m *custody.Making) { m.Instance = "other" },
		"fingerprint": func(m *custody.Making) { m.Fingerprint = "ffff" },
		"predecessor": func(m *custody.Making) { m.Predecessor = &custody.Predecessor{Version: 9} },
		"none before": func(m *custody.Making) { m.Predecessor = nil },
		"act":         func(m *custody.Making) { m.Act = "create" },
		"trigger":     func(m *custody.Making) { m.Trigger = "schedule" },
		"policy":      func(m *custody.Making) { m.Policy = &custody.PolicyName{Name: "pci", Revision: 3, Hash: "c3d4"} },
		"no policy":   func(m *custody.Making) { m.Policy = nil },
		"checks":      func(m *custody.Making) { m.Checks = nil },
		"approval":    func(m *custody.Making) { m.Approval = nil },
		"break-glass": func(m *custody.Making) { m.BreakGlass = true },
	} {
		m := genuine.Predicate
		change(&m)
		forged, err := custody.SignStatement(m, line, keys[0])
		require.NoError(t, err, name)
		report := held(t, j.lines, public, forged)
		require.Equal(t, 1, report.ProblemCount, "%s: %v", name, report.Problems)
		require.ErrorIs(t, report.Problems[0].Err, custody.ErrEdited, name)
	}
	for name, change := range map[string]func(m *custody.Making){ // the mount's word alone
		"type":      func(m *custody.Making) { m.Type = "aes128-gcm96" },
		"activated": func(m *custody.Making) { m.Activated = time.Time{} },
	} {
		m := genuine.Predicate
		change(&m)
		other, err := custody.SignStatement(m, line, keys[0])
		require.NoError(t, err)
		report := held(t, j.lines, public, other)
		require.True(t, report.Clean(), "%s: %v", name, report.Problems)
	}
}

func TestWhatIsNoStatementIsRefused(t *testing.T) {
	keys, public := generations(t, 1)
	_, e := rotated(t, keys[0])
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		from, to string
		kind     error
	}{
		"another predicate":     {"rotation:v1", "rotation:v2", custody.ErrNewer},
		"another type":          {"Statement/v1", "Statement/v2", custody.ErrMalformed},
		"another subject":       {"8f14e45f/orders/2", "8f14e45f/orders/3", custody.ErrMalformed},
		"a field more":          {`"record":3`, `"record":3,"more":1`, custody.ErrMalformed},
		"a field twice":         {`"record":3`, `"record":4,"record":3`, custody.ErrMalformed},
		"a space":               {`"record":3`, `"record": 3`, custody.ErrMalformed},
		"a chain before it":     {`"count":6`, `"count":3`, custody.ErrMalformed},
		"a record that is none": {`"record":3`, `"record":0`, custody.ErrMalformed},
		"no key id":             {`"keyId":"6f72"`, `"keyId":""`, custody.ErrMalformed},
		"a version that is none": {
			`"predecessor":{"version":1`, `"predecessor":{"version":0`, custody.ErrMalformed,
		},
	} {
		text := strings.Replace(string(payload), c.from, c.to, 1)
		require.NotEqual(t, string(payload), text, name)
		other, err := custody.Seal("application/vnd.in-toto+json", []byte(text), keys[0])
		require.NoError(t, err)
		got, err := other.Statement(public)
		require.ErrorIs(t, err, c.kind, name)
		require.Zero(t, got)
	}
	var s custody.Statement
	require.NoError(t, json.Unmarshal(payload, &s))
	s.Predicate.Key = ""
	_, err = custody.SignStatement(s.Predicate, nil, keys[0])
	require.ErrorIs(t, err, custody.ErrInvalid)
	_, err = custody.SignStatement(s.Predicate, nil, custody.SigningKey{})
	require.ErrorIs(t, err, custody.ErrInvalid)
}

// FuzzStatement: whatever is read is what is written of it, to the byte, and it names its subject.
func FuzzStatement(f *testing.F) {
	keys, _ := generations(f, 1)
	_, e := rotated(f, keys[0])
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	require.NoError(f, err)
	f.Add(payload)
	f.Add([]byte(`{"_type":"https://in-toto.io/Statement/v1"}`))
	f.Add([]byte(`{"predicateType":"urn:keylife:rotation:v1","predicate":{"checks":{}}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		s, err := custody.DecodeStatement(payload)
		if err != nil {
			require.Zero(t, s)
			return
		}
		require.Len(t, s.Subject, 1)
		again, err := json.Marshal(s)
		require.NoError(t, err)
		require.JSONEq(t, string(again), string(payload))
		for _, r := range []custody.Record{rotation(s.Predicate.Version), {Kind: custody.End, Of: s.Predicate.Record}} {
			r.Key, r.Seq = s.Predicate.Key, s.Predicate.Record
			_, _ = custody.MakingOf(r, s.Predicate.Version)
		}
	})
}
