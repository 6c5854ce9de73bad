// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/stretchr/testify/require"
)

type (
	texts = []string
	pairs = map[string]string
)

// values are plain values of each field. Of those without a direction neither of two is stricter.
var values = map[string][]any{
	"owner": {"a", "b"}, "description": {"", "x"}, "labels": {pairs{}, pairs{"a": "b"}}, "compliance": {texts{}, texts{"pci"}},

	"reason_pattern":   {"", "^CHG", "^TKT"},
	"allowed_types":    {texts{}, texts{"aes256-gcm96"}, texts{"chacha20-poly1305", "aes256-gcm96"}, texts{"rsa-2048"}, texts{"aes128-gcm96"}},
	"deny_after":       {pairs{}, pairs{"aes256-gcm96": "2030-12-31"}, pairs{"aes256-gcm96": "2031-01-01T00:00:00Z"}, pairs{"aes256-gcm96": "2031-01-02", "rsa-2048": "2030-01-01"}},
	"next_type":        {pairs{}, pairs{"aes128-gcm96": "aes256-gcm96"}, pairs{"rsa-2048": "rsa-4096"}},
	"approvals":        {pairs{}, pairs{"retire": "2 of a, b"}, pairs{"retire": "3 of b"}, pairs{"retire": "1 of a, b", "policy": "1 of c"}, pairs{"retire": "not creator", "policy": "2 of c"}, pairs{"promote": "not creator", "retire": "2 of b, a"}},
	"approval_ttl":     {"72h", "3d", "1h", "14d"},
	"execution_ttl":    {"24h", "5m", "3d"},
	"approval_exclude": {texts{"requester", "creator"}, texts{"creator"}, texts{}, texts{"creator", "author"}, texts{"requester"}},

	"rotation_mode":          {"auto", "manual", "notify"},
	"hsm":                    {"optional", "required"},
	"on_limit":               {"rotate", "block"},
	"compromised_processing": {"allow", "deny"},
	"suspended_processing":   {"deny", "allow"},
	"exportable":             {false, true},
	"allow_plaintext_backup": {false, true},
	"allow_pinned_encrypt":   {false, true},
	"erase_private_key":      {false, true},

	"require_reason":    {texts{}, texts{"retire"}, texts{"retire", "hold"}, texts{"hold", "retire"}, texts{"recover"}},
	"pre_checks":        {texts{}, texts{"clock_sane"}, texts{"clock_sane", "hsm_healthy"}},
	"post_checks":       {texts{"round_trip"}, texts{}},
	"rotation_schedule": {"", "0 3 1 * *", "0 3 * * *"},
	"rotation_zone":     {"", "Europe/Berlin"},
	"rotation_window":   {"", "0 2 * * 6", "0 22 * * *"},
	"rotation_blackout": {texts{}, texts{"12-24"}, texts{"12-15/01-05"}},

	"min_strength_bits": {112, 0, 128, 256}, "min_versions_kept": {2, 0, 5}, "rotation_retry_cycles": {5, 1, 9},
	"max_encryptions": {int64(policy.LimitByType), int64(0), int64(1000), int64(3_865_470_566), int64(1 << 40)},
	"max_bytes":       {int64(0), int64(1 << 20), int64(1 << 40)},

	"rotation_jitter": {"5%", "0", "10%", "1h", "0%", "60m"},
	"rotation_period": {"90d", "0", "30d", "720h", "1d", "400d"}, "rotation_window_length": {"4h", "8h", "240m"},
	"rotation_retry_base": {"1m", "10m", "60s"}, "rotation_retry_max": {"1h", "2d", "20m"},
	"staging_time": {"0", "1h", "2d"}, "rollback_window": {"", "0", "12h", "24h", "5d"},
	"originator_period": {"", "0", "100d", "365d", "500d"},
	"recipient_period":  {"1095d", "0", "60d"}, "archive_after": {"0", "5d", "60d"}, "retire_after": {"0", "1d", "30d"},
	"quiet_period": {"14d", "0", "30d"}, "destroy_delay": {"30d", "24h", "60d"}, "drill_every": {"0", "365d", "30d"}, "notify_before": {"30d", "0", "60d"},
}

// neutralFields allow and forbid nothing.
var neutralFields = []string{"owner", "description", "labels", "compliance"}

// with is a document with one value of a field.
func with(t testing.TB, doc policy.Document, f policy.Field, value any) policy.Document {
	t.Helper()
	require.NoError(t, f.Set(&doc, value), f.Name)
	return doc
}

func TestEachFieldOfAPolicySaysWhatIsLooser(t *testing.T) {
	var compared []string
	for _, f := range policy.Fields() {
		require.NotNil(t, f.Looser, "%s has no column", f.Name)
		require.NotEmpty(t, values[f.Name], "no values of the new field %s", f.Name)
		looser := false
		a, b := reflect.ValueOf(policy.DefaultDocument()), reflect.Value{}
		for _, one := range values[f.Name] {
			b = reflect.ValueOf(with(t, policy.DefaultDocument(), f, one))
			for _, other := range values[f.Name] {
				from, to := with(t, policy.DefaultDocument(), f, one), with(t, policy.DefaultDocument(), f, other)
				found := policy.Looser(from, to)
				for _, l := range found {
					require.Equal(t, policy.Loosening{Field: f.Name, From: f.Text(from), To: f.Text(to), Why: l.Why}, l)
				}
				looser = looser || len(found) > 0
			}
			for _, place := range reflect.VisibleFields(a.Type()) {
				if !reflect.DeepEqual(a.FieldByIndex(place.Index).Interface(), b.FieldByIndex(place.Index).Interface()) && !slices.Contains(compared, place.Name) {
					compared = append(compared, place.Name)
				}
			}
		}
		require.Equal(t, !slices.Contains(neutralFields, f.Name), looser, f.Name)
	}
	for _, place := range reflect.VisibleFields(reflect.TypeFor[policy.Document]()) {
		require.True(t, place.Name == "Source" || slices.Contains(compared, place.Name), "%s has no row, so a looser one is not found out", place.Name)
	}
}

// TestNotLooserIsAPreorder is what makes a chain of revisions as strict as its links.
func TestNotLooserIsAPreorder(t *testing.T) {
	for _, f := range policy.Fields() {
		notLooser := func(one, other any) bool {
			return f.Looser(with(t, policy.Document{}, f, one), with(t, policy.Document{}, f, other)) == ""
		}
		for _, a := range values[f.Name] {
			require.True(t, notLooser(a, a), "%s: %v is looser than itself", f.Name, a)
			for _, b := range values[f.Name] {
				for _, c := range values[f.Name] {
					require.False(t, notLooser(a, b) && notLooser(b, c) && !notLooser(a, c), "%s: %v, %v, %v", f.Name, a, b, c)
				}
			}
		}
	}
}

func TestWhatIsLooser(t *testing.T) {
	for _, row := range []struct {
		field    string
		from, to any
		why      string // empty: it is not
	}{
		{"approvals", pairs{"retire": "2 of a"}, pairs{}, "retire: nobody's consent is needed"},
		{"approvals", pairs{"retire": "2 of a"}, pairs{"retire": "1 of a", "promote": "1 of z"}, "retire: fewer persons"},
		{"approvals", pairs{"retire": "2 of a"}, pairs{"retire": "2 of a, b"}, "retire: persons of other groups count"},
		{"approvals", pairs{"retire": "2 of a"}, pairs{"retire": "3 of b"}, "retire: persons of other groups count"},
		{"approvals", pairs{"retire": "2 of a, b"}, pairs{"retire": "2 of b"}, ""},
		{"approvals", pairs{"retire": "2 of a, b"}, pairs{"retire": "2 of b,a"}, ""},
		{"approvals", pairs{"retire": "not creator"}, pairs{"retire": "2 of a"}, "retire: which of the two is stricter cannot be told"},
		{"approvals", pairs{"retire": "2 of a", "policy": "2 of a"}, pairs{"promote": "1 of a"}, "policy: nobody's consent is needed; retire: nobody's consent is needed"},
		{"approvals", pairs{}, pairs{"retire": "1 of everybody"}, ""},
		{"approval_ttl", "72h", "4d", "requests are open for longer"},
		{"approval_ttl", "72h", "3d", ""},
		{"execution_ttl", "24h", "25h", "consent can be used for longer"},
		{"approval_exclude", texts{"requester", "creator"}, texts{"requester"}, "counted as an approver: creator"},
		{"approval_exclude", texts{"requester", "creator"}, texts{"creator"}, ""},
		{"drill_every", "365d", "0", "drills are due less often"},
		{"drill_every", "0", "365d", ""},
		{"notify_before", "30d", "0", "an end that comes near is told later"},
		{"notify_before", "0", "30d", ""},
		{"allowed_types", texts{"aes256-gcm96"}, texts{}, "any type is admitted"},
		{"allowed_types", texts{"aes256-gcm96"}, texts{"aes128-gcm96", "aes256-gcm96"}, "more types: aes128-gcm96"},
		{"allowed_types", texts{}, texts{"aes128-gcm96"}, ""},
		{"deny_after", pairs{"rsa-2048": "2030-12-31"}, pairs{}, "rsa-2048 gets versions for longer"},
		{"deny_after", pairs{"rsa-2048": "2030-12-31"}, pairs{"rsa-2048": "2031-01-01T00:00:00Z"}, ""},
		{"reason_pattern", "^CHG", "", "which of the two is stricter cannot be told"},
		{"reason_pattern", "", "^CHG", ""},
		{"require_reason", texts{"retire", "hold"}, texts{"hold"}, "without a reason: retire"},
		{"rotation_mode", "manual", "notify", ""},
		{"rotation_mode", "manual", "auto", "which of the two is stricter cannot be told"},
		{"rotation_period", "90d", "0", "keys rotate later"},
		{"rotation_period", "0", "90d", ""},
		{"rotation_period", "30d", "720h", ""},
		{"rotation_jitter", "5%", "1s", "keys rotate later"},
		{"max_encryptions", int64(policy.LimitByType), int64(1 << 40), "a version protects more"},
		{"max_encryptions", int64(1000), int64(policy.LimitByType), "a version protects more"},
		{"max_encryptions", int64(policy.LimitByType), int64(1000), ""},
		{"max_encryptions", int64(0), int64(policy.LimitByType), ""},
		{"max_bytes", int64(1 << 20), int64(0), "a version protects more"},
		{"rollback_window", "", "1h", "a version can be rolled back for longer"},
		{"rollback_window", "23h", "", "a version can be rolled back for longer"},
		{"rollback_window", "24h", "", ""},
		{"originator_period", "500d", "", "a version protects for longer"},
		{"originator_period", "", "365d", ""},
		{"originator_period", "", "366d", "a version protects for longer"},
		{"originator_period", "400d", "0", "a version protects for longer"},
		{"recipient_period", "60d", "0", "old versions are in use for longer"},
		{"recipient_period", "60d", "30d", "versions are archived earlier"},
		{"retire_after", "0", "1d", "versions are retired earlier"},
		{"erase_private_key", false, true, "private halves are erased for good"},
		{"min_versions_kept", 2, 1, "versions are archived earlier"},
		{"quiet_period", "14d", "13d", "versions are retired sooner after a denied use"},
		{"destroy_delay", "30d", "29d", "retired versions are destroyed earlier"},
	} {
		i := slices.IndexFunc(policy.Fields(), func(f policy.Field) bool { return f.Name == row.field })
		f := policy.Fields()[i]
		from, to := with(t, policy.DefaultDocument(), f, row.from), with(t, policy.DefaultDocument(), f, row.to)
		require.Equal(t, row.why, f.Looser(from, to), "%s: %v -> %v", row.field, row.from, row.to)
	}
}

func TestNoPolicyIsLooserThanAny(t *testing.T) {
	p := policyOf(t)
	require.Equal(t, []policy.Loosening{{Field: "policy", From: "pci", Why: "no policy asks for nothing"}}, policy.LooserThan(p, nil))
	require.Empty(t, policy.LooserThan(nil, p))
	require.Empty(t, policy.LooserThan(nil, nil))
	require.Empty(t, policy.LooserThan(p, p))
	require.Len(t, policy.LooserThan(p, policyOf(t, func(d *policy.Document) { d.Exportable = true })), 1)
}

// revised changes a few fields of a policy at random, so that it holds all rules.
func revised(t testing.TB, r *rand.Rand, p *policy.Policy) *policy.Policy {
	fields := policy.Fields()
	for {
		doc := p.Document
		for range 1 + r.IntN(3) {
			f := fields[r.IntN(len(fields))]
			doc = with(t, doc, f, values[f.Name][r.IntN(len(values[f.Name]))])
		}
		if next, err := policy.New("pci", p.Revision+1, doc, start); err == nil {
			return &next
		}
	}
}

// TestNoChainOfStricterRevisionsLoosens also holds the columns to what a policy does: what is not looser admits, allows and
// leaves out nothing that the first revision did not.
func TestNoChainOfStricterRevisionsLoosens(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const chains = 40
	moved := 0
	for range chains {
		first := policyOf(t)
		for range 10 {
			first = revised(t, r, first)
		}
		last := first
		for range 25 {
			if next := revised(t, r, last); len(policy.LooserThan(last, next)) == 0 {
				last = next
			}
		}
		require.Empty(t, policy.LooserThan(first, last), "%+v\n%+v", first.Document, last.Document)
		requireNoMore(t, first, last)
		if last.Hash != first.Hash {
			moved++
		}
	}
	require.Greater(t, moved, chains*3/4, "hardly a revision was stricter, so that the test says nothing")
}

func requireNoMore(t *testing.T, from, to *policy.Policy) {
	t.Helper()
	says := []any{"%+v\n%+v", from.Document, to.Document}
	for _, kind := range keytype.Names() {
		for flags := range 8 {
			k := policy.Attributes{Type: keytype.Type(kind), Convergent: flags&1 > 0, Exportable: flags&2 > 0, AllowPlaintextBackup: flags&4 > 0}
			for _, now := range []time.Time{start, utc(t, "2030-12-31T23:59:59Z"), utc(t, "2031-01-01T12:00:00Z")} {
				require.False(t, to.Admits(k, now) == nil && from.Admits(k, now) != nil, says...)
			}
			requireRulesNoMore(t, policy.RulesFor(from, true, k), policy.RulesFor(to, true, k), says)
		}
	}
	for _, act := range acts.All() {
		for _, reason := range []string{"", "CHG-4711: as the ticket says", "^TKT", "TKT-4711: as the ticket says"} {
			require.False(t, to.CheckReason(act.Name, reason) == nil && from.CheckReason(act.Name, reason) != nil, says...)
		}
	}
	for _, gate := range acts.Gates(acts.Version, acts.Key, acts.Policy) {
		before, asked := from.Approval(gate)
		after, asks := to.Approval(gate)
		require.False(t, asked && (!asks || after.Need < before.Need || after.NotCreator != before.NotCreator), says...)
		for _, group := range after.Groups {
			require.True(t, !asked || slices.Contains(before.Groups, group), says...)
		}
	}
	for n := range 8 {
		require.LessOrEqual(t, to.Backoff(n), from.Backoff(n), says...)
	}
	require.LessOrEqual(t, to.ApprovalTTL(), from.ApprovalTTL(), says...)
	require.LessOrEqual(t, to.ExecutionTTL(), from.ExecutionTTL(), says...)
}

func requireRulesNoMore(t *testing.T, from, to policy.EffectiveRules, says []any) {
	t.Helper()
	require.LessOrEqual(t, to.RollbackWindow, from.RollbackWindow, says...)
	require.True(t, from.OriginatorPeriod == 0 || (to.OriginatorPeriod > 0 && to.OriginatorPeriod <= from.OriginatorPeriod), says...)
	require.Equal(t, []any{from.ArchiveAfter, from.RetireAfter, from.MinVersionsKept, from.ErasePrivateKey, from.Lapses},
		[]any{to.ArchiveAfter, to.RetireAfter, to.MinVersionsKept, to.ErasePrivateKey, to.Lapses}, says...)
	require.GreaterOrEqual(t, to.QuietPeriod, from.QuietPeriod, says...)
	require.GreaterOrEqual(t, to.DestroyDelay, from.DestroyDelay, says...)
	require.False(t, to.PinnedEncrypt && !from.PinnedEncrypt, says...)
	require.False(t, to.CompromisedProcessing && !from.CompromisedProcessing, says...)
	require.False(t, to.SuspendedProcessing && !from.SuspendedProcessing, says...)
	require.False(t, to.OnLimit == policy.OnLimitRotate && from.OnLimit == policy.OnLimitBlock, says...)
	for _, n := range []int64{1001, 1<<20 + 1, 4_000_000_000, 1 << 62} {
		for _, u := range []policy.Usage{{Encryptions: n}, {Bytes: n}} {
			require.False(t, from.Limits.Exceeded(u) && !to.Limits.Exceeded(u), says...)
		}
	}
}
