// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/uses"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

const (
	entitiesShown = 100 // in a page, unless limit says otherwise
	entitiesMost  = 1000
	keysOfEntity  = 1000 // shown of each
)

var (
	fUnusedFor     = vaultapi.Seconds("unused_for", "What was not used for so long is stale.").Or(int(policy.DefaultReviewEvery / time.Second)).Query()
	fAccessKey     = vaultapi.Text("key", "Only what was done with this key: its name, or its id. Empty: all keys.").Query()
	fAccessEntity  = vaultapi.Text("entity", "Only this entity: its id, none (tokens without an entity) or others (what there was no room for in memory). Empty: all.").Query()
	fAfterEntity   = vaultapi.Text("after", "The id of the last entity of the page before.").Query()
	fEntities      = vaultapi.List("entities", "The entities that did something, or have enrolled as approvers, each with the keys: entity, name, known and disabled (both from Vault), alive, groups, stale, keys, keys_total, approver; of an approver enrolled_time, votes, last_vote_time, never_voted.")
	fVotesSince    = vaultapi.Text("votes_since", "No request for consent that was filed since then is dropped, RFC 3339; of older ones those that are kept count in votes. Empty: no approver is shown.")
	fNextEntity    = vaultapi.Text("next", "What to pass as after to go on, where more follows.")
	fAttested      = vaultapi.Text("attested_time", "When somebody attested a review last, RFC 3339; empty: never.")
	fReviewDueTime = vaultapi.Text("due_time", "When the next one is due, RFC 3339; empty: now, as there was none.")
	fReviewDue     = vaultapi.Bool("due", "A review is due.")
	fNotShown      = vaultapi.Strings("not_shown", "What this engine cannot see, or did not count.")
)

// accessAPI serves who uses which keys.
type accessAPI struct{}

func (a accessAPI) paths() []path {
	return []path{
		{
			Pattern: "access-review/?$", ID: vaultapi.ID{Suffix: "access-review"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fUnusedFor, fAccessKey, fAccessEntity, fAfterEntity, vaultapi.Limit),
			Operations: operations{logical.ReadOperation: {
				Handle: a.read, Summary: "Read which entities use which keys, and which do not any more.", Answer: "Who did what.",
				Fields: vaultapi.FieldsOf(fEntities, fNextEntity, fVotesSince, fAttested, fReviewDueTime, fReviewDue, fNotShown),
			}},
			Synopsis: "Who uses which keys.",
			Description: "Entities that used a key, acted on one, or were denied by the state of a version: what each did with which key, first and " +
				"last on which day, how often, and the most in an hour of each of 14 days. Where no key is asked for, those who have enrolled as " +
				"approvers, too, and in how many requests each has voted. Who could use a key and did not, Vault does not show to " +
				"plugins; not_shown says so. With limit, a page; after takes the last entity of the page before.",
		},
		{
			Pattern: "access-review/attest", ID: vaultapi.ID{Verb: "attest", Suffix: "access-review"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fReason),
			Operations: operations{logical.UpdateOperation: {
				Handle: a.attest, Summary: "Say that somebody has reviewed who uses which keys.", Answer: "When the next review is due.",
				Fields: vaultapi.FieldsOf(fAttested, fReviewDueTime, fReviewDue),
			}},
			Synopsis:    "Attest an access review.",
			Description: "Custody keeps who it was, when and why, in the chain of the mount. The next review is due after access_review_every of config/engine.",
		},
	}
}

func (a accessAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	q, err := queryOf(c)
	if err != nil {
		return nil, err
	}
	g, err := c.Settings().Governance(ctx)
	if err != nil {
		return nil, err
	}
	who, err := electorateOf(ctx, c)
	if err != nil {
		return nil, err
	}
	q.Also = slices.Collect(maps.Keys(who.since))
	review, err := c.Uses().Review(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := who.count(ctx, c, review); err != nil {
		return nil, err
	}
	next := ""
	if review.More {
		next = review.Entities[len(review.Entities)-1].ID
	}
	return vaultapi.Data(append(attestation(g, c.b.engine.Now()),
		fEntities.Is(vaultapi.Rows(review.Entities, who.reviewedData)), fNextEntity.Is(next),
		fVotesSince.Is(vaultapi.Time(who.votes.Since)), fNotShown.Is(append(notShown(review), who.notShown()...)))...), nil
}

func queryOf(c *request) (q uses.Query, err error) {
	q = uses.Query{
		UnusedFor: time.Duration(fUnusedFor.Get(c)) * time.Second,
		Key:       fAccessKey.Get(c), Entity: fAccessEntity.Get(c), After: fAfterEntity.Get(c),
	}
	if q.UnusedFor < 0 {
		return q, vaultapi.InvalidField(fUnusedFor.Name, fUnusedFor.Get(c), "must not be negative")
	}
	q.Limit, err = vaultapi.PageSize(c, entitiesShown, entitiesMost)
	return q, err
}

func (a accessAPI) attest(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	if pre.Reason == "" {
		return nil, vaultapi.InvalidField(fReason.Name, "", "must say who looked at what")
	}
	g, err := c.Settings().AttestAccess(ctx, pre.Reason)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(attestation(g, c.b.engine.Now())...), nil
}

// attestation shows when somebody reviewed, and when somebody has to again.
func attestation(g policy.Governance, now time.Time) []vaultapi.Value {
	due := g.ReviewDue()
	return []vaultapi.Value{
		fAttested.Is(vaultapi.Time(g.Reviewed)), fReviewDueTime.Is(vaultapi.Time(due)), fReviewDue.Is(!now.Before(due)),
	}
}

func (w electorate) reviewedData(e uses.Reviewed) map[string]any {
	data := map[string]any{
		"entity": e.ID, "name": e.Name, "known": e.Known, "disabled": e.Disabled, "alive": e.Known && !e.Disabled,
		"groups": append([]string{}, e.Groups...), "stale": e.Stale, "keys_total": len(e.Keys),
		"keys": vaultapi.Rows(e.Keys[:min(len(e.Keys), keysOfEntity)], accessData),
	}
	if !uses.IsEntity(e.ID) {
		for _, field := range []string{"known", "disabled", "alive"} {
			delete(data, field)
		}
		return data
	}
	maps.Copy(data, w.votesData(e.ID))
	return data
}

func accessData(a uses.KeyAccess) map[string]any {
	data := map[string]any{"key": a.Name, "key_id": a.KeyID, "stale": a.Stale}
	for kind, did := range a.Kinds {
		data[string(kind)] = map[string]any{
			"first": did.First.String(), "last": did.Last.String(), "count": did.Sum, "busiest_hours": append([]int64{}, did.Peaks...),
		}
	}
	return data
}

// notShown says what is not in a review: nobody must take it for all there is.
func notShown(r uses.Review) []string {
	list := []string{
		"who could use a key and did not: Vault shows neither policies nor roles nor tokens to plugins; see docs/access-review.md",
		"requests that Vault's policies refuse: they do not come as far as here",
		"uses that performance standbys, and standbys of OpenBao, have served: they stay in the memory of those nodes",
		"uses since the last time that they were stored, up to a day, where the plugin was ended without warning",
		"votes of who has not enrolled as an approver, and votes in requests for consent that were dropped: 90 days after they were filed, or later",
	}
	if r.Off {
		list = append(list, "anything since access_ledger of config/engine is false")
	}
	if r.Dropped > 0 {
		list = append(list, fmt.Sprintf("%d pairs of an entity and a key that were not active for longest, which gave way to others", r.Dropped))
	}
	if r.Missed > 0 {
		list = append(list, fmt.Sprintf("%d requests since the plugin was started, which found no room in memory", r.Missed))
	}
	return list
}
