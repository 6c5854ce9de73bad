// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const (
	approvalsPrefix = "approvals/"
	approvalDetail  = "approval" // the detail of a custody record that names the request
)

// approvalRecord is approvals/<id>: a request for consent with its votes.
type approvalRecord struct {
	Schema int `json:"schema"`
	consent.Request
	journaled
}

// Request returns a request for consent, [refusal.ErrNotFound], or [refusal.ErrUnreadable] where the record is damaged, or of a newer
// release.
func (r Approvals) Request(ctx context.Context, id string) (consent.Request, error) {
	rec, _, found, err := r.approval(ctx, id)
	if err == nil && !found {
		err = refusal.NotFoundf("approval not found: there is no request %q", id)
	}
	return rec.Request, err
}

func (r Approvals) approval(ctx context.Context, id string) (rec approvalRecord, rest unknown, found bool, err error) {
	path := approvalsPrefix + id
	rest, found, err = read(ctx, r.conn, path, &rec)
	if err == nil && found && (!rec.Valid() || rec.ID() != id) {
		err = fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewerSchema) {
		err = refusal.UnreadableRequest(id, err)
	}
	return rec, rest, found, err
}

// RequestIDs returns the ids of all requests that are kept, in alphabetical order.
func (r Approvals) RequestIDs(ctx context.Context) ([]string, error) {
	return r.list(ctx, approvalsPrefix)
}

// ChangeRequest commits what change makes of a request, as one Put between the two custody records of the event, in the chain of
// what it is about, while no act on that runs. Now is nil where there is no request. What changes nothing writes nothing, and an
// error of change comes back as it is.
func (r Approvals) ChangeRequest(
	ctx context.Context, id string, about consent.Subject,
	change func(now *consent.Request) (consent.Request, lifecycle.Event, error),
) (consent.Request, error) {
	var next consent.Request
	var rest unknown
	err := r.changeApart(ctx, about, func() (write bool, event lifecycle.Event, err error) {
		rec, unread, found, err := r.approval(ctx, id)
		if err != nil {
			return false, event, err
		}
		rest = unread
		var now *consent.Request
		if found {
			copied := rec.Request
			now = &copied
		}
		next, event, err = change(now)
		return now == nil || !reflect.DeepEqual(next, rec.Request), event, err
	}, func(ctx context.Context, begun journaled) error {
		return r.put(ctx, approvalsPrefix+id, approvalRecord{Schema: schema, Request: next, journaled: begun}, rest)
	})
	return next, err
}

// changeApart commits a request or a review, as one Put between the two custody records of the event, in the chain of what it is about
// and while no act on that runs. An error of decide comes back as it is.
func (r Approvals) changeApart(
	ctx context.Context, about consent.Subject,
	decide func() (write bool, event lifecycle.Event, err error), put func(ctx context.Context, begun journaled) error,
) error {
	name, locked := r.chainOf(about)
	unlock, err := r.lock(ctx, locked, name)
	if err != nil {
		return err
	}
	defer unlock()
	var event lifecycle.Event
	write, err := r.decided(ctx, func() (write bool, err error) {
		write, event, err = decide()
		return write, err
	})
	if err != nil || !write {
		return err
	}
	return r.onChain(ctx, about, event, put)
}

// onChain does an act that commits with a request, in the chain of what the request is about.
func (r Approvals) onChain(
	ctx context.Context, about consent.Subject, event lifecycle.Event, do func(ctx context.Context, begun journaled) error,
) error {
	name := chainName(about)
	from, exists, err := Journals(r).named(ctx, name)
	if err != nil {
		return err
	}
	at, err := Journals(r).chainHead(ctx, name, from, exists)
	if err != nil {
		return err
	}
	_, err = Journals(r).recorded(ctx, act{chain: name, keyID: about.KeyID, event: event}, at, func(ctx context.Context, begun custody.Head) error {
		return do(ctx, journaled{begun.Count, begun.Hash})
	})
	return err
}

// chainName returns the chain of custody of what a request is about.
func chainName(about consent.Subject) string {
	switch about.Scope {
	case acts.Mount:
		return custody.MountChain
	case acts.Policy:
		return custody.PolicyChain(about.Name)
	default:
		return about.Name
	}
}

// chainOf returns what the acts on the subject are locked by.
func (r Approvals) chainOf(about consent.Subject) (name string, l *locks) {
	switch about.Scope {
	case acts.Mount:
		return custody.MountChain, &r.s.mount
	case acts.Policy:
		return about.Name, &r.s.policies
	default:
		return about.Name, &r.s.keys
	}
}

// noteExecution notes with which custody record the act that a request is for has begun; no id: people were not asked. It is
// written before what the act commits with, so that an act that took effect is known to have used its consent.
func (r Approvals) noteExecution(ctx context.Context, id string, begun custody.Head) error {
	if id == "" {
		return nil
	}
	rec, rest, found, err := r.approval(ctx, id)
	if err == nil && !found {
		err = fmt.Errorf("%s: %w", approvalsPrefix+id, refusal.ErrNotFound)
	}
	if err != nil {
		return err
	}
	used, err := r.Executed(ctx, rec.Request) // where the consent was looked up before the lock was taken
	if err != nil {
		return err
	}
	if used || rec.Approved.IsZero() || !rec.Denied.IsZero() || !rec.Withdrawn.IsZero() {
		return refusal.Refusedf("%s was used, or has ended, meanwhile; nothing was done", id)
	}
	rec.Began = begun.Count
	return r.put(ctx, approvalsPrefix+id, rec, rest)
}

// Executed reports whether the execution of a request took effect: custody says so, or what the act commits with names it.
func (r Approvals) Executed(ctx context.Context, of consent.Request) (bool, error) {
	return r.tookEffect(ctx, of.Content.Subject, of.Began)
}

// tookEffect reports whether an act did that began with this custody record; 0: none has begun.
func (r Approvals) tookEffect(ctx context.Context, about consent.Subject, began int) (bool, error) {
	if began == 0 {
		return false, nil
	}
	name := chainName(about)
	end, err := Journals(r).link(ctx, name, began+1) // nothing comes between the records of an act
	if err != nil {
		return false, err
	}
	if end != nil {
		return end.Of == began && end.Outcome == custody.Done, nil
	}
	from, exists, err := Journals(r).named(ctx, name)
	if errors.As(err, new(ChainBrokenError)) && about.Scope == acts.Policy {
		return false, nil // an act on a policy that took effect has replaced what cannot be read
	}
	if err != nil || exists {
		return exists && from.Count == began, err
	}
	begin, err := Journals(r).link(ctx, name, began)
	return begin != nil && begin.Act == string(acts.Delete), err
}

// DropRequest removes a request that has ended. Custody keeps what was asked and who voted.
func (r Approvals) DropRequest(ctx context.Context, id string) error {
	return r.delete(ctx, approvalsPrefix+id)
}

// Instance returns the identity of the mount's data. A mount has one as soon as a rule can be asked: the first act makes it.
func (r Approvals) Instance(ctx context.Context) (string, error) {
	return KEKs(r).instance(ctx)
}
