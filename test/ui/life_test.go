// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui_test

import (
	"net/http"
	"testing"
	"time"
)

// hostile is a text that would like to be something else.
const hostile = `<script>document.title='owned'</script><img src=x onerror="document.title='owned'"> ` + "\u202eevil\u200f"

// live makes a mount in which something has happened: rotations by the clock and by hand, a suspension, a report, drift, texts
// that are hostile. It takes months, of the plugin's clock.
func live(t *testing.T, mount string) {
	t.Helper()
	post := func(path string, body map[string]any) { must(t, mount, http.MethodPost, path, body) }
	post("policies/standard", map[string]any{
		"owner": "team-payments", "description": "Payment data", "rotation_period": "30d", "archive_after": "45d", "retire_after": "30d", "destroy_delay": "30d",
		"quiet_period": "7d", "require_reason": []string{},
	})
	post("policies/by-hand", map[string]any{"owner": "team-fraud", "rotation_mode": "manual", "rotation_period": "60d"})
	for _, k := range [][3]string{{"orders", "standard", "team-orders"}, {"invoices", "standard", "team-billing"}, {"cards", "standard", "team-payments"}, {"fraud-scores", "by-hand", "team-fraud"}, {"sessions", "standard", "team-web"}} {
		post("keys/"+k[0], map[string]any{"policy": k[1], "owner": k[2], "labels": map[string]string{"env": "prod"}, "reason": "CHG-4700: the service goes live"})
	}
	post("keys/releases", map[string]any{"type": "ed25519", "owner": "team-build"})
	jump(t, mount, 20)
	post("keys/orders/rotate", map[string]any{"reason": "change of staff: two custodians left"})
	jump(t, mount, 20)
	post("keys/cards/suspend", map[string]any{"reason": "INC-2044: unusual decrypts"})
	jump(t, mount, 5)
	post("keys/cards/resume", map[string]any{"reason": "INC-2044: explained"})
	jump(t, mount, 20)
	post("policies/standard", map[string]any{"rotation_period": "45d", "reason": "CHG-4711: fewer rotations"})
	jump(t, mount, 25)
	post("keys/orders/versions/2/compromise", map[string]any{"reason_code": "key_compromise", "reason": "INC-2101: found in a core dump"})
	jump(t, mount, 30)
	post("keys/sessions/hold", map[string]any{"hold": true, "reason": "LEGAL-12"})
	post("keys/orders/rotate", map[string]any{"stage": true, "reason": "a version for the new year"})
	for _, key := range []string{"orders", "cards", "invoices", "sessions"} {
		post("encrypt/"+key, map[string]any{"plaintext": "aGVsbG8="})
	}
}

// jump goes days on, in steps that the clock guard is told to believe.
func jump(t *testing.T, mount string, days int) {
	t.Helper()
	for ; days > 0; days -= 5 {
		world.vault.Advance(t, time.Duration(min(days, 5))*24*time.Hour)
		must(t, mount, http.MethodPost, "config/clock", map[string]any{"acknowledge": true, "reason": "a test moves it"})
		world.vault.Tick(t, mount)
	}
}

// spoil writes hostile texts wherever somebody may write some.
func spoil(t *testing.T, mount string) {
	t.Helper()
	must(t, mount, http.MethodPost, "policies/odd", map[string]any{"owner": hostile, "description": hostile, "reason": hostile})
	must(t, mount, http.MethodPost, "keys/odd", map[string]any{"policy": "odd", "owner": hostile, "labels": map[string]string{"note": hostile}, "reason": hostile})
}
