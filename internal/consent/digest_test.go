// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
)

// TestDigestsAreThoseOfAnotherImplementation: of Python, with the fields in the order of the type and the parameters sorted:
//
//	hashlib.sha256(("keylife/approval/v1\n" + json.dumps(content, ensure_ascii=False, separators=(",", ":"))).encode()).hexdigest()
func TestDigestsAreThoseOfAnotherImplementation(t *testing.T) {
	cards := consent.Subject{Scope: acts.Key, Name: "cards", KeyID: "6f72"}
	pci := consent.Policy{Name: "pci", Revision: 4, Hash: "ab"}
	for _, v := range []struct {
		name, digest, id string
		content          consent.Content
	}{
		{"empty", "9745ec97f209dc7c28c3aa32559e6cfa8ff3b6595b835c557c8dee46207ffdb6", "ap-s5c6zf7sbhohykgdvizflhtm7i", consent.Content{}},
		{"letters of many scripts", "a8e4b76d793711027c12eba1be23c223a765279be69f447f8efbe5a020e10883", "ap-vdslo3lzg4iqe7as5oq34i6cem", consent.Content{
			Instance: "8f14", Operation: "rotate", Subject: cards, Revision: 17, Policy: pci, Parameters: map[string]string{"größe": "10 €", "名": "鍵 🔑"},
			Reason: "Wechsel nach Übergabe — 引き継ぎ", Requester: "3f2b",
		}},
		{"what HTML and JSON escape", "59e09974465e875377dc66046b7ab7763390053d490093d06bc3121e50cf1b13", "ap-lhqjs5cgl2dvg564mycgw6vxoy", consent.Content{
			Instance: "8f14", Operation: "configure", Subject: cards, Revision: 17, Policy: pci, Parameters: map[string]string{"labels": `a: "<b>" -> "&amp;"`},
			Reason: "a\tb \"quoted\" \\ back\nnew <script>&", Requester: "3f2b",
		}},
		{"of a policy", "8c3577c57a76e8f6be3311d8868c1c403feac3d888ebed42629143726dd6f2ea", "ap-rq2xprl2o3upnprtchminda4ia", consent.Content{
			Instance: "8f14", Operation: "policy", Subject: consent.Subject{Scope: acts.Policy, Name: "pci"}, Revision: 4, Policy: pci,
			Parameters: map[string]string{"delete": "true"}, Reason: "CHG-4711: nobody needs it", Requester: "3f2b",
		}},
		{"of the mount", "8ce04766062661cdb8d995325f0bdb08d03b5c667504950423b2797b8a59bde4", "ap-rtqeozqgezq43ogzsuzf6c63ba", consent.Content{
			Instance: "8f14", Operation: "config", Subject: consent.Subject{Scope: acts.Mount}, Revision: 2,
			Parameters: map[string]string{"require_policy": "true -> false"}, Reason: "CHG-4711: for a day", Requester: "3f2b",
		}},
	} {
		require.Equal(t, v.digest, v.content.Digest(), v.name)
		require.Equal(t, v.id, consent.IDOf(v.digest), v.name)
	}
}

// FuzzAContentCanBeReadOutOfWhatItsDigestIsOf, so no two contents have the digest of one text.
func FuzzAContentCanBeReadOutOfWhatItsDigestIsOf(f *testing.F) {
	f.Add("8f14", "retire", "cards", "6f72", 3, "pci", "a", "<1>", "b", "", "CHG-4711", "3f2b")
	f.Add("", "", "\u2028", "\x00", -1, "}", "\",\"", "{", "\\", "\u00e9", "e\u0301", "\n")
	f.Fuzz(func(t *testing.T, instance, operation, name, keyID string, number int, policy, p1, v1, p2, v2, reason, requester string) {
		content := consent.Content{
			Instance: instance, Operation: acts.Gate(operation), Subject: consent.Subject{Scope: acts.Scope(requester), Name: name, KeyID: keyID}, Version: number, Revision: -number,
			Policy: consent.Policy{Name: policy, Revision: number, Hash: keyID}, Parameters: map[string]string{p1: v1, p2: v2}, Reason: reason, Requester: requester,
		}
		for _, text := range []string{instance, operation, name, keyID, policy, p1, v1, p2, v2, reason, requester} {
			if !utf8.ValidString(text) {
				t.Skip("no request has it: they are JSON")
			}
		}
		body, found := bytes.CutPrefix(consent.TextOf(content), []byte("keylife/approval/v1\n"))
		require.True(t, found)
		var read consent.Content
		require.NoError(t, json.Unmarshal(body, &read))
		require.Equal(t, content, read)
	})
}

func FuzzARuleReadsBackAsItIsShown(f *testing.F) {
	for _, text := range []string{"not creator", "2 of key-approvers, security", " 10 of  a ,b", "+1 of x of y", "1 of ,", "1 of a,a", "01 of \u00a0a"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := consent.ParseRule(text)
		if err != nil {
			require.Equal(t, consent.Rule{}, rule)
			return
		}
		require.Equal(t, rule.NotCreator, rule.Need == 0)
		require.LessOrEqual(t, rule.Need, consent.MostPersons)
		require.LessOrEqual(t, len(rule.Groups), consent.MostGroups)
		again, err := consent.ParseRule(rule.String())
		require.NoError(t, err)
		require.Equal(t, rule, again)
	})
}

func TestTheFirstDifferenceOfTwoContents(t *testing.T) {
	of := func(change func(*consent.Content)) consent.Content {
		c := consent.Content{Version: 3, Revision: 17, Policy: consent.Policy{Name: "pci", Revision: 4}, Parameters: map[string]string{"b": "1", "c": "2"}, Reason: "why"}
		change(&c)
		return c
	}
	same := of(func(*consent.Content) {})
	require.Empty(t, same.Difference(same))
	for _, row := range []struct {
		change func(*consent.Content)
		want   consent.Difference
	}{
		{func(c *consent.Content) { c.Version, c.Reason = 4, "other" }, consent.Difference{Field: "version", Of: "3", Other: "4"}},
		{func(c *consent.Content) { c.Revision, c.Reason = 18, "other" }, consent.Difference{Field: "revision", Of: "17", Other: "18"}},
		{func(c *consent.Content) { c.Policy.Revision, c.Reason = 5, "other" }, consent.Difference{Field: "policy", Of: "pci, revision 4", Other: "pci, revision 5"}},
		{func(c *consent.Content) { c.Policy = consent.Policy{} }, consent.Difference{Field: "policy", Of: "pci, revision 4"}},
		{func(c *consent.Content) { c.Parameters = map[string]string{"a": "0", "c": "3"} }, consent.Difference{Field: "a", Other: "0"}},
		{func(c *consent.Content) { c.Parameters = nil }, consent.Difference{Field: "b", Of: "1"}},
		{func(c *consent.Content) { c.Reason = "other" }, consent.Difference{Field: "reason", Of: "why", Other: "other"}},
	} {
		require.Equal(t, row.want, same.Difference(of(row.change)))
	}
}
