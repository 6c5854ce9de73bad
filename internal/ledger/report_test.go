// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/report"
)

// about are facts of a period around the acts, of one key and its policy.
func about() report.Facts {
	return report.Facts{
		From: start.Add(-time.Hour), To: start.Add(time.Hour),
		Policies: []report.Policy{{Name: "pci"}}, Keys: []report.Key{{Name: "orders"}},
	}
}

// shownFor is the text of an evidence.
func shownFor(t *testing.T, p report.Page, of, what string) report.Evidence {
	t.Helper()
	for _, c := range p.Controls {
		for _, e := range c.Evidence {
			if e.Of == of && e.What == what {
				return e
			}
		}
	}
	require.Fail(t, "no such evidence", "%s of %s", what, of)
	return report.Evidence{}
}

func TestAReportIsSignedAndWritesNothing(t *testing.T) {
	m := rotations(t, "orders", 4)
	m.act(custody.PolicyChain("pci"), custody.Record{Act: "write"}, custody.Done)
	keys, err := m.ledger().PublicKeys(ctx) // the mount has its first signing key from here on
	require.NoError(t, err)
	m.asked = nil
	page, signed, err := m.ledger().Reports().Report(ctx, report.Page{Tag: "soc2", Next: "x"}, about())
	require.NoError(t, err)
	require.Equal(t, []string{
		"SigningKeys", "Instance", "Committedmount:", "Linesmount: 0", "Committedpolicy:pci", "Linespolicy:pci 0",
		"JournalNames", "ExpectedNames", "Committedorders", "Linesorders 0",
	}, spaced(m.asked))
	text, err := signed.OpenReport(keys)
	require.NoError(t, err)
	read, err := report.Decode(text)
	require.NoError(t, err)
	require.Equal(t, page, read)
	require.Equal(t, "i1", page.Instance)
	require.Equal(t, start, page.Time)

	for _, tampered := range []custody.Signed{
		{Payload: strings.Replace(signed.Payload, `"tag":"soc2"`, `"tag":"gdpr"`, 1), KeyID: signed.KeyID, Signature: signed.Signature},
		{Payload: signed.Payload + " ", KeyID: signed.KeyID, Signature: signed.Signature},
		{Payload: signed.Payload, KeyID: "other", Signature: signed.Signature},
	} {
		_, err := tampered.OpenReport(keys)
		require.ErrorIs(t, err, custody.ErrSignature)
	}
}

// spaced writes calls as the mount notes them, with a space before a number.
func spaced(asked []string) (calls []string) {
	for _, call := range asked {
		if rest, found := strings.CutSuffix(call, "0"); found {
			call = strings.TrimSpace(rest) + " 0"
		}
		calls = append(calls, call)
	}
	return calls
}

func TestAReportHasTheActsOfItsPeriod(t *testing.T) {
	m := newMount(t)
	who := custody.Actor{EntityID: "e1", DisplayName: "alice"}
	m.act("orders", custody.Record{Act: "create", Actor: who}, custody.Done)
	m.act("orders", custody.Record{Act: "export", Actor: who}, custody.Failed)
	m.add("orders", custody.Record{Kind: custody.Begin, Act: "backup", KeyID: "k", Actor: custody.Actor{EntityID: "e2"}})
	page, _, err := m.ledger().Reports().Report(ctx, report.Page{Tag: "pci-dss-4.0.1/3.6.1.3"}, about())
	require.NoError(t, err)
	e := shownFor(t, page, "key orders", "actors")
	require.Equal(t, "2 acts by 2 persons", e.Text)
	require.Equal(t, "alice (e1), e2", e.Fields["persons"])
	require.Equal(t, []report.Record{{Chain: "orders", Seq: 1}, {Chain: "orders", Seq: 5}}, e.Records)
	require.Equal(t, report.NotMet, shownFor(t, page, "key orders", "leaving").Verdict, "an act without an end may have let material out")

	f := about()
	f.From = start.Add(time.Second)
	page, _, err = m.ledger().Reports().Report(ctx, report.Page{Tag: "pci-dss-4.0.1/3.6.1.3"}, f)
	require.NoError(t, err)
	require.Equal(t, "0 acts by 0 persons", shownFor(t, page, "key orders", "actors").Text)
	f.From, f.To = start.Add(-time.Second), start
	page, _, err = m.ledger().Reports().Report(ctx, report.Page{Tag: "pci-dss-4.0.1/3.6.1.3"}, f)
	require.NoError(t, err)
	require.Equal(t, "0 acts by 0 persons", shownFor(t, page, "key orders", "actors").Text, "to is not in the period")
}

func TestAReportSaysOfADamagedChainThatItIs(t *testing.T) {
	whole := func(damage func(m *mount)) report.Evidence {
		m := rotations(t, "orders", 6)
		damage(m)
		page, _, err := m.ledger().Reports().Report(ctx, report.Page{Tag: "hipaa/164.312(b)"}, about())
		require.NoError(t, err)
		return shownFor(t, page, "key orders", "records")
	}
	require.Equal(t, report.Met, whole(func(*mount) {}).Verdict)
	for want, damage := range map[string]func(m *mount){
		"missing":  func(m *mount) { delete(m.journals["orders"], 3) },
		"record 5": func(m *mount) { delete(m.journals["orders"], 6); delete(m.journals["orders"], 5) },
		"chain": func(m *mount) {
			m.journals["orders"][2] = strings.Replace(m.journals["orders"][2], "done", "failed", 1)
		},
		"broken":     func(m *mount) { m.journals["orders"][4] = "nonsense" },
		"newest act": func(m *mount) { clear(m.journals["orders"]) },
	} {
		e := whole(damage)
		require.Equal(t, report.NotMet, e.Verdict, want)
		require.Contains(t, e.Text, want)
	}
	unfinished := whole(func(m *mount) { delete(m.journals["orders"], 6) })
	require.Equal(t, report.Partly, unfinished.Verdict)
	require.Contains(t, unfinished.Text, "1 act without an end")
}

func TestOfALongChainTheNewestRecordsAreRead(t *testing.T) {
	m := rotations(t, "orders", 110)
	page, _, err := m.ledger().Bounded(100, 1000).Reports().Report(ctx, report.Page{Tag: "hipaa/164.312(b)"}, about())
	require.NoError(t, err)
	e := shownFor(t, page, "key orders", "records")
	require.Equal(t, report.Partly, e.Verdict)
	require.Contains(t, m.asked, "Linesorders10")
	require.Equal(t, "100", e.Fields["records"])
}

func TestKeysWithTooManyRecordsForAPageAreForTheNext(t *testing.T) {
	m := newMount(t)
	f := about()
	f.Keys = nil
	for _, name := range []string{"a", "b", "c", "d"} {
		for range 35 {
			m.act(name, custody.Record{Act: "rotate"}, custody.Done)
		}
		f.Keys = append(f.Keys, report.Key{Name: name})
	}
	m.keys = []string{"a", "b", "c", "d"}
	page, _, err := m.ledger().Bounded(100, 200).Reports().Report(ctx, report.Page{Tag: "hipaa", Next: "z"}, f)
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b", "c"}, page.Keys)
	require.Equal(t, "c", page.Next)
	f.Keys = f.Keys[3:]
	page, _, err = m.ledger().Bounded(100, 200).Reports().Report(ctx, report.Page{Tag: "hipaa", After: "c", Next: "z"}, f)
	require.NoError(t, err)
	require.Equal(t, []string{"d"}, page.Keys)
	require.Equal(t, "z", page.Next)
}

// TestDeletedKeysCountForThePage has them bound it as others do, also those that are not under the policies.
func TestDeletedKeysCountForThePage(t *testing.T) {
	m := newMount(t)
	m.keys = []string{"d"}
	for name, policy := range map[string]string{"a": "pci", "b": "other", "c": "pci", "d": "pci", "e": "pci", "f": "pci"} {
		for range 35 {
			m.act(name, custody.Record{Act: "rotate", Policy: policy, KeyID: name}, custody.Done)
		}
	}
	m.act("f", custody.Record{Act: "delete", KeyID: "f"}, custody.Failed)
	f := about()
	f.Keys = []report.Key{{Name: "d"}}
	read := func(after string) report.Page {
		page, _, err := m.ledger().Bounded(100, 200).Reports().Report(ctx, report.Page{Tag: "hipaa", After: after}, f)
		require.NoError(t, err)
		return page
	}
	page := read("")
	require.Equal(t, []any{[]string{}, []string{"a", "c"}, "c"}, []any{page.Keys, page.Deleted, page.Next})
	page = read("c")
	require.Equal(t, []any{[]string{"d"}, []string{"e", "f"}, ""}, []any{page.Keys, page.Deleted, page.Next})
	f.Keys = nil
	page = read("f")
	require.Empty(t, page.Deleted)
}

func TestAReportFailsWhereStorageDoes(t *testing.T) {
	for _, what := range []string{"SigningKeys", "Instance", "Committed", "Lines", "JournalNames", "ExpectedNames"} {
		m := rotations(t, "orders", 4)
		_, err := m.ledger().PublicKeys(ctx)
		require.NoError(t, err)
		m.fails = what
		_, signed, err := m.ledger().Reports().Report(ctx, report.Page{Tag: "soc2"}, about())
		require.ErrorIs(t, err, errDown, what)
		require.Empty(t, signed)
	}
	m := rotations(t, "orders", 4)
	_, err := m.ledger().PublicKeys(ctx)
	require.NoError(t, err)
	m.wrapper.away = true
	_, _, err = m.ledger().Reports().Report(ctx, report.Page{Tag: "soc2"}, about())
	require.Error(t, err)
}
