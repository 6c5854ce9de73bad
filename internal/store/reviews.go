// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"reflect"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const (
	reviewsPrefix = "reviews/"
	reviewDetail  = "review" // the detail of a custody record that names the review
)

// reviewRecord is reviews/<id>. The custody record that it names is that of who closed it; of the act itself Began is the number.
type reviewRecord struct {
	Schema int `json:"schema"`
	consent.Review
	journaled
}

// Review returns the review of an act by break-glass, or [refusal.ErrNotFound].
func (r Reviews) Review(ctx context.Context, id string) (consent.Review, error) {
	rec, _, err := r.review(ctx, id)
	return rec.Review, err
}

func (r Reviews) review(ctx context.Context, id string) (rec reviewRecord, rest unknown, err error) {
	path := reviewsPrefix + id
	rest, found, err := read(ctx, r.conn, path, &rec)
	switch {
	case err != nil:
	case !found:
		err = refusal.NotFoundf("review not found: there is none with the id %q", id)
	case rec.Digest != rec.Content.Digest() || rec.ID() != id:
		err = fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	return rec, rest, err
}

// ReviewIDs returns the ids of all reviews that are kept, in alphabetical order.
func (r Reviews) ReviewIDs(ctx context.Context) ([]string, error) { return r.list(ctx, reviewsPrefix) }

// note writes the review of an act that has begun; nil: it needs none. It is written before what the act commits with, so that an
// act that took effect always has its review. One of an earlier try, which did not, gives way.
func (r Reviews) note(ctx context.Context, review *consent.Review, begun custody.Head) error {
	if review == nil {
		return nil
	}
	rec := reviewRecord{Schema: schema, Review: *review}
	rec.Began = begun.Count
	return r.put(ctx, reviewsPrefix+rec.ID(), rec, nil)
}

// ChangeReview commits what change makes of a review, as one Put between the two custody records of the event, in the chain of what
// the act was done to, while no act on that runs. What changes nothing writes nothing, and an error of change comes back as it is.
func (r Reviews) ChangeReview(
	ctx context.Context, id string, about consent.Subject, change func(now consent.Review) (consent.Review, lifecycle.Event, error),
) (consent.Review, error) {
	var next consent.Review
	var rest unknown
	err := Approvals(r).changeApart(ctx, about, func() (write bool, event lifecycle.Event, err error) {
		var rec reviewRecord
		if rec, rest, err = r.review(ctx, id); err != nil {
			return false, event, err
		}
		next, event, err = change(rec.Review)
		return !reflect.DeepEqual(next, rec.Review), event, err
	}, func(ctx context.Context, begun journaled) error {
		return r.put(ctx, reviewsPrefix+id, reviewRecord{Schema: schema, Review: next, journaled: begun}, rest)
	})
	return next, err
}

// TookEffect reports whether the act that a review is of did: custody says so, or what the act commits with names it.
func (r Reviews) TookEffect(ctx context.Context, of consent.Review) (bool, error) {
	return Approvals(r).tookEffect(ctx, of.Content.Subject, of.Began)
}

// DropReview removes a review that was closed, or is void. Custody keeps what was done and who said what of it.
func (r Reviews) DropReview(ctx context.Context, id string) error {
	return r.delete(ctx, reviewsPrefix+id)
}
