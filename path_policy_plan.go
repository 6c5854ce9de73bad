// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fAfterKey    = vaultapi.Text("after", "Look at the keys behind this one, in alphabetical order; it need not exist.").Query()
	fKeyLimit    = vaultapi.Int("limit", "Look at so many bound keys, at most 1000. 0: 100.").Query()
	fKeysBound   = vaultapi.Int("keys_bound", "Keys that are bound to the policy.")
	fNextKey     = vaultapi.Text("next", "What to pass as after for the next page; empty: this was the last one.")
	fPolicyHash  = vaultapi.Text("hash", "SHA-256 of the content, in hex.")
	fPlannedKeys = vaultapi.List("keys", "name, due_now, next_rotation_time, rotation_status and next_event (time, act, version, irreversible; each from and to), becomes_non_compliant, stays_non_compliant, becomes_compliant.")
	fPlanSummary = vaultapi.Object("summary", "Of the keys on this page: how many are looked at, due_now, non_compliant under the candidate, and become so.")
	fPlanChanges = vaultapi.Object("changes", "Field to its value now (from) and under the candidate (to). For a new policy, from is the default.")
	fChanged     = vaultapi.Text("changed", "The changes in one line, to read.")
	fLooser      = vaultapi.Object("looser", "Field in which the candidate is looser than the revision in force, to from -> to: why.")
	fNeeds       = vaultapi.Text("needs", "Whose consent the write needs, as it is looser: the rule for policy in approvals of the revision in force. Empty: nobody's.")
	fDueNow      = vaultapi.Int("due_now", "As in summary.")
	fDrift       = vaultapi.Int("non_compliant", "As in summary.")
	fNewDrift    = vaultapi.Int("becomes_non_compliant", "As in summary.")
	fChecked     = vaultapi.Int("checked", "Bound keys that this page looked at.")
	fDrifting    = vaultapi.List("keys", "Keys that do not meet the policy: name and findings, each with field, value and rule.")
	fPool        = vaultapi.List("findings", "Rules of consent that too few approvers can satisfy by now: field, value, and who can.")
	planFields   = vaultapi.FieldsOf(fPolicyName, fPlanChanges, fPolicyRevision, fPolicyHash, fKeysBound, fPlannedKeys, fPlanSummary, fNextKey,
		fChanged, fLooser, fNeeds, fDueNow, fDrift, fNewDrift)
	driftFields = vaultapi.FieldsOf(fPolicyName, fPolicyRevision, fKeysBound, fChecked, fDrifting, fPool, fNextKey)
	inPages     = "Keys come in alphabetical order, limit at a time; next is what to pass as after for the page that follows."
)

func (a policiesAPI) planPath() path {
	return path{
		Pattern: "policies/" + named + "/plan", ID: vaultapi.ID{Verb: "plan", Suffix: "policy"}, Mode: vaultapi.Strict,
		Fields: contentFields.With(fPolicyName, fDocument, fCAS, fReason, fAfterKey, fKeyLimit),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.plan, Summary: "Show what writing a policy would change, without writing it.", Answer: "The plan.", Fields: planFields,
		}},
		Synopsis: "Plan a policy.",
		Description: "Takes what a write of the policy takes and shows what would change: of the policy, and for each bound key when it " +
			"rotates, what would be due at once, and which rules it would no longer meet. Nothing is written. " + inPages,
	}
}

func (a policiesAPI) driftPath() path {
	return path{
		Pattern: "policies/" + named + "/drift/?$", ID: vaultapi.ID{Suffix: "policy-drift"}, Mode: vaultapi.Strict,
		Fields: vaultapi.FieldsOf(fPolicyName, fAfterKey, fKeyLimit),
		Operations: operations{
			logical.ReadOperation: {
				Handle: a.drift, Summary: "Read which bound keys do not meet the policy, and why.",
				Answer: "The keys that do not meet the policy.", Fields: driftFields,
			},
			logical.ListOperation: {
				Handle: a.listDrift, Summary: "List the bound keys that do not meet the policy.",
				Answer: "Names of the keys.", Fields: tableFields("By key: how many rules it does not meet, and which."),
			},
		},
		Synopsis:    "Keys that do not meet their policy.",
		Description: "Checks the bound keys against the revision in force: type, strength, flags, lateness of the rotation. " + inPages + " A list has the same as a table, without the keys that meet the policy.",
	}
}

// keyPage reads which of the bound keys are asked for.
func keyPage(c *request) (engine.Page, error) {
	limit, err := vaultapi.PageSize(c, 100, 1000)
	return engine.Page{After: fAfterKey.Get(c), Limit: limit}, err
}

func (a policiesAPI) plan(ctx context.Context, c *request) (*logical.Response, error) {
	page, err := keyPage(c)
	if err != nil {
		return nil, err
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	plan, err := c.Policies().Plan(ctx, fPolicyName.Get(c), c.edit, page)
	if err != nil {
		return nil, err
	}
	if err := refusal.CheckRevision(pre.CAS, plan.Before.Revision); err != nil {
		return nil, err
	}
	changes, summary := differences(plan.Before, plan.After), planSummary(plan.Keys)
	resp := vaultapi.Data(
		fPolicyName.Is(plan.After.Name), fPlanChanges.Is(changes), fPolicyRevision.Is(plan.After.Revision), fChanged.Is(changesText(changes)),
		fPolicyHash.Is(plan.After.Hash), fKeysBound.Is(plan.Bound), fPlannedKeys.Is(vaultapi.Rows(plan.Keys, plannedData)),
		fPlanSummary.Is(summary), fNextKey.Is(plan.Next), fLooser.Is(loosenings(plan.Looser)), fNeeds.Is(plan.Needs),
	)
	resp.Warnings = plan.After.Warnings()
	for _, field := range []vaultapi.Field[int]{fDueNow, fDrift, fNewDrift} {
		resp.Data[field.Name] = summary[field.Name]
	}
	return resp, nil
}

// changesText shows differences in one line, but for documents.
func changesText(changes map[string]any) string {
	texts := make([]string, 0, len(changes))
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		change := changes[name].(map[string]any)
		text := name
		if name != fDocument.Name {
			text = vaultapi.Line(fmt.Sprintf("%s: %v -> %v", name, orQuotes(change["from"]), orQuotes(change["to"])))
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

func loosenings(found []policy.Loosening) map[string]any {
	texts := make(map[string]any, len(found))
	for _, l := range found {
		texts[l.Field] = fmt.Sprintf("%v -> %v: %s", orQuotes(l.From), orQuotes(l.To), l.Why)
	}
	return texts
}

func plannedData(k engine.KeyPlan) map[string]any {
	becomes, stays, ends := k.Compliance()
	return map[string]any{
		"name": k.Name, "due_now": k.After.Due(),
		"next_rotation_time":    fromTo(vaultapi.Time(k.Before.Plan.Next), vaultapi.Time(k.After.Plan.Next)),
		"rotation_status":       fromTo(string(k.Before.Plan.Status), string(k.After.Plan.Status)),
		"next_event":            fromTo(entryData(k.Before.First), entryData(k.After.First)),
		"becomes_non_compliant": findingsData(becomes), "stays_non_compliant": findingsData(stays), "becomes_compliant": findingsData(ends),
	}
}

func planSummary(keys []engine.KeyPlan) map[string]any {
	due, drifting, newly := 0, 0, 0
	for _, k := range keys {
		becomes, stays, _ := k.Compliance()
		due += count(k.After.Due())
		drifting += count(len(k.After.Findings) > 0)
		newly += count(len(becomes) > 0 && len(stays) == 0)
	}
	return map[string]any{"keys": len(keys), "due_now": due, "non_compliant": drifting, "becomes_non_compliant": newly}
}

func (a policiesAPI) drift(ctx context.Context, c *request) (*logical.Response, error) {
	page, err := keyPage(c)
	if err != nil {
		return nil, err
	}
	drift, err := c.Policies().Drift(ctx, fPolicyName.Get(c), page)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(
		fPolicyName.Is(drift.Policy.Name), fPolicyRevision.Is(drift.Policy.Revision), fKeysBound.Is(drift.Bound), fChecked.Is(drift.Checked),
		fDrifting.Is(vaultapi.Rows(drift.Drifting, driftingData)), fPool.Is(findingsData(drift.Pool)), fNextKey.Is(drift.Next),
	), nil
}

var driftRows = vaultapi.Answer[engine.Drifting]{
	vaultapi.Show(vaultapi.Int("findings", "How many rules the key does not meet."), func(k engine.Drifting) int { return len(k.Findings) }),
	vaultapi.Show(vaultapi.Text("why", "The rules, each with the field and its value."), func(k engine.Drifting) string {
		texts := make([]string, len(k.Findings))
		for i, f := range k.Findings {
			texts[i] = strings.TrimSpace(f.Field+" "+f.Value) + ": " + f.Rule
		}
		return strings.Join(texts, "; ")
	}),
}

func (a policiesAPI) listDrift(ctx context.Context, c *request) (*logical.Response, error) {
	page, err := keyPage(c)
	if err != nil {
		return nil, err
	}
	drift, err := c.Policies().Drift(ctx, fPolicyName.Get(c), page)
	if err != nil {
		return nil, err
	}
	warn := func(resp *logical.Response) *logical.Response {
		for _, f := range drift.Pool {
			resp.AddWarning(f.Field + ": " + f.Value + ": " + f.Rule)
		}
		return resp
	}
	names, byName := make([]string, len(drift.Drifting)), map[string]*engine.Drifting{}
	for i := range drift.Drifting {
		names[i] = drift.Drifting[i].Name
		byName[names[i]] = &drift.Drifting[i]
	}
	checked := fmt.Sprintf("%d of the %d keys bound to policy %s are checked", drift.Checked, drift.Bound, drift.Policy.Name)
	if len(names) == 0 && drift.Next == "" {
		return warn(vaultapi.Nothing("no key drifts: " + checked + " and meet it")), nil
	}
	resp, err := vaultapi.Table(ctx, vaultapi.Listing{Names: names, Rows: names}, driftRows, func(name string) (*engine.Drifting, error) {
		return byName[name], nil
	})
	if err != nil {
		return nil, err
	}
	if drift.Next != "" {
		vaultapi.GoOn(resp, drift.Next, checked)
	}
	return warn(resp), nil
}

func driftingData(k engine.Drifting) map[string]any {
	return map[string]any{"name": k.Name, "findings": findingsData(k.Findings)}
}

// differences are the fields in which two revisions differ.
func differences(before, after policy.Policy) map[string]any {
	changes := map[string]any{}
	from, to := contentOf(before.Document), contentOf(after.Document)
	from[fDocument.Name], to[fDocument.Name] = before.Source, after.Source
	for name, value := range to {
		if !reflect.DeepEqual(from[name], value) {
			changes[name] = fromTo(from[name], value)
		}
	}
	return changes
}

// orQuotes shows an empty text as one.
func orQuotes(value any) any {
	if value == "" {
		return `""`
	}
	return value
}

func fromTo(from, to any) map[string]any { return map[string]any{"from": from, "to": to} }

func findingsData(findings []policy.Finding) []map[string]any {
	return vaultapi.Rows(findings, func(f policy.Finding) map[string]any {
		return map[string]any{"field": f.Field, "value": f.Value, "rule": f.Rule}
	})
}

// entryData shows a thing that the clock will do; nil: there is none.
func entryData(entry *lifecycle.Pending) any {
	if entry == nil {
		return nil
	}
	event := lifecycle.Forecasted{At: entry.At, Act: string(entry.Op), Version: entry.Version}
	return map[string]any{"time": vaultapi.Time(event.At), "act": event.Act, "version": event.Version, "irreversible": event.Irreversible()}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
