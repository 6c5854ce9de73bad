// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package metrics_test holds what a mount says of itself against what was done on it.
package metrics_test

import (
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// scrape returns the metrics of a mount as text.
func scrape(t *testing.T, m *mounttest.Mount) string {
	t.Helper()
	req := &logical.Request{Operation: logical.ReadOperation, Path: "metrics", Storage: m.Storage, MountPoint: "team/keylife/"}
	resp, err := m.HandleRequest(t.Context(), req)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.Data[logical.HTTPStatusCode])
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8", resp.Data[logical.HTTPContentType])
	body, ok := resp.Data[logical.HTTPRawBody].([]byte)
	require.True(t, ok, "Vault decodes a text that happens to be base64")
	return string(body)
}

// value returns that of a series, given without the labels mount and node.
func value(t *testing.T, m *mounttest.Mount, series string) float64 {
	t.Helper()
	all := m.Must(m.Read("metrics", "format", "json")).Data["metrics"].(map[string]any)
	node, err := os.Hostname()
	require.NoError(t, err)
	name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	for key, v := range all {
		if key == series || key == name+`{node="`+node+`"}` && labels == "" {
			return v.(float64)
		}
		if stripped := strings.Replace(strings.Replace(key, `node="`+node+`",`, "", 1), `,node="`+node+`"`, "", 1); stripped == series {
			return v.(float64)
		}
	}
	t.Fatalf("there is no series %s", series)
	return 0
}

func TestAScrapeReadsNoStorage(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Encrypt("k", "x")
	require.NoError(t, m.Tick())
	m.Storage.Reset()
	text := scrape(t, m)
	m.Must(m.Read("metrics", "format", "json"))
	require.Zero(t, m.Storage.Reset().Total())
	require.Contains(t, text, `keylife_operations_total{mount="team/keylife",node=`)
	require.Contains(t, text, `keylife_active{mount="team/keylife",node=`)
}

func TestAMountThatNobodyUsedHasItsCountersAtZero(t *testing.T) {
	m := mounttest.New(t)
	for _, series := range []string{
		`keylife_operations_total{operation="encrypt",result="ok"}`, `keylife_rotations_total{result="ok",trigger="schedule"}`,
		`keylife_transitions_total{by="clock",operation="destroy"}`, `keylife_refusals_total{why="hold"}`, `keylife_denied_uses_total{state="archived"}`,
		`keylife_storage_operations_total{operation="put",result="error"}`, `keylife_hsm_operations_total{operation="unwrap",result="error"}`,
		"keylife_custody_records_total", "keylife_integrity_failures_total", "keylife_break_glass_total", "keylife_tick_last_success_timestamp_seconds",
	} {
		require.Zero(t, value(t, m, series), series)
	}
}

func TestTheFormatIsOneOfTwo(t *testing.T) {
	m := mounttest.New(t)
	m.Refused(m.Read("metrics", "format", "xml"), "format", `"xml"`, "prometheus or json")
}

func TestARestartBeginsAnew(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	m.Encrypt("k", "x")
	require.InDelta(t, 1, value(t, m, `keylife_operations_total{operation="encrypt",result="ok"}`), 0)
	require.Contains(t, scrape(t, m), `instance_id="`+m.Storage.Journal()[0].Instance+`"`)
	m.Restart()
	require.Zero(t, value(t, m, `keylife_operations_total{operation="encrypt",result="ok"}`))
}

func TestAStandbySaysSo(t *testing.T) {
	m := mounttest.New(t)
	require.InDelta(t, 1, value(t, m, "keylife_active"), 0)
	m.System.ReplicationStateVal = consts.ReplicationPerformanceStandby
	m.Restart()
	require.Zero(t, value(t, m, "keylife_active"))
}

func TestActsAreCountedOnce(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "require_reason", "suspend"))
	m.Must(m.Write("keys/k", "policy", "p"))
	records := value(t, m, "keylife_custody_records_total")
	require.InDelta(t, len(m.Storage.Journal())+len(m.Storage.JournalOf("policy:p")), records, 0)

	m.Must(m.As("a request", func(m *mounttest.Mount) mounttest.Answer { return m.Write("keys/k/rotate") }))
	m.Must(m.As("a request", func(m *mounttest.Mount) mounttest.Answer { return m.Write("keys/k/rotate") })) // Vault sends it again
	require.InDelta(t, 1, value(t, m, `keylife_rotations_total{result="ok",trigger="operator"}`), 0)
	require.InDelta(t, records+2, value(t, m, "keylife_custody_records_total"), 0)

	m.Must(m.Write("keys/k/suspend", "reason", "CHG-4711: suspicious"))
	m.Must(m.Write("keys/k/resume"))
	for _, op := range []string{"suspend", "resume"} {
		require.InDelta(t, 1, value(t, m, `keylife_transitions_total{by="operator",operation="`+op+`"}`), 0, op)
	}
}

func TestWhatTheClockDoesIsCountedAsItsOwn(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "rotation_period", "1d", "rotation_mode", "auto", "archive_after", "2d"))
	m.Must(m.Write("keys/k", "policy", "p"))
	m.Leap(5 * 24 * time.Hour)
	require.Positive(t, value(t, m, `keylife_rotations_total{result="ok",trigger="schedule"}`))
	require.Positive(t, value(t, m, `keylife_transitions_total{by="clock",operation="archive"}`))
	require.Zero(t, value(t, m, `keylife_rotations_total{result="ok",trigger="operator"}`))
	require.InDelta(t, float64(m.Clock.Now().Unix()), value(t, m, "keylife_tick_last_success_timestamp_seconds"), 1)
}

func TestRefusalsSayWhatStandsInTheWay(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("policies/p", "owner", "o", "allowed_types", "aes256-gcm96", "require_reason", "suspend"))
	m.Must(m.Write("keys/k", "policy", "p"))
	m.Must(m.Write("keys/free"))
	m.Must(m.Write("keys/free/config", "deletion_allowed", true))
	m.Must(m.Write("keys/free/hold", "hold", true))
	for i, c := range []struct {
		why  string
		send func() mounttest.Answer
	}{
		{"policy", func() mounttest.Answer { return m.Write("keys/k/suspend") }},
		{"policy", func() mounttest.Answer { return m.Write("keys/rsa", "policy", "p", "type", "rsa-2048") }},
		{"policy", func() mounttest.Answer { return m.Delete("keys/k") }},
		{"state", func() mounttest.Answer { return m.Write("keys/k/resume") }},
		{"hold", func() mounttest.Answer { return m.Delete("keys/free") }},
		{"cas", func() mounttest.Answer { return m.Write("keys/k/rotate", "cas", 99) }},
	} {
		before := value(t, m, `keylife_refusals_total{why="`+c.why+`"}`)
		require.GreaterOrEqual(t, c.send().Status, 400, i)
		require.InDelta(t, before+1, value(t, m, `keylife_refusals_total{why="`+c.why+`"}`), 0, "%d %s", i, c.why)
	}
	total := func() (n float64) {
		for _, why := range []string{"policy", "state", "hold", "approval", "cas"} {
			n += value(t, m, `keylife_refusals_total{why="`+why+`"}`)
		}
		return n
	}
	sealed := m.Encrypt("k", "x")
	m.Must(m.Write("keys/k/suspend", "reason", "CHG-4711: suspicious"))
	before := total()
	require.Equal(t, http.StatusBadRequest, m.Write("decrypt/k", "ciphertext", sealed).Status)
	require.Equal(t, http.StatusBadRequest, m.Write("keys/k/rotate", "cas", -1).Status)
	require.Equal(t, http.StatusBadRequest, m.Write("decrypt/k", "ciphertext", "vault:v9:AAAA").Status)
	require.InDelta(t, before, total(), 0, "what is wrong in itself, and uses of keys, are no refused changes")
}

func TestConsentThatIsLackingAndBreakGlassAreCounted(t *testing.T) {
	m := mounttest.New(t)
	mounttest.EnrolApprovers(m, "approvers")
	m.System.Person("erin", "erin", "on-call")
	m.Must(m.Write("config/approvals", "break_glass_groups", "on-call", "break_glass_operations", "resume"))
	m.Must(m.Write("policies/p", "owner", "o", "approvals", map[string]any{"rotate": "1 of approvers", "resume": "1 of approvers"}))
	m.Must(m.Write("keys/k", "policy", "p"))
	m.Caller = func(req *logical.Request) { req.EntityID = "alice" }
	require.Equal(t, http.StatusPreconditionRequired, m.Write("keys/k/rotate", "reason", "CHG-4711: rotate it").Status)
	require.InDelta(t, 1, value(t, m, `keylife_refusals_total{why="approval"}`), 0)
	require.InDelta(t, 1, value(t, m, `keylife_rotations_total{result="refused",trigger="operator"}`), 0)
	require.Zero(t, value(t, m, "keylife_break_glass_total"))
	m.Caller = func(req *logical.Request) { req.EntityID = "erin" }
	m.Must(m.Write("keys/k/suspend", "reason", "INC-2044: it may have leaked"))
	require.Zero(t, value(t, m, "keylife_break_glass_total"))
	m.Must(m.Write("keys/k/resume", "break_glass", true, "reason", "INC-2044: it has not leaked, and orders wait"))
	require.InDelta(t, 1, value(t, m, "keylife_break_glass_total"), 0)
}

func TestStorageIsMeasured(t *testing.T) {
	m := mounttest.New(t)
	m.Must(m.Write("keys/k"))
	puts := value(t, m, `keylife_storage_operations_total{operation="put",result="ok"}`)
	m.Storage.Reset()
	m.Must(m.Write("keys/k/rotate"))
	calls := m.Storage.Reset()
	require.InDelta(t, puts+float64(calls.Puts), value(t, m, `keylife_storage_operations_total{operation="put",result="ok"}`), 0)
	m.Storage.FailWrite(1, false)
	require.Equal(t, http.StatusInternalServerError, m.Write("keys/k/rotate").Status)
	m.Storage.Heal()
	require.InDelta(t, 1, value(t, m, `keylife_storage_operations_total{operation="put",result="error"}`), 0)
	require.InDelta(t, 1, value(t, m, `keylife_rotations_total{result="error",trigger="operator"}`), 0)
	all := value(t, m, `keylife_storage_operation_duration_seconds_count{operation="put"}`)
	done := value(t, m, `keylife_storage_operations_total{operation="put",result="ok"}`)
	require.InDelta(t, done+1, all, 0)
}

// Of what Vault shows nothing: goroutines and heap of the plugin's process.
func TestTheProcessIsSeenFromOutside(t *testing.T) {
	m := mounttest.New(t)
	before := value(t, m, "keylife_process_goroutines")
	end := make(chan struct{})
	var more sync.WaitGroup
	for range 500 {
		more.Go(func() { <-end })
	}
	during := value(t, m, "keylife_process_goroutines")
	close(end)
	more.Wait()
	require.InDelta(t, before+500, during, 100, "tests beside this one have goroutines too")
	runtime.GC()
	require.Greater(t, value(t, m, "keylife_process_heap_live_bytes"), 100_000.0)
}
