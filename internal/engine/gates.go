// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// permitConfigure asks for consent to what a change of settings loosens, under the policy that the key had.
func (s Keys) permitConfigure(
	ctx context.Context, k, next lifecycle.Key, was, after *policy.Policy, pre Precondition, event lifecycle.Event,
) (lifecycle.Event, error) {
	var ruled []acts.Gate
	gates := loosened(k, next, was, after)
	if was == nil && k.Policy != "" && len(gates) > 0 {
		_, err := s.demanded(ctx, &k) // nobody knows whose consent it needs; to leave the policy is the way out, and is not among them
		return event, err
	}
	for _, gate := range gates {
		if _, found := was.Approval(gate); found {
			ruled = append(ruled, gate)
		}
	}
	switch len(ruled) {
	case 0:
		return event, nil
	case 1:
	default:
		return event, refusal.Refusedf("the request needs consent to %s and to %s, which are asked for one at a time", ruled[0], ruled[1])
	}
	g := ofKey(ruled[0], &k, was, pre)
	g.parameters = lifecycle.Differences(k, next)
	if texts := textsOf(next); texts != textsOf(k) {
		g = g.with("texts", digestOf(texts))
	}
	return s.gate().permitKey(ctx, &k, g, event)
}

// textsOf returns the settings of which the differences show long ones shortened: consent is to the whole of them.
func textsOf(k lifecycle.Key) string { return fmt.Sprintf("%q %q", k.Owner, k.Labels) }

// loosened returns the gates that a change of settings passes.
func loosened(k, next lifecycle.Key, was, after *policy.Policy) (gates []acts.Gate) {
	if next.MinDecryption < k.MinDecryption { // the versions between decrypt again
		gates = append(gates, acts.GateRecover)
	}
	raised := func(before, now bool) bool { return now && !before }
	if raised(k.DeletionAllowed, next.DeletionAllowed) || raised(k.Exportable, next.Exportable) || raised(k.AllowPlaintextBackup, next.AllowPlaintextBackup) {
		gates = append(gates, acts.GateConfigure)
	}
	if next.Policy != k.Policy && len(policy.LooserThan(was, after)) > 0 {
		gates = append(gates, acts.GateRebind)
	}
	return gates
}

// permitPolicy asks for consent to a revision that is looser than the one in force, under the rule of that one. The end of a policy
// is looser than any revision; next is nil then.
func (s Policies) permitPolicy(ctx context.Context, current, next *policy.Policy, pre Precondition, event lifecycle.Event) (lifecycle.Event, error) {
	if current == nil || len(policy.LooserThan(current, next)) == 0 {
		return event, nil
	}
	g := ofPolicy(current, pre)
	if next != nil {
		g = g.with("hash", next.Hash).with("source", digestOf(next.Source)).with("description", next.Description)
	} else {
		g = g.with("delete", "true")
	}
	return s.gate().permit(ctx, g, event)
}

// permit asks for consent to the leaving of material.
func (e *exporting) permit(ctx context.Context, p *Prepared, k *lifecycle.Key, of *policy.Policy, event lifecycle.Event) (lifecycle.Event, error) {
	g := ofKey(acts.GateExport, k, of, Precondition{Reason: e.Reason})
	g = g.with("kind", string(e.Kind)).with("versions", e.Version).with("encoding", string(e.Encoding))
	for name, text := range e.details {
		g = g.with(name, text)
	}
	return p.gate().permitKey(ctx, k, g, event)
}

// permitImport asks for consent to a key that is imported, under the policy that it gets.
func (s Keys) permitImport(ctx context.Context, k lifecycle.Key, in Creation, p *policy.Policy, event lifecycle.Event) (lifecycle.Event, error) {
	if in.from == nil {
		return event, nil
	}
	g := ofKey(acts.GateImport, &k, p, in.Precondition).with("policy", k.Policy).with("type", string(k.Type))
	return s.gate().permitKey(ctx, &k, g.with("fingerprint", in.from.material.Fingerprint()), event)
}

// permitRestore asks for consent to a key of a backup, under the policy that it gets.
func (s Transfers) permitRestore(ctx context.Context, k lifecycle.Key, in Restoring, g gated) (event lifecycle.Event, err error) {
	g = g.with("policy", k.Policy).with("backup", digestOf(in.Backup))
	if in.Force {
		g = g.with("force", "true")
	}
	return s.gate().permitKey(ctx, &k, g, event)
}

// permitMount asks for consent to an act on the mount, under its own rule.
func (s gate) permitMount(ctx context.Context, gate acts.Gate, parameters map[string]string, pre Precondition, event lifecycle.Event) (lifecycle.Event, error) {
	settings, err := s.store.Approvers.ApprovalSettings(ctx)
	if err != nil {
		return event, err
	}
	return s.permitUnder(ctx, settings, gate, parameters, pre, event)
}

// permitUnder is [gate.permitMount] for who has read the settings.
func (s gate) permitUnder(
	ctx context.Context, settings consent.Settings, gate acts.Gate, parameters map[string]string, pre Precondition, event lifecycle.Event,
) (lifecycle.Event, error) {
	rule, ruled := settings.Approvals[gate]
	if !ruled {
		return event, nil
	}
	g := gated{gate: gate, subject: consent.Subject{Scope: acts.Mount}, revision: settings.Revision, parameters: parameters, Precondition: pre}
	event, err := s.permitRuled(ctx, g, rule, event)
	return event, refusal.Because(refusal.ByApproval, err)
}

// permitConfig asks for consent to a change of settings of the mount; one that changes nothing needs none.
func (s Settings) permitConfig(ctx context.Context, event lifecycle.Event, pre Precondition) (lifecycle.Event, error) {
	if len(event.Details) == 0 {
		return event, nil
	}
	return s.gate().permitMount(ctx, acts.GateConfig, event.Details, pre, event)
}

// Consented asks for consent to an act on the mount that another package does, before it does it: what the event tells of it is
// what is consented to.
func (s Settings) Consented(ctx context.Context, gate acts.Gate, event lifecycle.Event) (lifecycle.Event, error) {
	event, err := s.gate().permitMount(ctx, gate, event.Details, Precondition{Reason: event.Reason}, event)
	return event, s.gate().filed(ctx, err)
}

// ofPolicy returns an act on a policy, under its own rule.
func ofPolicy(p *policy.Policy, pre Precondition) gated {
	return gated{
		gate: acts.GatePolicy, subject: consent.Subject{Scope: acts.Policy, Name: p.Name}, revision: p.Revision, policy: p,
		creator: func(context.Context) (string, error) { return p.Author, nil }, Precondition: pre,
	}
}

// digestOf names a text that is too long, or too secret, to be shown.
func digestOf(text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
