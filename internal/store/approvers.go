// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// approversPath is one record for all enrolments. They are few, they are read together, and the acts on them commit as those
// on settings do: with a record that stays.
const approversPath = "config/approvers"

// approversRecord is config/approvers.
type approversRecord struct {
	Schema    int               `json:"schema"`
	Approvers []enrolmentRecord `json:"approvers"` // in the order of the entities
	journaled
}

type enrolmentRecord struct {
	Entity       string    `json:"entity"`
	Since        time.Time `json:"since"`
	Founder      bool      `json:"founder"`
	Acknowledged time.Time `json:"acknowledged"`
	DutiesHash   string    `json:"duties_hash"`
}

// Enrolment returns the enrolment of an entity, or [refusal.ErrNotFound].
func (r Approvers) Enrolment(ctx context.Context, entity string) (consent.Enrolment, error) {
	rec, _, err := r.approvers(ctx)
	if err != nil {
		return consent.Enrolment{}, err
	}
	at, found := rec.find(entity)
	if !found {
		return consent.Enrolment{}, noApprover(entity)
	}
	return consent.Enrolment(rec.Approvers[at]), nil
}

// Enrolments returns all of them, in the order of the entities. The error is [refusal.ErrUnreadable] where the record is damaged, or of a
// newer release.
func (r Approvers) Enrolments(ctx context.Context) ([]consent.Enrolment, error) {
	rec, _, err := r.approvers(ctx)
	all := make([]consent.Enrolment, len(rec.Approvers))
	for i, e := range rec.Approvers {
		all[i] = consent.Enrolment(e)
	}
	return all, err
}

// PutEnrolment commits what change makes of the enrolment of an entity, as one Put between the two custody records of the event;
// current is nil where it has none. An error of change comes back as it is.
func (r Approvers) PutEnrolment(
	ctx context.Context, entity string, change func(current *consent.Enrolment) (consent.Enrolment, lifecycle.Event, error),
) (consent.Enrolment, error) {
	var next consent.Enrolment
	err := r.changeApprovers(ctx, func(rec *approversRecord) (event lifecycle.Event, err error) {
		at, found := rec.find(entity)
		var current *consent.Enrolment
		if found {
			was := consent.Enrolment(rec.Approvers[at])
			current = &was
		}
		if next, event, err = change(current); err != nil {
			return event, err
		}
		if found {
			rec.Approvers[at] = enrolmentRecord(next)
		} else {
			rec.Approvers = slices.Insert(rec.Approvers, at, enrolmentRecord(next))
		}
		return event, nil
	})
	return next, err
}

// DeleteEnrolment commits that an entity is no approver any more, or returns [refusal.ErrNotFound].
func (r Approvers) DeleteEnrolment(ctx context.Context, entity string, event lifecycle.Event) error {
	return r.changeApprovers(ctx, func(rec *approversRecord) (lifecycle.Event, error) {
		at, found := rec.find(entity)
		if !found {
			return event, noApprover(entity)
		}
		rec.Approvers = slices.Delete(rec.Approvers, at, at+1)
		return event, nil
	})
}

// changeApprovers commits a change of the record.
func (r Approvers) changeApprovers(ctx context.Context, change func(*approversRecord) (lifecycle.Event, error)) error {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return err
	}
	defer unlock()
	var rec approversRecord
	var event lifecycle.Event
	var rest unknown
	if _, err := r.decided(ctx, func() (write bool, err error) {
		if rec, rest, err = r.approvers(ctx); err != nil {
			return false, err
		}
		event, err = change(&rec)
		return true, err
	}); err != nil {
		return err
	}
	return Journals(r).onMount(ctx, event, func(ctx context.Context, begun journaled) error {
		rec.Schema, rec.journaled = schema, begun
		return r.put(ctx, approversPath, rec, rest)
	})
}

func (r Approvers) approvers(ctx context.Context) (rec approversRecord, rest unknown, err error) {
	rest, _, err = read(ctx, r.conn, approversPath, &rec)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewerSchema) {
		err = refusal.UnreadableApprovers(err)
	}
	return rec, rest, err
}

// find returns where the enrolment of an entity is, or belongs.
func (r *approversRecord) find(entity string) (at int, found bool) {
	return slices.BinarySearchFunc(r.Approvers, entity, func(e enrolmentRecord, entity string) int { return cmp.Compare(e.Entity, entity) })
}

func noApprover(entity string) error {
	return fmt.Errorf("entity %q has not enrolled as an approver: %w", entity, refusal.ErrNotFound)
}
