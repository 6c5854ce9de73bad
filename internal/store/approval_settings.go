// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

const approvalSettingsPath = "config/approvals"

// approvalSettingsRecord is config/approvals.
type approvalSettingsRecord struct {
	Schema               int               `json:"schema"`
	Revision             int               `json:"revision"`
	Approvals            map[string]string `json:"approvals"` // rules as texts, by what they gate
	Duties               string            `json:"duties"`
	AcknowledgeEvery     time.Duration     `json:"acknowledge_every"`
	ApproverWait         time.Duration     `json:"approver_wait"`
	AuthMount            string            `json:"auth_mount"`
	BreakGlassGroups     []string          `json:"break_glass_groups"`
	BreakGlassRoot       bool              `json:"break_glass_root"`
	BreakGlassOperations []acts.Gate       `json:"break_glass_operations"`
	ReviewWithin         time.Duration     `json:"review_within"`
	journaled
}

// ApprovalSettings returns the settings of the mount about consent: [consent.DefaultSettings] where nobody has written them. They
// come from memory where nobody has written them since they were read, and are shared: the caller changes nothing in them. While a
// write may still land that has failed, they are read.
func (r Approvers) ApprovalSettings(ctx context.Context) (consent.Settings, error) {
	load := func() (consent.Settings, error) {
		s, _, err := r.approvalSettings(ctx)
		return s, err
	}
	if !r.s.doubts.none() {
		return load()
	}
	return r.s.rules.Load(approvalSettingsPath, load)
}

func (r Approvers) approvalSettings(ctx context.Context) (consent.Settings, unknown, error) {
	var rec approvalSettingsRecord
	rest, found, err := read(ctx, r.conn, approvalSettingsPath, &rec)
	if err != nil || !found {
		return consent.DefaultSettings(), rest, err
	}
	s, err := rec.settings()
	return s, rest, err
}

// SetApprovalSettings commits what change makes of the settings as their next revision, one Put between the two custody records of
// the event. Setting what is set writes nothing. An error of change comes back as it is, but is [refusal.ErrRepeated], beside the
// settings as they are, for a request that was carried out already.
func (r Approvers) SetApprovalSettings(
	ctx context.Context, change func(consent.Settings) (consent.Settings, lifecycle.Event, error),
) (consent.Settings, error) {
	unlock, err := r.lock(ctx, &r.s.mount, custody.MountChain)
	if err != nil {
		return consent.Settings{}, err
	}
	defer unlock()
	var current, next consent.Settings
	var event lifecycle.Event
	var rest unknown
	write, err := r.decided(ctx, func() (write bool, err error) {
		if current, rest, err = r.approvalSettings(ctx); err != nil {
			return false, err
		}
		next, event, err = change(current)
		same := next.Same(current)
		next.Revision = current.Revision
		if !same {
			next.Revision++
		}
		return !same, err
	})
	switch {
	case err != nil && r.repeated(ctx):
		return current, refusal.ErrRepeated
	case err != nil || !write:
		return next, err
	}
	return next, Journals(r).onMount(ctx, event, func(ctx context.Context, begun journaled) error {
		defer r.s.rules.Drop(approvalSettingsPath)
		return r.put(ctx, approvalSettingsPath, recordOfApprovalSettings(next, begun), rest)
	})
}

// repeated reports whether the request was carried out already. The caller holds the lock of the mount.
func (r Approvers) repeated(ctx context.Context) bool {
	from, exists, err := Journals(r).named(ctx, custody.MountChain)
	return err == nil && Journals(r).repeated(ctx, custody.MountChain, from, exists)
}

func recordOfApprovalSettings(s consent.Settings, by journaled) approvalSettingsRecord {
	rec := approvalSettingsRecord{
		Schema: schema, Revision: s.Revision, Approvals: map[string]string{}, Duties: s.Duties, AcknowledgeEvery: s.AcknowledgeEvery,
		ApproverWait: s.ApproverWait, AuthMount: s.AuthMount, BreakGlassGroups: s.BreakGlassGroups, BreakGlassRoot: s.BreakGlassRoot,
		BreakGlassOperations: s.BreakGlassOperations, ReviewWithin: s.ReviewWithin, journaled: by,
	}
	for gate, rule := range s.Approvals {
		rec.Approvals[string(gate)] = rule.String()
	}
	return rec
}

// settings reads the record back. A rule that cannot be read is damage: without it less consent would be asked for.
func (r approvalSettingsRecord) settings() (consent.Settings, error) {
	s := consent.Settings{
		Revision: r.Revision, Duties: r.Duties, AcknowledgeEvery: r.AcknowledgeEvery, ApproverWait: r.ApproverWait, AuthMount: r.AuthMount,
		BreakGlassGroups: r.BreakGlassGroups, BreakGlassRoot: r.BreakGlassRoot, BreakGlassOperations: r.BreakGlassOperations, ReviewWithin: r.ReviewWithin,
	}
	for gate, text := range r.Approvals {
		rule, err := consent.ParseRule(text)
		if err != nil {
			return s, fmt.Errorf("%s: approvals: %w", approvalSettingsPath, ErrCorrupt)
		}
		if s.Approvals == nil {
			s.Approvals = map[acts.Gate]consent.Rule{}
		}
		s.Approvals[acts.Gate(gate)] = rule
	}
	return s, nil
}
