// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package compliance_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/internal/report"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
)

const tag = "pci-dss-4.0.1"

// cards is a mount with a policy for the standard and so many keys under it, beside others.
func cards(t *testing.T, keys int) *mounttest.Mount {
	m := mounttest.New(t)
	m.Must(m.Write("policies/pci", "compliance", tag+"/3.7.4", "allowed_types", "aes256-gcm96", "originator_period", "90d",
		"rotation_period", "30d", "owner", "payments", "reason", "CHG-1"))
	m.Must(m.Write("policies/other", "owner", "o"))
	m.Must(m.Write("keys/other", "policy", "other"))
	for i := range keys {
		m.Must(m.Write(fmt.Sprintf("keys/cards-%d", i), "policy", "pci"))
	}
	m.Must(m.Read("custody/public-key")) // the mount's first makes the key
	return m
}

// open verifies a page of a report as its reader does.
func open(m *mounttest.Mount, a mounttest.Answer) report.Page {
	m.T.Helper()
	m.Must(a)
	var keys struct{ Keys custody.PublicKeys }
	text, err := json.Marshal(m.Must(m.Read("custody/public-key")).Data)
	require.NoError(m.T, err)
	require.NoError(m.T, json.Unmarshal(text, &keys))
	require.NoError(m.T, keys.Keys.Check(""))
	signed := custody.Signed{Payload: a.Data["payload"].(string), KeyID: a.Data["key_id"].(string), Signature: a.Data["signature"].(string)}
	page, err := signed.OpenReport(keys.Keys)
	require.NoError(m.T, err)
	p, err := report.Decode(page)
	require.NoError(m.T, err)
	return p
}

func verdicts(p report.Page) map[string]report.Verdict {
	all := map[string]report.Verdict{}
	for _, c := range p.Controls {
		all[c.Tag] = c.Verdict
	}
	return all
}

func evidence(t *testing.T, p report.Page, of, what string) report.Evidence {
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

func TestAReportIsOfThePoliciesOfTheTagAndTheirKeys(t *testing.T) {
	t.Parallel()
	m := cards(t, 2)
	m.Advance(time.Minute)
	p := open(m, m.Read("compliance/report", "tag", tag))
	require.Equal(t, []string{"cards-0", "cards-1"}, p.Keys)
	require.Len(t, p.Policies, 1)
	require.Equal(t, "pci", p.Policies[0].Name)
	of := verdicts(p)
	require.Equal(t, report.Met, of[tag+"/3.7.4"])
	require.Equal(t, report.Met, of[tag+"/3.7.1"])
	require.Equal(t, report.Partly, of[tag+"/3.6.1.2"], "a software key encryption key lies in the same storage")
	require.Equal(t, report.Manual, of[tag+"/3.7.8"])
	require.Equal(t, []report.Record{{Chain: "cards-0", Seq: 1}}, evidence(t, p, "key cards-0", "generation").Records)
	require.Equal(t, "3.7.4", open(m, m.Read("compliance/report", "tag", tag+"/3.7.4")).Controls[0].Tag[len(tag)+1:])
}

// TestAReportHasTheKeysThatWereDeleted has some of the policy and of another, in the period and before, and a name that is of another key now.
func TestAReportHasTheKeysThatWereDeleted(t *testing.T) {
	t.Parallel()
	m := cards(t, 4)
	ended := []string{"cards-0", "cards-1", "cards-3", "other"}
	for _, name := range ended {
		m.Must(m.Write("keys/"+name+"/config", "deletion_allowed", true, "reason", mounttest.Reason))
		m.Must(m.Write("keys/"+name+"/archive", "reason", mounttest.Reason))
	}
	m.Pass(20 * 24 * time.Hour)
	for _, name := range ended {
		m.Must(m.Write("keys/"+name+"/retire", "reason", mounttest.Reason))
	}
	m.Pass(90 * 24 * time.Hour)
	require.NoError(t, m.Tick(), "they are destroyed")
	gone := func(name string) {
		m.Must(m.Write("keys/"+name+"/config", "policy", "", "reason", mounttest.Reason))
		m.Must(m.Delete("keys/"+name, "reason", mounttest.Reason))
	}
	gone("cards-3")
	m.Advance(time.Hour)
	from := m.Clock.Now()
	for _, name := range []string{"cards-0", "cards-1", "other"} {
		gone(name)
	}
	m.Must(m.Write("keys/cards-1", "policy", "other"))
	m.Advance(time.Minute)
	read := func(kv ...any) report.Page {
		return open(m, m.Read("compliance/report", append([]any{"tag", tag, "from", from.Format(time.RFC3339), "to", m.Clock.Now().Format(time.RFC3339)}, kv...)...))
	}
	p := read()
	require.Equal(t, []string{"cards-2"}, p.Keys)
	require.Equal(t, []string{"cards-0"}, p.Deleted, "not the one that was deleted before, nor that of another policy, nor a name that another key has")
	ending := evidence(t, p, "key cards-0", "ending")
	require.Equal(t, "1 act that ended the use of a version or the key", ending.Text)
	require.Len(t, ending.Records, 1)
	require.Equal(t, report.Met, evidence(t, p, "key cards-0", "records").Verdict)
	for _, c := range p.Controls {
		for _, e := range c.Evidence {
			require.False(t, e.Of == "key cards-0" && slices.Contains([]string{"strength", "in-time", "inventory", "wrapping"}, e.What), "nobody knows of a key that is gone: %v", e)
		}
	}

	first := read("limit", 1)
	pages := []report.Page{first}
	for pages[len(pages)-1].Next != "" {
		pages = append(pages, read("limit", 1, "after", pages[len(pages)-1].Next))
	}
	whole, err := report.Join(pages)
	require.NoError(t, err)
	whole.Time = p.Time
	require.Equal(t, p, whole)
	from = mounttest.Start
	p = read()
	require.Len(t, evidence(t, p, "key cards-0", "ending").Records, 4, "archived, retired, destroyed, deleted")
	require.Equal(t, []string{"cards-0", "cards-3"}, p.Deleted)
}

func TestAReportTellsWhatWasDone(t *testing.T) {
	t.Parallel()
	m := cards(t, 1)
	m.Must(m.Write("policies/pci", "exportable", true, "rotation_mode", "manual", "originator_period", "365d", "rotation_period", "300d", "reason", "CHG-2: as agreed"))
	m.Must(m.Write("keys/leaving", "policy", "pci", "exportable", true))
	m.Must(m.Read("export/encryption-key/leaving", "reason", "CHG-3: as agreed"))
	m.Pass(200 * 24 * time.Hour)
	m.Must(m.Write("keys/cards-0/rotate", "reason", "CHG-4: rotated"))
	m.Must(m.Write("keys/cards-0/versions/1/compromise", "reason", "INC-1: as agreed", "reason_code", "key_compromise"))
	m.Must(m.Write("policies/pci", "originator_period", "90d", "rotation_period", "30d", "reason", "CHG-5: as agreed"))
	m.Pass(time.Hour)
	p := open(m, m.Read("compliance/report", "tag", tag))
	require.Equal(t, report.NotMet, evidence(t, p, "key leaving", "leaving").Verdict)
	require.Equal(t, []report.Record{{Chain: "leaving", Seq: 3}}, evidence(t, p, "key leaving", "cleartext").Records)
	require.Equal(t, report.NotMet, evidence(t, p, "key cards-0", "in-time").Verdict)
	require.Equal(t, "in use longer than 90d: 1", evidence(t, p, "key cards-0", "in-time").Text)
	require.Equal(t, report.Met, evidence(t, p, "key cards-0", "compromises").Verdict)
	require.Equal(t, "1 version reported as compromised", evidence(t, p, "key cards-0", "compromises").Text)

	late := open(m, m.Read("compliance/report", "tag", tag, "from", p.To.Add(-24*time.Hour).Format(time.RFC3339)))
	require.Equal(t, report.Partly, evidence(t, late, "key leaving", "leaving").Verdict, "it did not leave in that time")
}

func TestPagesOfAReportJoinToTheWhole(t *testing.T) {
	t.Parallel()
	m := cards(t, 5)
	m.Advance(time.Hour)
	whole := open(m, m.Read("compliance/report", "tag", tag))
	to := whole.To.Format(time.RFC3339)
	for _, limit := range []int{1, 2, 4} {
		var pages []report.Page
		for after := ""; len(pages) == 0 || after != ""; {
			a := m.Read("compliance/report", "tag", tag, "to", to, "after", after, "limit", limit)
			pages = append(pages, open(m, a))
			after = a.Data["next_after"].(string)
		}
		require.Len(t, pages, (4+limit)/limit)
		joined, err := report.Join(pages)
		require.NoError(t, err)
		require.Equal(t, whole, joined)
	}
}

func TestAReportWritesNothingAndReadsEachThingOnce(t *testing.T) {
	t.Parallel()
	m := cards(t, 3)
	m.Advance(time.Minute)
	open(m, m.Read("compliance/report", "tag", tag))
	for keys := 1; keys <= 3; keys++ {
		before := m.Storage.All()
		m.Storage.Reset()
		m.Must(m.Read("compliance/report", "tag", tag, "limit", keys))
		counts := m.Storage.Reset()
		require.Equal(t, before, m.Storage.All())
		// Of a key: its record, lease, denied uses, the head of its chain, two records and the one that is not there. The end of the
		// mount's chain is in memory.
		require.Equal(t, storagetest.Counts{Gets: 13 + 7*keys, Lists: 8 + keys}, counts)
	}
}

func TestWhatIsWrongWithARequestForAReport(t *testing.T) {
	t.Parallel()
	m := cards(t, 1)
	for want, kv := range map[string][]any{
		"tag: \"\": must be":              {},
		"no policy has it":                {"tag", "gdpr"},
		`tag: "pci"`:                      {"tag", "pci"},
		"must be a time as in RFC 3339":   {"tag", tag, "from", "yesterday"},
		"to: ":                            {"tag", tag, "to", "2999-01-01T00:00:00Z"},
		"must be before to":               {"tag", tag, "from", "2026-02-01T00:00:00Z", "to", "2026-01-01T00:00:00Z"},
		"limit: 201: must be between":     {"tag", tag, "limit", 201},
		"limit: -1: must be between":      {"tag", tag, "limit", -1},
		"standards are pci-dss-4.0.1, ni": {"tag", "iso-27001"},
	} {
		a := m.Read("compliance/report", kv...)
		require.Equal(t, 400, a.Status, want)
		require.Contains(t, a.Err, want)
	}
}
