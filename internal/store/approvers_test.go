// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

func goldenEnrolment() consent.Enrolment {
	return consent.Enrolment{
		Entity: "b0b", Since: start, Founder: true, Acknowledged: start.Add(time.Hour), DutiesHash: goldenApprovals().DutiesHash(),
	}
}

func goldenApprovals() consent.Settings {
	rules, err := consent.ParseRules(map[string]string{"config": "2 of key-approvers, security"})
	if err != nil {
		panic(err)
	}
	return consent.Settings{
		Revision: 1, Approvals: rules, Duties: "Look before you approve.",
		AcknowledgeEvery: 180 * 24 * time.Hour, ApproverWait: time.Hour, AuthMount: "auth_oidc_1", BreakGlassGroups: []string{"on-call"}, BreakGlassRoot: true,
		BreakGlassOperations: consent.BreakGlassable()[:3], ReviewWithin: 48 * time.Hour,
	}
}

func enrol(w *world, e consent.Enrolment) error {
	_, err := w.PutEnrolment(ctx, e.Entity, func(*consent.Enrolment) (consent.Enrolment, lifecycle.Event, error) {
		return e, lifecycle.Event{Act: "enrol"}, nil
	})
	return err
}

func unenrol(w *world, entity string) error {
	return w.DeleteEnrolment(ctx, entity, lifecycle.Event{Act: "unenrol"})
}

func setApprovals(w *world, s consent.Settings) error {
	_, err := w.SetApprovalSettings(ctx, func(consent.Settings) (consent.Settings, lifecycle.Event, error) {
		return s, lifecycle.Event{Act: "configure-approvals"}, nil
	})
	return err
}

// enrolled arranges a mount with three approvers, and settings that were changed last.
func enrolled(t *testing.T, w *world) {
	for _, entity := range []string{"ca101", "a11ce", "b0b"} {
		e := goldenEnrolment()
		e.Entity = entity
		require.NoError(t, enrol(w, e))
	}
	require.NoError(t, setApprovals(w, goldenApprovals()))
}

func approverActs() []act {
	renewed := goldenEnrolment()
	renewed.Acknowledged = start.Add(90 * 24 * time.Hour)
	other := goldenApprovals()
	other.Duties = "Look twice."
	return []act{
		{name: "enrol the first approver", arrange: nothing, do: func(w *world, _ string) error { return enrol(w, goldenEnrolment()) }, writes: 3},
		{name: "renew an enrolment", arrange: enrolled, do: func(w *world, _ string) error { return enrol(w, renewed) }, writes: 3},
		{name: "end an enrolment", arrange: enrolled, do: func(w *world, _ string) error { return unenrol(w, "b0b") }, writes: 3, again: refusal.ErrNotFound},
		{name: "configure approvals", arrange: nothing, do: func(w *world, _ string) error { return setApprovals(w, goldenApprovals()) }, writes: 3},
		{name: "configure approvals anew", arrange: enrolled, do: func(w *world, _ string) error { return setApprovals(w, other) }, writes: 3},
	}
}

func TestEnrolmentsReadBackInTheOrderOfEntities(t *testing.T) {
	w := newWorld()
	none, err := w.Enrolments(ctx)
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = w.Enrolment(ctx, "b0b")
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.ErrorIs(t, unenrol(w, "b0b"), refusal.ErrNotFound)
	require.Empty(t, w.journal(t, custody.MountChain), "what is refused is no act")

	enrolled(t, w)
	w.restart()
	all, err := w.Enrolments(ctx)
	require.NoError(t, err)
	require.Equal(t, []string{"a11ce", "b0b", "ca101"}, []string{all[0].Entity, all[1].Entity, all[2].Entity})
	got, err := w.Enrolment(ctx, "b0b")
	require.NoError(t, err)
	require.Equal(t, goldenEnrolment(), got)

	later := goldenEnrolment()
	later.Acknowledged = start.Add(time.Hour * 2)
	_, err = w.PutEnrolment(ctx, "b0b", func(current *consent.Enrolment) (consent.Enrolment, lifecycle.Event, error) {
		require.Equal(t, goldenEnrolment(), *current)
		return later, lifecycle.Event{Act: "enrol"}, nil
	})
	require.NoError(t, err)
	require.NoError(t, unenrol(w, "a11ce"))
	all, err = w.Enrolments(ctx)
	require.NoError(t, err)
	require.Equal(t, []consent.Enrolment{later, {
		Entity: "ca101", Since: later.Since, Founder: true, Acknowledged: goldenEnrolment().Acknowledged, DutiesHash: later.DutiesHash,
	}}, all)
	require.Equal(t, "enrol done; enrol done; enrol done; configure-approvals done; enrol done; unenrol done", w.story(t, custody.MountChain))
}

func TestAnEnrolmentThatIsRefusedWritesNothing(t *testing.T) {
	w := newWorld()
	before := w.entries(t)
	refused := errors.New("refused")
	_, err := w.PutEnrolment(ctx, "b0b", func(current *consent.Enrolment) (consent.Enrolment, lifecycle.Event, error) {
		require.Nil(t, current)
		return consent.Enrolment{}, lifecycle.Event{}, refused
	})
	require.ErrorIs(t, err, refused)
	_, err = w.SetApprovalSettings(ctx, func(s consent.Settings) (consent.Settings, lifecycle.Event, error) {
		s.Duties = "other"
		return s, lifecycle.Event{}, refused
	})
	require.ErrorIs(t, err, refused)
	require.Equal(t, before, w.entries(t))
}

func TestSettingsAboutConsentHaveRevisions(t *testing.T) {
	w := newWorld()
	s, err := w.ApprovalSettings(ctx)
	require.NoError(t, err)
	require.Equal(t, consent.DefaultSettings(), s, "nobody has written them")
	require.NoError(t, setApprovals(w, s))
	require.Empty(t, w.journal(t, custody.MountChain), "setting what is set is no act")

	require.NoError(t, setApprovals(w, goldenApprovals()))
	w.restart()
	s, err = w.ApprovalSettings(ctx)
	require.NoError(t, err)
	require.Equal(t, goldenApprovals(), s)
	require.NoError(t, setApprovals(w, goldenApprovals()))
	other := goldenApprovals()
	other.Approvals = nil
	require.NoError(t, setApprovals(w, other))
	s, err = w.ApprovalSettings(ctx)
	require.NoError(t, err)
	other.Revision = 2
	require.Equal(t, other, s)
	require.Equal(t, "configure-approvals done; configure-approvals done", w.story(t, custody.MountChain))
}

// TestARuleThatCannotBeReadIsDamage: without it less consent would be asked for.
func TestARuleThatCannotBeReadIsDamage(t *testing.T) {
	w := load(t, map[string]string{"config/approvals": `{"schema":1,"approvals":{"config":"s3cr3t"}}`})
	_, err := w.ApprovalSettings(ctx)
	require.ErrorIs(t, err, store.ErrCorrupt)
	require.NotContains(t, err.Error(), "s3cr3t")
}

func TestEverySettingAboutConsentIsStored(t *testing.T) {
	n := 0
	want := consent.Settings{}
	fill(reflect.ValueOf(&want).Elem(), &n)
	want.Approvals = goldenApprovals().Approvals
	want.Revision = 1
	w := newWorld()
	require.NoError(t, setApprovals(w, want))
	got, err := w.ApprovalSettings(ctx)
	require.NoError(t, err)
	require.Equal(t, want, got)

	e := consent.Enrolment{}
	fill(reflect.ValueOf(&e).Elem(), &n)
	require.NoError(t, enrol(w, e))
	back, err := w.Enrolment(ctx, e.Entity)
	require.NoError(t, err)
	require.Equal(t, e, back)
}
