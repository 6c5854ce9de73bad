// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"

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
	// Enrolments returns all of them, in the order of the entities.
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
