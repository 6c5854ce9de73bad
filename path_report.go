// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/keks"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/report"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fTag         = vaultapi.Text("tag", "What the report is about, as a policy's compliance has it: a standard, such as pci-dss-4.0.1, or a control of it.").Query()
	fFrom        = vaultapi.Text("from", "Acts count that began from then on, RFC 3339. Empty: 365 days before to.").Query()
	fTo          = vaultapi.Text("to", "Acts count that began before, RFC 3339. Empty: now.").Query()
	fReportLimit = vaultapi.Int("limit", "Look at so many keys, at most 200. 0: 50.").Query()
	fControls    = vaultapi.List("controls", "What is shown, as far as this page goes: tag, title and verdict (met, partly, not_met, manual) of each control. The evidence is in payload.")
	fReported    = vaultapi.Strings("keys", "Keys that this page looked at.")
	fGone        = vaultapi.Strings("deleted", "Keys of this page that were deleted, with acts in the period: what their custody records show.")
	fPage        = vaultapi.Text("payload", "The page: the exact text that is signed, JSON.")
	reportFields = vaultapi.FieldsOf(fTag, fFrom, fTo, fControls, fReported, fGone, fPage, fKeyID, fSignature, fNextCursor)
)

// reportAPI serves what the mount shows for the controls of standards.
type reportAPI struct{}

func (a reportAPI) paths() []path {
	return []path{{
		Pattern: "compliance/report", ID: vaultapi.ID{Suffix: "compliance-report"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fTag, fFrom, fTo, fAfterKey, fReportLimit),
		Operations: operations{logical.ReadOperation: {
			Handle: a.read, Summary: "Read what the mount shows for the controls of a standard, signed.", Answer: "A page of the report.", Fields: reportFields,
		}},
		Synopsis: "What the mount shows for the controls of a standard.",
		Description: "Looks at the policies whose compliance has the tag, one below it or one above it, and at the keys that are bound to them, and says " +
			"of each control what is met, partly met, not met, or not shown by this engine, with the custody records that show it. Each page " +
			"is signed as a checkpoint is. `vault-plugin-keylife report` joins the pages, verifies them and writes Markdown or HTML; give all pages the same to.",
	}}
}

func (reportAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	limit, err := vaultapi.PageSize(c, 50, 200)
	if err != nil {
		return nil, err
	}
	head := report.Page{Tag: fTag.Get(c), After: fAfterKey.Get(c)}
	if problem := report.CheckTag(head.Tag); problem != "" {
		return nil, vaultapi.InvalidField(fTag.Name, head.Tag, problem)
	}
	facts, err := reportPeriod(c)
	if err != nil {
		return nil, err
	}
	under, err := c.Policies().UnderTag(ctx, head.Tag, engine.Page{After: head.After, Limit: limit})
	if err != nil {
		return nil, err
	}
	if facts.Mount, err = reportMount(ctx, c); err != nil {
		return nil, err
	}
	facts.Policies, facts.Keys, head.Next = under.Policies, under.Keys, under.Next
	page, signed, err := c.Ledger().Reports().Report(ctx, head, facts)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(
		fTag.Is(page.Tag), fFrom.Is(vaultapi.Time(page.From)), fTo.Is(vaultapi.Time(page.To)), fControls.Is(vaultapi.Rows(page.Controls, controlData)),
		fReported.Is(page.Keys), fGone.Is(append([]string{}, page.Deleted...)), fPage.Is(signed.Payload), fKeyID.Is(signed.KeyID), fSignature.Is(signed.Signature), fNextCursor.Is(page.Next),
	), nil
}

func controlData(c report.Shown) map[string]any {
	return map[string]any{"tag": c.Tag, "title": c.Title, "verdict": string(c.Verdict)}
}

// reportPeriod reads which time the report is about.
func reportPeriod(c *request) (f report.Facts, err error) {
	const year = 365 * 24 * time.Hour
	now := c.Ledger().Now().UTC().Truncate(time.Second)
	if f.To, err = timeOf(fTo.Name, fTo.Get(c)); err != nil {
		return f, err
	}
	if f.From, err = timeOf(fFrom.Name, fFrom.Get(c)); err != nil {
		return f, err
	}
	if f.To.IsZero() {
		f.To = now
	}
	if f.From.IsZero() {
		f.From = f.To.Add(-year)
	}
	switch {
	case f.To.After(now):
		return f, vaultapi.InvalidField(fTo.Name, fTo.Get(c), "must not be in the future")
	case !f.From.Before(f.To):
		return f, vaultapi.InvalidField(fFrom.Name, vaultapi.Time(f.From), "must be before to")
	}
	return f, nil
}

// reportMount gathers what all keys share.
func reportMount(ctx context.Context, c *request) (m report.Mount, err error) {
	if m.TokenRandom, err = c.hasTokenRandom(ctx); err != nil {
		return m, err
	}
	h, err := c.KEKs().Read(ctx)
	if err != nil && !errors.Is(err, refusal.ErrNotFound) {
		return m, err
	}
	for _, purpose := range keks.Purposes {
		kek := report.KEK{Purpose: purpose, Suite: "software, AES-256-GCM", Bits: keytype.AES256GCM96.StrengthBits()}
		if active, ok := h.ActiveOf(purpose); ok {
			kek = report.KEK{Purpose: purpose, Suite: active.Suite.String(), Bits: kekBits(active.KEK), Token: true}
		}
		m.KEKs = append(m.KEKs, kek)
	}
	return m, nil
}

// kekBits is the strength of a key encryption key on a token; 0: not known, of one that somebody else made.
func kekBits(k hsm.KEK) int {
	switch {
	case k.Suite != hsm.SuiteOAEP:
		return keytype.AES256GCM96.StrengthBits()
	case k.RSABits >= 4096:
		return keytype.RSA4096.StrengthBits()
	case k.RSABits >= 3072:
		return keytype.RSA3072.StrengthBits()
	case k.RSABits >= 2048:
		return keytype.RSA2048.StrengthBits()
	}
	return 0
}
