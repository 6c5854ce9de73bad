// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"reflect"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

var (
	fAfterKey    = newField[string]("after", framework.TypeString, "Look at the keys behind this one, in alphabetical order; it need not exist.").query()
	fKeyLimit    = newField[int]("limit", framework.TypeInt, "Look at so many bound keys, at most 1000. 0: 100.").query()
	fKeysBound   = newField[int]("keys_bound", framework.TypeInt, "Keys that are bound to the policy.")
	fNextKey     = newField[string]("next", framework.TypeString, "What to pass as after for the next page; empty: this was the last one.")
	fPolicyHash  = newField[string]("hash", framework.TypeString, "SHA-256 of the content, in hex.")
	fPlannedKeys = newField[[]any]("keys", framework.TypeSlice, "name, due_now, next_rotation_time, rotation_status and next_event (each from and to), becomes_non_compliant, stays_non_compliant, becomes_compliant.")
	fPlanSummary = newField[map[string]any]("summary", framework.TypeMap, "Of the keys on this page: how many are looked at, due_now, non_compliant under the candidate, and become so.")
	fPlanChanges = newField[map[string]any]("changes", framework.TypeMap, "Field to its value now (from) and under the candidate (to). For a new policy, from is the default.")
	fChecked     = newField[int]("checked", framework.TypeInt, "Bound keys that this page looked at.")
	fDrifting    = newField[[]any]("keys", framework.TypeSlice, "Keys that do not meet the policy: name and findings, each with field, value and rule.")
	planFields   = fields(fPolicyName, fPlanChanges, fPolicyRevision, fPolicyHash, fKeysBound, fPlannedKeys, fPlanSummary, fNextKey)
	driftFields  = fields(fPolicyName, fPolicyRevision, fKeysBound, fChecked, fDrifting, fNextKey)
	inPages      = "Keys come in alphabetical order, limit at a time; next is what to pass as after for the page that follows."
)

func (b *backend) pathPolicyPlan() []*framework.Path {
	name := "policies/" + framework.GenericNameRegex(fPolicyName.name)
	return []*framework.Path{
		{
			Pattern:      name + "/plan",
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationVerb: "plan", OperationSuffix: "policy"},
			Fields:       with(contentFields, fPolicyName, fDocument, fCAS, fReason, fAfterKey, fKeyLimit),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.UpdateOperation: &framework.PathOperation{
					Callback: b.handleStrict(b.planPolicy), Summary: "Show what writing a policy would change, without writing it.",
					Responses: ok("The plan.", planFields),
				},
			},
			HelpSynopsis: "Plan a policy.",
			HelpDescription: "Takes what a write of the policy takes and shows what would change: of the policy, and for each bound key when it " +
				"rotates, what would be due at once, and which rules it would no longer meet. Nothing is written. " + inPages,
		},
		{
			Pattern:      name + "/drift",
			DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationSuffix: "policy-drift"},
			Fields:       fields(fPolicyName, fAfterKey, fKeyLimit),
			Operations: map[logical.Operation]framework.OperationHandler{
				logical.ReadOperation: &framework.PathOperation{
					Callback: b.handleStrict(b.readDrift), Summary: "Read which bound keys do not meet the policy, and why.",
					Responses: ok("The keys that do not meet the policy.", driftFields),
				},
			},
			HelpSynopsis:    "Keys that do not meet their policy.",
			HelpDescription: "Checks the bound keys against the revision in force: type, strength, flags, lateness of the rotation. " + inPages,
		},
	}
}

// keyPage reads which of the bound keys are asked for.
func keyPage(c *request) (engine.Page, error) {
	limit, err := pageOf(c, 100, 1000)
	return engine.Page{After: fAfterKey.get(c), Limit: limit}, err
}

func (b *backend) planPolicy(ctx context.Context, c *request) (*logical.Response, error) {
	page, err := keyPage(c)
	if err != nil {
		return nil, err
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	plan, err := b.engine.PlanPolicy(ctx, c.store, fPolicyName.get(c), c.edit, page)
	if err != nil {
		return nil, err
	}
	if err := lifecycle.CheckRevision(pre.CAS, plan.Before.Revision); err != nil {
		return nil, err
	}
	keys := make([]map[string]any, len(plan.Keys))
	due, drifting, newly := 0, 0, 0
	for i, k := range plan.Keys {
		becomes, stays, ends := k.Compliance()
		due += count(k.After.Due())
		drifting += count(len(k.After.Findings) > 0)
		newly += count(len(becomes) > 0 && len(stays) == 0)
		keys[i] = map[string]any{
			"name": k.Name, "due_now": k.After.Due(),
			"next_rotation_time":    fromTo(timeText(k.Before.Plan.Next), timeText(k.After.Plan.Next)),
			"rotation_status":       fromTo(string(k.Before.Plan.Status), string(k.After.Plan.Status)),
			"next_event":            fromTo(entryData(k.Before.First), entryData(k.After.First)),
			"becomes_non_compliant": findingsData(becomes), "stays_non_compliant": findingsData(stays), "becomes_compliant": findingsData(ends),
		}
	}
	return &logical.Response{Data: map[string]any{
		"name": plan.After.Name, "changes": differences(plan.Before, plan.After), "revision": plan.After.Revision, "hash": plan.After.Hash,
		"keys_bound": plan.Bound, "keys": keys, "next": plan.Next,
		"summary": map[string]any{"keys": len(keys), "due_now": due, "non_compliant": drifting, "becomes_non_compliant": newly},
	}}, nil
}

func (b *backend) readDrift(ctx context.Context, c *request) (*logical.Response, error) {
	page, err := keyPage(c)
	if err != nil {
		return nil, err
	}
	drift, err := b.engine.DriftOf(ctx, c.store, fPolicyName.get(c), page)
	if err != nil {
		return nil, err
	}
	keys := make([]map[string]any, len(drift.Drifting))
	for i, k := range drift.Drifting {
		keys[i] = map[string]any{"name": k.Name, "findings": findingsData(k.Findings)}
	}
	return &logical.Response{Data: map[string]any{
		"name": drift.Policy.Name, "revision": drift.Policy.Revision, "keys_bound": drift.Bound, "checked": drift.Checked,
		"keys": keys, "next": drift.Next,
	}}, nil
}

// differences are the fields in which two revisions differ.
func differences(before, after lifecycle.Policy) map[string]any {
	changes := map[string]any{}
	from, to := contentOf(before.Document), contentOf(after.Document)
	from[fDocument.name], to[fDocument.name] = before.Source, after.Source
	for name, value := range to {
		if !reflect.DeepEqual(from[name], value) {
			changes[name] = fromTo(from[name], value)
		}
	}
	return changes
}

func fromTo(from, to any) map[string]any { return map[string]any{"from": from, "to": to} }

func findingsData(findings []lifecycle.Finding) []map[string]any {
	list := make([]map[string]any, len(findings))
	for i, f := range findings {
		list[i] = map[string]any{"field": f.Field, "value": f.Value, "rule": f.Rule}
	}
	return list
}

// entryData shows a thing that the clock will do; nil: there is none.
func entryData(entry *lifecycle.Pending) any {
	if entry == nil {
		return nil
	}
	return map[string]any{"time": timeText(entry.At), "act": string(entry.Op), "version": entry.Version}
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}
