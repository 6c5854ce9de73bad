// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"cmp"
	"context"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// Directory knows the people of Vault's identity, as they are at the moment. Nothing it says is kept.
type Directory interface {
	// Person returns an entity with its groups. One that is not there is no error: the person is Gone.
	Person(ctx context.Context, entity string) (consent.Person, error)
}

// ApproverStore stores who has enrolled as an approver, and the settings of the mount about consent. Each change is an act on
// the mount. After an error of a writing method the outcome is unknown until it is read again.
type ApproverStore interface {
	// Enrolment returns that of an entity, or refusal.ErrNotFound.
	Enrolment(ctx context.Context, entity string) (consent.Enrolment, error)
	// Enrolments returns all of them, in the order of the entities, or refusal.ErrUnreadable. Any other error is of storage.
	Enrolments(ctx context.Context) ([]consent.Enrolment, error)
	// PutEnrolment commits what change makes of the enrolment of an entity; current is nil where it has none. An error of change
	// comes back as it is and nothing is written.
	PutEnrolment(ctx context.Context, entity string,
		change func(current *consent.Enrolment) (consent.Enrolment, lifecycle.Event, error)) (consent.Enrolment, error)
	// DeleteEnrolment commits that an entity is no approver any more, or returns refusal.ErrNotFound.
	DeleteEnrolment(ctx context.Context, entity string, event lifecycle.Event) error

	// ApprovalSettings returns the settings; of a mount on which nobody has written them consent.DefaultSettings.
	ApprovalSettings(ctx context.Context) (consent.Settings, error)
	// SetApprovalSettings commits what change makes of them, as the next revision. Setting what is set writes nothing. An error
	// of change comes back as it is and nothing is written. It is refusal.ErrRepeated, beside the settings as they are, for a request
	// that was carried out already.
	SetApprovalSettings(ctx context.Context,
		change func(consent.Settings) (consent.Settings, lifecycle.Event, error)) (consent.Settings, error)
}

// approvers is who may consent: the settings, the enrolments, and the people. It asks for each of them when it is needed, and once,
// so it is for one decision.
type approvers struct {
	from       *Session
	settings   consent.Settings
	enrolments map[string]consent.Enrolment // nil: neither these nor the settings are read yet
	people     map[string]consent.Person
}

func (s Approvals) approversNow() *approvers {
	return &approvers{from: s.Session, people: map[string]consent.Person{}}
}

// read reads the settings and the enrolments.
func (a *approvers) read(ctx context.Context) error {
	if a.enrolments != nil {
		return nil
	}
	all, err := a.from.store.Approvers.Enrolments(ctx)
	if err != nil {
		return err
	}
	if a.settings, err = a.from.store.Approvers.ApprovalSettings(ctx); err != nil {
		return err
	}
	a.enrolments = make(map[string]consent.Enrolment, len(all))
	for _, e := range all {
		a.enrolments[e.Entity] = e
	}
	return nil
}

// person returns an entity as it is in the directory.
func (a *approvers) person(ctx context.Context, entity string) (consent.Person, error) {
	if p, known := a.people[entity]; known {
		return p, nil
	}
	p, err := a.from.store.Directory.Person(ctx, entity)
	if err == nil {
		a.people[entity] = p
	}
	return p, err
}

// nameOf returns what the directory calls a caller. Of a token without an entity, or with one that is gone, it is the token's name.
func (a *approvers) nameOf(ctx context.Context, c Caller) (string, error) {
	if c.Entity == "" {
		return c.Name, nil
	}
	p, err := a.person(ctx, c.Entity)
	return cmp.Or(p.Name, c.Name), err
}

// eligible looks a person up, and says why the person does not count for the request; empty: the person does.
func (a *approvers) eligible(ctx context.Context, r consent.Request, entity string, at time.Time) (consent.Person, string, error) {
	return a.judge(ctx, entity, func(p consent.Person, e *consent.Enrolment) string { return r.Counts(a.settings, p, e, at) })
}

// reviewer looks a person up, and says why the person may not close the review; empty: the person may.
func (a *approvers) reviewer(ctx context.Context, r consent.Review, entity string, at time.Time) (consent.Person, string, error) {
	return a.judge(ctx, entity, func(p consent.Person, e *consent.Enrolment) string { return r.WhyNot(a.settings, p, e, at) })
}

func (a *approvers) judge(ctx context.Context, entity string, whyNot func(consent.Person, *consent.Enrolment) string) (p consent.Person, why string, err error) {
	if err := a.read(ctx); err != nil {
		return p, "", err
	}
	if p, err = a.person(ctx, entity); err != nil {
		return p, "", err
	}
	e, enrolled := a.enrolments[entity]
	if !enrolled {
		return p, whyNot(p, nil), nil
	}
	return p, whyNot(p, &e), nil
}
