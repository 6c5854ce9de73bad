// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
)

// with returns the default settings with a field set.
func with(field string, value any) consent.Settings {
	s := consent.DefaultSettings()
	reflect.ValueOf(&s).Elem().FieldByName(field).Set(reflect.ValueOf(value))
	return s
}

// values are some of each setting.
func values(t *testing.T) map[string][]any {
	rules := func(texts ...string) (list []any) {
		for _, text := range texts {
			list = append(list, map[acts.Gate]consent.Rule{"clock": ruleOf(t, text)})
		}
		return list
	}
	spans := []any{time.Hour, 24 * time.Hour, 48 * time.Hour}
	return map[string][]any{
		"Approvals":        append(rules("1 of a", "2 of a", "2 of a, b", "1 of b", "3 of b, c"), map[acts.Gate]consent.Rule{}, map[acts.Gate]consent.Rule{"clock": ruleOf(t, "2 of b, a"), "enrol": ruleOf(t, "1 of a")}),
		"Duties":           {"", "Look.", "Look twice."},
		"AcknowledgeEvery": spans, "ApproverWait": spans, "ReviewWithin": spans,
		"AuthMount":            {"", "oidc_1", "userpass_1"},
		"BreakGlassGroups":     {[]string(nil), []string{"a"}, []string{"b", "a"}, []string{"a", "b"}, []string{"c"}},
		"BreakGlassRoot":       {false, true},
		"BreakGlassOperations": {[]acts.Gate(nil), []acts.Gate{"promote"}, []acts.Gate{"resume", "promote"}, []acts.Gate{"recover"}},
	}
}

// TestEachSettingCanBeLooser: one without a row would be loosened by one person.
func TestEachSettingCanBeLooser(t *testing.T) {
	of := values(t)
	for _, place := range reflect.VisibleFields(reflect.TypeFor[consent.Settings]()) {
		if place.Name == "Revision" {
			continue
		}
		looser := false
		for _, a := range of[place.Name] {
			for _, b := range of[place.Name] {
				looser = looser || len(consent.Looser(with(place.Name, a), with(place.Name, b))) == 1
			}
		}
		require.True(t, looser, place.Name)
	}
}

// TestNotLooserIsAPreorder is what makes a chain of changes as strict as its links.
func TestNotLooserIsAPreorder(t *testing.T) {
	for field, all := range values(t) {
		notLooser := func(one, other any) bool { return len(consent.Looser(with(field, one), with(field, other))) == 0 }
		for _, a := range all {
			require.True(t, notLooser(a, a), "%s: %v is looser than itself", field, a)
			for _, b := range all {
				for _, c := range all {
					require.False(t, notLooser(a, b) && notLooser(b, c) && !notLooser(a, c), "%s: %v, %v, %v", field, a, b, c)
				}
			}
		}
	}
}

// TestWhatOfSettingsIsLooser: in no row is the way back looser, too, but where it says so.
func TestWhatOfSettingsIsLooser(t *testing.T) {
	rules := func(texts map[string]string) map[acts.Gate]consent.Rule {
		all, err := consent.ParseRules(texts)
		require.NoError(t, err)
		return all
	}
	type pairs = map[string]string
	for _, row := range []struct {
		setting    string
		from, to   any
		field, why string
		back       string // why the way back is looser; empty: it is not
	}{
		{"Approvals", rules(pairs{"clock": "1 of a"}), rules(pairs{}), "approvals", "clock: nobody's consent is needed", ""},
		{"Approvals", rules(pairs{"clock": "2 of a"}), rules(pairs{"clock": "1 of a"}), "approvals", "clock: fewer persons", ""},
		{"Approvals", rules(pairs{"clock": "2 of a"}), rules(pairs{"clock": "2 of a, b"}), "approvals", "clock: persons of other groups count", ""},
		{"Approvals", rules(pairs{"clock": "2 of a", "enrol": "1 of a"}), rules(pairs{"clock": "1 of a"}), "approvals", "clock: fewer persons; enrol: nobody's consent is needed", ""},
		{"Duties", "Look.", "", "duties", "approvers accept other duties", ""},
		{"Duties", "Look.", "Look twice.", "duties", "approvers accept other duties", "approvers accept other duties"},
		{"AcknowledgeEvery", time.Hour, 2 * time.Hour, "acknowledge_every", "an acknowledgement counts for longer", ""},
		{"ApproverWait", time.Hour, time.Minute, "approver_wait", "an approver counts sooner", ""},
		{"AuthMount", "oidc_1", "", "auth_mount", "approvers of another auth mount count", ""},
		{"AuthMount", "oidc_1", "ldap_1", "auth_mount", "approvers of another auth mount count", "approvers of another auth mount count"},
		{"BreakGlassGroups", []string{"a"}, []string{"a", "b"}, "break_glass_groups", "other groups may break the glass", ""},
		{"BreakGlassRoot", false, true, "break_glass_root", "a token without an entity may break the glass", ""},
		{"BreakGlassOperations", []acts.Gate{"promote"}, []acts.Gate{"resume", "promote"}, "break_glass_operations", "more is done by break-glass", ""},
		{"ReviewWithin", time.Hour, 2 * time.Hour, "review_within", "reviews are due later", ""},
	} {
		from, to := with(row.setting, row.from), with(row.setting, row.to)
		require.Equal(t, []consent.Loosening{{Field: row.field, Why: row.why}}, consent.Looser(from, to), "%v -> %v", row.from, row.to)
		back := slices.DeleteFunc([]consent.Loosening{{Field: row.field, Why: row.back}}, func(l consent.Loosening) bool { return l.Why == "" })
		require.ElementsMatch(t, back, consent.Looser(to, from), "%v -> %v", row.to, row.from)
	}
}
