// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file is the one gate that acts by hand pass: when all else lets the act go on, and before anything is made for it. Under the
// lock of what the act is on, people's consent is looked up; where it is lacking the act ends, and what was asked for is filed as a
// request. Nothing but the gate asks for consent.

// Caller is who asks, as Vault says.
type Caller struct {
	Entity    string // id; empty: a token without one
	Name      string
	RequestID string    // Vault's, which its audit log has; empty: nobody asked
	Began     time.Time // when the request came; zero: it is not known
	Approval  *string   // is set to the id of the one that an act used last
}

// gate is what acts by hand pass.
type gate struct{ Approvals }

func (s *Session) gate() gate { return gate{s.Approvals()} }

// gated is an act at the gate.
type gated struct {
	gate       acts.Gate
	subject    consent.Subject
	version    int // of the key; 0: none in particular
	revision   int
	policy     *policy.Policy // whose rule asks; nil: the mount's
	parameters map[string]string
	creator    func(ctx context.Context) (string, error) // who made what it is about; nil: nobody knows
	Precondition
}

// ofKey returns an act on a key, under the policy that governs it.
func ofKey(gate acts.Gate, k *lifecycle.Key, p *policy.Policy, pre Precondition) gated {
	return gated{
		gate: gate, subject: consent.Subject{Scope: acts.Key, Name: k.Name, KeyID: k.ID}, revision: k.Revision, policy: p,
		creator: func(context.Context) (string, error) { return k.CreatedBy, nil }, Precondition: pre,
	}
}

// ofVersion makes it one on a version, or on the whole key where n is 0.
func (g gated) ofVersion(s *Session, n int) gated {
	if n == 0 {
		return g
	}
	g.version, g.creator = n, func(ctx context.Context) (string, error) {
		v, err := s.store.Versions.Version(ctx, g.subject.Name, n)
		if errors.Is(err, refusal.ErrNotFound) {
			return "", nil
		}
		return v.CreatedBy, err
	}
	return g
}

// with adds a parameter of the act; an empty text adds none.
func (g gated) with(name, text string) gated {
	if text == "" {
		return g
	}
	all := map[string]string{name: text}
	for name, text := range g.parameters {
		all[name] = text
	}
	g.parameters = all
	return g
}

// permitKey is [gate.permit] for an act on a key. Where the policy that the key names says nothing, nobody knows whose consent the
// act needs, and it is refused.
func (s gate) permitKey(ctx context.Context, k *lifecycle.Key, g gated, event lifecycle.Event) (lifecycle.Event, error) {
	if g.policy == nil {
		p, err := s.demanded(ctx, k)
		if err != nil {
			return event, err
		}
		g.policy = p
	}
	if g.policy == nil { // none governs the key
		return event, nil
	}
	return s.permit(ctx, g, event)
}

// permit returns the event of an act under a policy with the consent to it, where a rule of that asks for it. It costs nothing where
// none does. The error is [refusal.ErrConsent], and a [lacking], where consent is to be asked for.
func (s gate) permit(ctx context.Context, g gated, event lifecycle.Event) (lifecycle.Event, error) {
	rule, ruled := g.policy.Approval(g.gate)
	if !ruled {
		return event, nil
	}
	event, err := s.permitRuled(ctx, g, rule, event)
	return event, refusal.Because(refusal.ByApproval, err)
}

// permitRuled is permit for an act that a rule asks for consent to.
func (s gate) permitRuled(ctx context.Context, g gated, rule consent.Rule, event lifecycle.Event) (lifecycle.Event, error) {
	if g.BreakGlass {
		return s.Reviews().breakGlass(ctx, g, rule, event)
	}
	if s.store.Caller.Entity == "" {
		return event, refusal.Refusedf("%s needs %s (%s): a token without an entity cannot ask, or be told from others; log in", g, rule, g.source())
	}
	if rule.NotCreator {
		return event, s.checkNotCreator(ctx, g, rule)
	}
	const least = 10
	if len(strings.TrimSpace(g.Reason)) < least {
		return event, refusal.InvalidField("reason", g.Reason, fmt.Sprintf("%s needs %s (%s), who are told the reason: at least %d bytes", g, rule, g.source(), least))
	}
	c, err := s.consider(ctx, g, rule)
	if err != nil {
		return event, err
	}
	return s.decideConsent(ctx, g, c, event)
}

func (s gate) checkNotCreator(ctx context.Context, g gated, rule consent.Rule) error {
	creator, err := g.creator(ctx)
	if err != nil || creator != s.store.Caller.Entity {
		return err
	}
	return refusal.Refusedf("%s needs another person than who made it (%s: %s), and that was you", g, g.source(), rule)
}

// String says what the act is, to people.
func (g gated) String() string {
	switch {
	case g.subject.Scope == acts.Mount:
		return string(g.gate) + " of the mount"
	case g.subject.Scope == acts.Policy:
		return fmt.Sprintf("a looser revision, or the end, of policy %q", g.subject.Name)
	case g.version > 0:
		return fmt.Sprintf("%s of version %d of key %q", g.gate, g.version, g.subject.Name)
	default:
		return fmt.Sprintf("%s of key %q", g.gate, g.subject.Name)
	}
}

// source says where the rule is.
func (g gated) source() string {
	if g.policy == nil {
		return "config/approvals"
	}
	return fmt.Sprintf("policy %q, revision %d", g.policy.Name, g.policy.Revision)
}

// content is what the act is, whole.
func (g gated) content(instance string, by Caller) consent.Content {
	c := consent.Content{
		Instance: instance, Operation: g.gate, Subject: g.subject, Version: g.version, Revision: g.revision,
		Parameters: g.parameters, Reason: g.Reason, Requester: by.Entity,
	}
	if g.policy != nil {
		c.Policy = consent.Policy{Name: g.policy.Name, Revision: g.policy.Revision, Hash: g.policy.Hash}
	}
	return c
}

// considered is an act with what is known of the consent to it.
type considered struct {
	rule    consent.Rule
	request consent.Request // as it is, or as it would be filed
	state   consent.State   // empty: it was never asked for
	at      situation
	votes   tally
}

// consider looks up the request for an act.
func (s gate) consider(ctx context.Context, g gated, rule consent.Rule) (c considered, err error) {
	c.rule = rule
	if c.at, err = s.situation(ctx); err != nil {
		return c, err
	}
	instance, err := s.store.Approvals.Instance(ctx)
	if err != nil {
		return c, err
	}
	content := g.content(instance, s.store.Caller)
	digest := content.Digest()
	c.request, err = s.store.Approvals.Request(ctx, consent.IDOf(digest))
	switch {
	case errors.Is(err, refusal.ErrNotFound):
		c.request, err = s.newRequest(ctx, g, rule, content, c.at)
		return c, err
	case errors.Is(err, refusal.ErrUnreadable):
		return c, refusal.Refusedf("%v: give another reason, to ask anew", err)
	case err != nil:
		return c, err
	case c.request.Digest != digest:
		return c, refusal.Refusedf("another request has the id %s: give another reason", c.request.ID())
	}
	c.state, c.votes, err = s.stateOf(ctx, c.request, c.at, false)
	return c, err
}

// newRequest is the request as it is filed.
func (s gate) newRequest(ctx context.Context, g gated, rule consent.Rule, content consent.Content, at situation) (r consent.Request, err error) {
	r = consent.Request{
		Content: content, Digest: content.Digest(), Round: 1, Rule: rule, Created: at.now, Clock: at.clock.Acknowledged,
		ApproveFor: consent.DefaultApprovalTTL, ExecuteFor: consent.DefaultExecutionTTL, Exclude: []consent.Exclusion{consent.ExcludeRequester, consent.ExcludeCreator},
	}
	if g.policy != nil {
		r.ApproveFor, r.ExecuteFor, r.Exclude = g.policy.ApprovalTTL(), g.policy.ExecutionTTL(), g.policy.ApprovalExclude
		r.Author = g.policy.Author
	}
	if r.Requester, err = at.who.nameOf(ctx, s.store.Caller); err != nil || g.creator == nil {
		return r, err
	}
	r.Creator, err = g.creator(ctx)
	return r, err
}

// decideConsent says whether the act goes on.
func (s gate) decideConsent(ctx context.Context, g gated, c considered, event lifecycle.Event) (lifecycle.Event, error) {
	r := c.request
	switch c.state {
	case consent.Approved:
		if why := c.at.frozen; why != "" && g.gate != acts.GateClock {
			return event, refusal.Refusedf("%s is approved (%s), and is not carried out while the clock cannot be trusted: %s", g, r.ID(), why)
		}
		event.Consent, *s.store.Caller.Approval = r.ID(), r.ID()
		return event.With(approvalDetail, r.ID()).With("approvers", strings.Join(c.votes.who, ", ")).With("approver_ids", strings.Join(c.votes.ids, ", ")), nil
	case consent.Pending:
		return event, &lacking{gated: g, considered: c}
	case consent.Denied, consent.Withdrawn:
		if again := laterOf(r.Denied, r.Withdrawn).Add(r.ApproveFor); c.at.now.Before(again) {
			return event, refusal.Refusedf("%s was asked for as %s and %s (%s); it may be asked for again after %s", g, r.ID(), c.state, r.Closing, utc(again))
		}
	}
	next, err := s.newRequest(ctx, g, c.rule, r.Content, c.at)
	next.Round = r.Round
	if c.state != "" {
		next.Round++
	}
	c.request = next
	return event, cmp.Or(err, error(&lacking{gated: g, considered: c}))
}

const approvalDetail = "approval" // the detail of a custody record that names the request

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func utc(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// lacking ends an act to which people have not consented, or not yet.
type lacking struct {
	gated
	considered
	close *consent.Request // of the same person, approved for nearly the same; nil: there is none
}

// Error is what a caller is told: what is needed, and what to do.
func (l *lacking) Error() string {
	r := l.request
	text := fmt.Sprintf("approval needed: %s needs %s (%s), %d so far. Request %s is open until %s; when it is approved, repeat this command",
		l.gated, r.Rule, l.source(), len(l.votes.who), r.ID(), utc(r.OpenUntil()))
	if l.close == nil {
		return text
	}
	d := l.close.Content.Difference(r.Content)
	return fmt.Sprintf("%s. Request %s was approved, and differs in %s: %s there, %s here", text, l.close.ID(), d.Field, shortened(d.Of), shortened(d.Other))
}

// shortened quotes a text, of a long one the beginning.
func shortened(text string) string {
	const most = 64
	if len(text) <= most {
		return strconv.Quote(text)
	}
	return strconv.Quote(strings.ToValidUTF8(text[:most], "")) + "..."
}

// Is makes it a [refusal.ErrConsent].
func (l *lacking) Is(target error) bool { return target == refusal.ErrConsent }

// filed files what an act lacks, if that is why it ended. The error says what the caller is told.
func (s gate) filed(ctx context.Context, err error) error {
	var l *lacking
	if !errors.As(err, &l) {
		return err
	}
	r := l.request
	others, fault := s.others(ctx, r)
	if fault != nil {
		return fault
	}
	l.close = s.closest(ctx, r, others, l.at)
	if l.state == consent.Pending {
		return err
	}
	if tooMany := s.checkRoom(ctx, r, others, l.at); tooMany != nil {
		return tooMany
	}
	defer s.governance.askedAnew(r.ID())
	event := consentEvent(acts.RequestApproval, r, r.Content.Reason)
	_, fault = s.store.Approvals.ChangeRequest(ctx, r.ID(), r.Content.Subject, func(now *consent.Request) (consent.Request, lifecycle.Event, error) {
		if now != nil && now.Round >= r.Round { // it came twice at once
			return *now, event, nil
		}
		return r, event, nil
	})
	if fault != nil {
		return fault
	}
	s.Log.Info("approval requested", "request", r.ID(), "operation", string(r.Content.Operation), "subject", r.Content.Subject.Name, "requester", r.Requester, "needs", r.Rule.String())
	return err
}

// consentEvent is what custody keeps of a step of a request.
func consentEvent(act acts.Name, r consent.Request, reason string) lifecycle.Event {
	event := lifecycle.Event{Act: string(act), Reason: reason, Policy: r.Content.Policy.Name, PolicyRevision: r.Content.Policy.Revision, Details: map[string]string{
		approvalDetail: r.ID(), "digest": r.Digest, "operation": string(r.Content.Operation), "round": fmt.Sprint(r.Round), "needs": r.Rule.String(),
	}}
	if v := r.Content.Version; v > 0 {
		event = event.With("version", fmt.Sprint(v))
	}
	return event
}
