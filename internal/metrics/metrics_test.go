// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package metrics_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/metrics"
	"github.com/keylife/vault-plugin-keylife/internal/observe"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/store"
)

// mount is one of which nothing was seen yet, declared as the packages that count declare it.
func mount() metrics.Mount {
	o := observe.New()
	plane := dataplane.New(dataplane.Config{Observe: o})
	engine.New(engine.Config{Plane: plane, Observe: o})
	store.New(time.Now, hclog.NewNullLogger()).ObservedBy(o)
	for _, obstacle := range refusal.Obstacles() {
		o.Refusals.Declare(observe.Labels{string(obstacle)})
	}
	return metrics.Mount{Observer: o, Path: "team/keylife", Node: "vault-1", Version: "v1.2.3", Instance: "0f1e", Process: metrics.Process{Goroutines: 40, HeapLive: 7 << 20}, Active: true, Token: true, TokenUp: true, Now: time.Unix(1700000060, 0)}
}

func text(t testing.TB, m metrics.Mount) string {
	t.Helper()
	out, err := metrics.Text(m)
	require.NoError(t, err)
	return string(out)
}

func TestValuesAreThoseThatWereObserved(t *testing.T) {
	m := mount()
	m.Encrypt.OK.Add(3)
	m.Verify.Invalid.Add(1)
	m.Encrypt.Bytes.Add(300)
	m.Keys.Found(true)
	m.Storage.Put.Ended(t.Context(), 3*time.Millisecond, nil)
	m.Board.Tick.Set(observe.Tick{LastSuccess: time.Unix(1700000000, 5e8), Took: 1500 * time.Millisecond, Frozen: "it went back"})
	m.Board.Rotation.Set(observe.Rotation{Due: 2, Alerting: map[string]int{"stalled": 1}, Alerts: []observe.Alert{{Key: "orders", Status: "stalled", Since: time.Unix(5, 0)}}, Hidden: 7})
	m.Board.Governance.Set(observe.Governance{Approvers: []observe.Approvers{{Rule: "pci", Needed: 2, Able: 3}}})
	got := text(t, m)
	for _, line := range []string{
		`keylife_info{instance_id="0f1e",mount="team/keylife",node="vault-1",version="v1.2.3"} 1`,
		`keylife_operations_total{mount="team/keylife",node="vault-1",operation="encrypt",result="ok"} 3`,
		`keylife_operations_total{mount="team/keylife",node="vault-1",operation="verify",result="invalid"} 1`,
		`keylife_operations_total{mount="team/keylife",node="vault-1",operation="decrypt",result="limit"} 0`,
		`keylife_plaintext_bytes_total{mount="team/keylife",node="vault-1",operation="encrypt"} 300`,
		`keylife_cache_requests_total{cache="keys",mount="team/keylife",node="vault-1",result="hit"} 1`,
		`keylife_storage_operations_total{mount="team/keylife",node="vault-1",operation="put",result="ok"} 1`,
		`keylife_storage_operation_duration_seconds_bucket{mount="team/keylife",node="vault-1",operation="put",le="0.001"} 0`,
		`keylife_storage_operation_duration_seconds_bucket{mount="team/keylife",node="vault-1",operation="put",le="0.01"} 1`,
		`keylife_storage_operation_duration_seconds_bucket{mount="team/keylife",node="vault-1",operation="put",le="+Inf"} 1`,
		`keylife_storage_operation_duration_seconds_sum{mount="team/keylife",node="vault-1",operation="put"} 0.003`,
		`keylife_rotations_total{mount="team/keylife",node="vault-1",result="ok",trigger="operator"} 0`,
		`keylife_refusals_total{mount="team/keylife",node="vault-1",why="state"} 0`,
		`keylife_tick_last_success_timestamp_seconds{mount="team/keylife"} 1.7000000005e+09`,
		`keylife_tick_duration_seconds{mount="team/keylife"} 1.5`,
		`keylife_clock_frozen{mount="team/keylife"} 1`,
		`keylife_oldest_due_timestamp_seconds{mount="team/keylife"} 0`,
		`keylife_keys_alerting{mount="team/keylife",status="stalled"} 1`,
		`keylife_keys_alerting{mount="team/keylife",status="stopped"} 0`,
		`keylife_key_alert_since_timestamp_seconds{key="orders",mount="team/keylife",status="stalled"} 5`,
		`keylife_key_alerts_hidden{mount="team/keylife"} 7`,
		`keylife_approvers{kind="able",mount="team/keylife",rule="pci"} 3`,
		`keylife_process_goroutines{mount="team/keylife",node="vault-1"} 40`,
		`keylife_process_heap_live_bytes{mount="team/keylife",node="vault-1"} 7.340032e+06`,
		`keylife_hsm_up{mount="team/keylife",node="vault-1"} 1`,
	} {
		require.Contains(t, got, line+"\n")
	}
	m.Token = false
	require.NotContains(t, text(t, m), "keylife_hsm_up")
}

func TestValuesForPeopleAreTheSame(t *testing.T) {
	m := mount()
	m.Encrypt.OK.Add(3)
	m.Storage.Put.Ended(t.Context(), 3*time.Millisecond, nil)
	m.Board.Rotation.Set(observe.Rotation{Alerting: map[string]int{"a\"b\\c\n": 1}})
	values, err := metrics.Values(m)
	require.NoError(t, err)
	require.InDelta(t, 3, values[`keylife_operations_total{node="vault-1",operation="encrypt",result="ok"}`], 0)
	require.InDelta(t, 0.003, values[`keylife_storage_operation_duration_seconds_sum{node="vault-1",operation="put"}`], 0)
	require.InDelta(t, 1, values[`keylife_storage_operation_duration_seconds_count{node="vault-1",operation="put"}`], 0)
	require.InDelta(t, 0, values[`keylife_keys_due`], 0)
	require.Contains(t, values, `keylife_keys_alerting{status="a\"b\\c\n"}`)
}

var series = regexp.MustCompile(`^([a-z_]+?)(_bucket|_sum|_count)?\{(.*)\} \S+$`)

// labelsIn returns the names of labels of a series, but le, in their order.
func labelsIn(text string) (names []string) {
	for _, m := range regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`).FindAllStringSubmatch(text, -1) {
		if m[1] != "le" {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return names
}

func TestEverySeriesHasTheLabelsOfItsRowAndTheMount(t *testing.T) {
	rows := map[string]metrics.Family{}
	for _, f := range metrics.Families() {
		require.NotContains(t, rows, f.Name)
		require.Regexp(t, `^[A-Z0-9].*\.$`, f.Help, f.Name)
		require.Equal(t, f.Type == metrics.Counter, strings.HasSuffix(f.Name, "_total"), f.Name)
		if f.Type != metrics.Gauge {
			require.Contains(t, f.Labels, "node", f.Name)
		}
		rows[f.Name] = f
	}
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(text(t, crowded())), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := series.FindStringSubmatch(line)
		require.NotNil(t, m, line)
		row, known := rows[m[1]]
		require.True(t, known, line)
		want := append(slices.Clone(row.Labels), "mount")
		slices.Sort(want)
		require.Equal(t, want, labelsIn(m[3]), line)
		seen[m[1]] = true
	}
	require.Len(t, seen, len(rows), "metrics without a series")
}

// crowded is a mount of 100,000 keys and 1,000 policies, of which as much as possible has a series.
func crowded() metrics.Mount {
	m := mount()
	long := strings.Repeat("n", 900)
	var r observe.Rotation
	for i := range observe.MaxAlerts {
		r.Alerts = append(r.Alerts, observe.Alert{Key: fmt.Sprintf("team-%03d-payments-orders-eu-west", i), Status: "stalled", Since: time.Unix(int64(i), 0)})
	}
	r.Alerts, r.Hidden = append(r.Alerts, observe.Alert{Key: long, Status: "stalled"}), 100_000-101
	m.Board.Rotation.Set(r)
	census := observe.Census{Keys: map[observe.TypeState]int{}, Versions: map[string]int{}, Drifting: map[string]int{observe.Other: 1}}
	for i := range 18 {
		for j := range 5 {
			census.Keys[observe.TypeState{Type: fmt.Sprint("algorithm-", i), State: fmt.Sprint("state-", j)}] = 1000 + i + j
		}
	}
	for i := range 8 {
		census.Versions[fmt.Sprint("state-", i)] = 100_000
	}
	var usage []observe.UsageRatio
	for i := range 1000 {
		name := fmt.Sprintf("policy-%04d-of-a-team", i)
		census.Drifting[name] = i
		usage = append(usage, observe.UsageRatio{Policy: name, OnLimit: []string{"rotate", "block"}[i%2], Ratio: float64(i) / 1000})
	}
	census.Drifting[long] = 5000
	m.Board.Census.Set(census)
	m.Board.Usage.Set(usage)
	var governance observe.Governance
	for i := range 20 {
		governance.Approvers = append(governance.Approvers, observe.Approvers{Rule: fmt.Sprint("rule-", i), Needed: 2, Able: 30 - i})
	}
	m.Board.Governance.Set(governance)
	return m
}

func TestAScrapeStaysSmallWhateverTheMountHolds(t *testing.T) {
	m := crowded()
	got := text(t, m)
	lines := 0
	for line := range strings.Lines(got) {
		if !strings.HasPrefix(line, "#") {
			lines++
		}
	}
	t.Logf("%d series, %d bytes", lines, len(got))
	require.LessOrEqual(t, lines, metrics.MostSeries)
	require.LessOrEqual(t, len(got), metrics.MostBytes)
	require.Contains(t, got, `keylife_key_alerts_hidden{mount="team/keylife"} 99900`, "what has no series is counted")
	require.Equal(t, observe.MaxAlerts, strings.Count(got, "\nkeylife_key_alert_since_timestamp_seconds{"))
	require.Equal(t, observe.MaxPolicies+1, strings.Count(got, "\nkeylife_drifting_keys{"))
	require.Contains(t, got, `keylife_usage_ratio_max{mount="team/keylife",on_limit="block",policy="policy-0999-of-a-team"} 0.999`)
	require.Contains(t, got, `keylife_usage_ratio_max{mount="team/keylife",on_limit="block",policy="other"} 0.949`, "the highest of those without a series")
	require.Contains(t, got, `keylife_usage_ratio_max{mount="team/keylife",on_limit="rotate",policy="other"} 0.948`)
	require.Contains(t, got, `keylife_approvers{kind="able",mount="team/keylife",rule="rule-19"} 11`, "those that lack people")
	require.NotContains(t, got, `rule="rule-0"`)
	require.Contains(t, got, `keylife_keys{mount="team/keylife",state="state-0",type="other"}`)
	var sum int
	for _, m := range regexp.MustCompile(`keylife_drifting_keys\{.*\} (\d+)`).FindAllStringSubmatch(got, -1) {
		var n int
		_, err := fmt.Sscan(m[1], &n)
		require.NoError(t, err)
		sum += n
	}
	require.Equal(t, 1+5000+999*1000/2, sum, "each key is counted once")
}

// Names may be very long.
func TestLongNamesDoNotMakeAScrapeLarge(t *testing.T) {
	m := crowded()
	r := m.Board.Rotation.Get()
	census := m.Board.Census.Get()
	usage := slices.Clone(m.Board.Usage.Get())
	alerts := slices.Clone(r.Alerts)
	drifting := map[string]int{}
	for i := range alerts {
		alerts[i].Key = strings.Repeat("k", 1020) + fmt.Sprint(i)
	}
	for i := range usage {
		usage[i].Policy = strings.Repeat("p", 1020) + fmt.Sprint(i)
		drifting[usage[i].Policy] = i
	}
	r.Alerts, census.Drifting = alerts, drifting
	m.Board.Rotation.Set(r)
	m.Board.Census.Set(census)
	m.Board.Usage.Set(usage)
	got := text(t, m)
	require.LessOrEqual(t, len(got), metrics.MostBytes)
	shown := strings.Count(got, "\nkeylife_key_alert_since_timestamp_seconds{")
	require.Positive(t, shown)
	require.Contains(t, got, fmt.Sprintf(`keylife_key_alerts_hidden{mount="team/keylife"} %d`, 100_000-shown))
}

func TestPromtoolTakesTheMetrics(t *testing.T) {
	for name, m := range map[string]metrics.Mount{"new": mount(), "crowded": crowded()} {
		check := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
		check.Stdin = strings.NewReader(text(t, m))
		var out bytes.Buffer
		check.Stdout, check.Stderr = &out, &out
		require.NoError(t, check.Run(), "%s: %s", name, out.String())
		require.Empty(t, out.String(), name)
	}
}

func TestAPrefixLeavesOutOtherMetrics(t *testing.T) {
	m := mount()
	m.Only = "keylife_keys_"
	require.Equal(t, 2, strings.Count(text(t, m), "# TYPE"))
	require.Contains(t, text(t, m), "\nkeylife_keys_due{")
}

func TestTwoMountsDoNotMeet(t *testing.T) {
	a, b := mount(), mount()
	a.Encrypt.OK.Add(1)
	b.Path = "other"
	require.Contains(t, text(t, b), `keylife_operations_total{mount="other",node="vault-1",operation="encrypt",result="ok"} 0`)
}

// A scrape that cannot be right is none: what an observer holds twice is an error, not a wrong number.
func TestWhatIsThereTwiceIsAnError(t *testing.T) {
	m := mount()
	m.Board.Rotation.Set(observe.Rotation{Alerts: []observe.Alert{{Key: "k", Status: "stalled"}, {Key: "k", Status: "stalled"}}})
	_, err := metrics.Text(m)
	require.ErrorContains(t, err, "was collected before with the same name and label values")
}

func BenchmarkScrape(b *testing.B) {
	m := crowded()
	for b.Loop() {
		_, err := metrics.Text(m)
		require.NoError(b, err)
	}
}
