// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	catalogue "github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/keyring"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/keylife/vault-plugin-keylife/internal/storagetest"
	"github.com/keylife/vault-plugin-keylife/internal/tokens"
	"github.com/stretchr/testify/require"
)

// The files of testdata/schema1 are records as release 1 writes them. They may never be edited: every later release
// has to read them.

func golden(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "schema1", name+".json"))
	require.NoError(t, err)
	return string(data)
}

func goldenKey() lifecycle.Key {
	return lifecycle.Key{
		ID: "6f72646572", Name: "orders", Type: keytype.AES128GCM96, Derived: true, Convergent: true,
		Exportable: true, AllowPlaintextBackup: true, DeletionAllowed: true,
		Origin: lifecycle.Origin{Imported: true, AllowRotation: true, PublicOnly: []int{2}}, Certificates: lifecycle.Certificates{{Version: 2, Digest: "0a1b"}},
		Policy: "pci", Owner: "payments", Labels: map[string]string{"env": "prod", "team": "cards"},
		AutoRotatePeriod: time.Hour, Uses: []lifecycle.AllowedUse{lifecycle.UseDecrypt, lifecycle.UseRewrap}, Latest: 3, Primary: 2, Staged: 3, MinDecryption: 2, MinEncryption: 3, MinAvailable: 1,
		DestroyedBelow: 1,
		Overrides: map[int]lifecycle.StateOverride{
			1: {
				State: lifecycle.Retired, At: start, Before: lifecycle.Compromised, DestroyAt: start.Add(720 * time.Hour), Locked: true,
				Compromise: lifecycle.Compromise{Code: "key compromise", Occurred: start.Add(-time.Hour), Reported: start},
			},
			2: {
				State: lifecycle.Suspended, At: start.Add(time.Hour), Before: lifecycle.Deactivated, Ended: start, Lapsed: true,
			},
		},
		Status:       lifecycle.KeyStatus{State: lifecycle.KeyRetired, At: start, DestroyAt: start.Add(240 * time.Hour), Before: lifecycle.KeySuspended},
		Predecessors: []lifecycle.Predecessor{{Version: 1, Since: start}},
		Hold:         true, Oldest: lifecycle.Oldest{Version: 1, Deactivated: start.Add(time.Hour)},
		Created: start.Add(1), Recent: []time.Time{start, start.Add(time.Hour), start.Add(2 * time.Hour)},
		Rotation: lifecycle.Rotation{
			Base: start.Add(2 * time.Hour), Last: start.Add(3 * time.Hour), Promoted: start.Add(4 * time.Hour), Trigger: lifecycle.BySchedule,
			Reason: "yearly audit", Failures: 2, LastError: "token removed",
			FailedAt: start.Add(4 * time.Hour), RetryAt: start.Add(5 * time.Hour),
			Exhausted: 2, ExhaustedAt: start.Add(6 * time.Hour), ExhaustedBy: policy.Usage{Encryptions: 1001, Bytes: 4096},
			ChecksPending: true, PriorBase: start.Add(time.Hour), PriorFailures: 4,
		},
		Alerts:   lifecycle.Alerts{{Status: lifecycle.Stalled, Since: start.Add(7 * time.Hour)}},
		LastActs: lifecycle.LastActs{Since: 1, Versions: []lifecycle.VersionAct{{Version: 2, Act: 1}}},
		Due:      start.Add(time.Hour), Revision: 9,
	}
}

func goldenVersion() lifecycle.Version {
	return lifecycle.Version{KeyID: "6f72646572", Number: 2, Created: start.Add(time.Hour), Fingerprint: "a1b2", Sealed: []byte("sealed")}
}

func goldenPolicy(t *testing.T) policy.Policy {
	span := func(text string) schedule.Span {
		s, err := schedule.ParseSpan(text)
		require.NoError(t, err)
		return s
	}
	jitter, err := schedule.ParseJitter("2.50%")
	require.NoError(t, err)
	p, err := policy.Stored(policy.Policy{
		Name: "pci", Revision: 4, Hash: "0123abcd", Created: start,
		LongerQuiet: policy.LongerQuietPeriod{Before: start.Add(-time.Hour), Quiet: 240 * time.Hour},
		Document: policy.Document{
			Description: "card data", Owner: "payments", AllowedTypes: []keytype.Type{keytype.AES256GCM96}, MinStrengthBits: 128,
			DenyAfter: map[keytype.Type]string{keytype.AES128GCM96: "2030-12-31"}, NextType: map[keytype.Type]keytype.Type{},
			Exportable: true, AllowPlaintextBackup: true, HSM: policy.Required,
			RotationMode: policy.Notify, RotationPeriod: span("0"), RotationSchedule: "0 3 1 * *", RotationZone: "Europe/Berlin",
			RotationJitter: jitter, RotationWindow: "0 2 * * SAT", RotationBlackout: []string{}, RotationWindowLength: span("6h"),
			RotationRetryBase: span("2m"), RotationRetryMax: span("2h"), RotationRetryCycles: 7,
			MaxEncryptions: 1 << 40, MaxBytes: 1 << 50, OnLimit: policy.OnLimitBlock,
			PreChecks: []string{"clock_sane"}, PostChecks: []string{"round_trip"},
			AllowPinnedEncrypt: true, StagingTime: span("1h"), RollbackWindow: span("2h"), OriginatorPeriod: span("400d"),
			RecipientPeriod: span("8d"), ArchiveAfter: span("4d"), RetireAfter: span("5d"), QuietPeriod: span("6d"), DestroyDelay: span("7d"),
			MinVersionsKept: 3, CompromisedProcessing: policy.Deny, SuspendedProcessing: policy.Allow,
			RequireReason: []string{"retire", "hold"}, ReasonPattern: "^CHG",
			Approvals: map[catalogue.Gate]string{}, ApprovalTTL: span("72h"), ExecutionTTL: span("24h"), DrillEvery: span("0"), NotifyBefore: span("30d"),
			ApprovalExclude: []consent.Exclusion{consent.ExcludeRequester, consent.ExcludeCreator},
			Labels:          map[string]string{"env": "prod"}, Compliance: []string{"pci-dss-4.0.1/3.7.4"}, Source: "policy {}",
		},
	})
	require.NoError(t, err)
	return p
}

func goldenKeyring() keyring.KEKs {
	kek := func(id, key byte) keyring.KEK {
		k := keyring.KEK{Key: make([]byte, 32), Created: start}
		for i := range k.ID {
			k.ID[i] = id + byte(i)
		}
		for i := range k.Key {
			k.Key[i] = key + byte(i)
		}
		return k
	}
	return keyring.KEKs{Instance: "8f14", Use: kek(0, 0xa0), Archive: kek(0x10, 0xc0)}
}

func TestGoldenKeyDecodes(t *testing.T) {
	w := load(t, map[string]string{"keys/orders": golden(t, "key")})
	k, err := w.Key(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, goldenKey(), k)
}

func TestAKeyThatWasStoredWithoutTheUsageThatExhaustedItDecodes(t *testing.T) {
	old := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(golden(t, "key")), &old))
	delete(old, "rotation_exhausted_by")
	data, err := json.Marshal(old)
	require.NoError(t, err)
	k, err := load(t, map[string]string{"keys/orders": string(data)}).Key(ctx, "orders")
	require.NoError(t, err)
	want := goldenKey()
	want.Rotation.ExhaustedBy = policy.Usage{}
	require.Equal(t, want, k)
}

// TestGoldenKeyOfAnEarlierBuildDecodes holds that what was added since is left empty.
func TestGoldenKeyOfAnEarlierBuildDecodes(t *testing.T) {
	k, err := load(t, map[string]string{"keys/orders": golden(t, "key-first")}).Key(ctx, "orders")
	require.NoError(t, err)
	want := goldenKey()
	want.Predecessors, want.Status.Before, want.LastActs, want.Origin = nil, lifecycle.Enabled, lifecycle.LastActs{}, lifecycle.Origin{}
	want.Certificates, want.Uses = nil, nil
	want.Rotation.ExhaustedBy = policy.Usage{}
	want.Overrides[2] = lifecycle.StateOverride{State: lifecycle.Suspended, At: start.Add(time.Hour), Lapsed: true}
	require.Equal(t, want, k)
}

func TestGoldenVersionDecodes(t *testing.T) {
	w := load(t, map[string]string{"versions/orders/2": golden(t, "version")})
	v, err := w.Version(ctx, "orders", 2)
	require.NoError(t, err)
	require.Equal(t, goldenVersion(), v)
}

func TestGoldenDatesDecode(t *testing.T) {
	w := load(t, map[string]string{"dates/orders/0": golden(t, "dates")})
	k := lifecycle.Key{ID: "6f72646572", Name: "orders", Latest: 256}
	dates, err := w.Dates(ctx, k, 1)
	require.NoError(t, err)
	require.Len(t, dates, 256)
	for n, at := range dates {
		require.Equal(t, start.Add(time.Duration(n-1)*time.Hour), at)
	}
}

func TestGoldenPolicyDecodes(t *testing.T) {
	w := load(t, map[string]string{"policies/pci": golden(t, "policy"), "revisions/pci/4": golden(t, "policy")})
	p, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, goldenPolicy(t), p)
	p, err = w.PolicyRevision(ctx, "pci", 4)
	require.NoError(t, err)
	require.Equal(t, goldenPolicy(t), p)
}

// TestGoldenRecordsOfEarlierBuildsDecode holds that records say the same that no custody was kept of.
func TestGoldenRecordsOfEarlierBuildsDecode(t *testing.T) {
	w := load(t, map[string]string{
		"policies/pci": golden(t, "policy-first"), "config/keys": golden(t, "settings-first"), "config/clock": golden(t, "clock-first"),
		"config/custody": golden(t, "custody-first"), "config/kek": golden(t, "kek"),
	})
	p, err := w.Policy(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, goldenPolicy(t), p)
	disabled, err := w.DisableUpsert(ctx)
	require.NoError(t, err)
	require.True(t, disabled)
	clock, err := w.Clock(ctx)
	require.NoError(t, err)
	require.Equal(t, goldenClock(), clock)
	keys, err := w.SigningKeys(ctx)
	require.NoError(t, err)
	requireSameKeys(t, signingKeys(t, 2), keys)

	w.putPolicy(t, "pci", "new")
	require.NoError(t, w.SetDisableUpsert(ctx, false))
	require.NoError(t, w.AcknowledgeClock(ctx, goldenClock()))
	require.Equal(t, "write done", w.story(t, custody.PolicyChain("pci")))
	require.Equal(t, "configure-keys done; acknowledge-clock done", w.story(t, custody.MountChain))
	checkCustody(t, w)
}

func TestGoldenKeyringDecodes(t *testing.T) {
	w := load(t, map[string]string{"config/kek": golden(t, "kek"), "config/archive-kek": golden(t, "archive-kek")})
	ring, found, err := w.Keyring(ctx)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, goldenKeyring(), ring)
}

func TestGoldenSettingsDecode(t *testing.T) {
	disabled, err := load(t, map[string]string{"config/keys": golden(t, "settings")}).DisableUpsert(ctx)
	require.NoError(t, err)
	require.True(t, disabled)
}

func TestGoldenRescheduleIntentDecodes(t *testing.T) {
	w := load(t, map[string]string{"intents/reschedule/pci": golden(t, "reschedule"), "policies/pci": golden(t, "policy")})
	after, revision, err := w.ReindexCursor(ctx, "pci")
	require.NoError(t, err)
	require.Equal(t, "orders", after)
	require.Equal(t, 4, revision)
}

func TestGoldenEraseIntentIsReplayed(t *testing.T) {
	w := load(t, map[string]string{
		"intents/erase/orders":          golden(t, "erase"),
		"versions/orders/2":             golden(t, "version"),
		"dates/orders/0":                golden(t, "dates"),
		"schedule/20260301T1300/orders": "{}",
		"bound/pci/orders":              "{}",
		"archive/orders/1":              golden(t, "version"),
		"intents/settle/orders":         golden(t, "settle"),
		"usage/orders":                  golden(t, "usage"),
		"denied/orders/0":               golden(t, "denied"),
		"leases/orders/2":               golden(t, "lease"),
	})
	require.NoError(t, w.FinishErasure(ctx, "orders"))
	require.Empty(t, w.entries(t))
}

func TestGoldenUsageDecodes(t *testing.T) {
	for path, name := range map[string]string{"usage/orders": "usage", "denied/orders/0": "denied"} {
		got, err := load(t, map[string]string{path: golden(t, name)}).Denied(ctx, goldenKey(), lifecycle.Of(2))
		require.NoError(t, err)
		require.Equal(t, goldenDenied(), got)
	}
}

func goldenDenied() map[int]lifecycle.Denials {
	return map[int]lifecycle.Denials{2: {Count: 3, First: start, Last: start.Add(time.Hour)}, 5: {Count: 1, First: start, Last: start}}
}

func TestGoldenLeaseDecodes(t *testing.T) {
	got, err := load(t, map[string]string{"leases/orders/2": golden(t, "lease")}).Leased(ctx, "orders", goldenKey().ID, 2)
	require.NoError(t, err)
	require.Equal(t, goldenLease(), got)
}

func goldenLease() policy.Usage { return policy.Usage{Encryptions: 65_536, Bytes: 1 << 30} }

func TestGoldenClockDecodes(t *testing.T) {
	got, err := load(t, map[string]string{"config/clock": golden(t, "clock")}).Clock(ctx)
	require.NoError(t, err)
	require.Equal(t, goldenClock(), got)
}

func TestAClockThatWasStoredBeforeLeapsWereCountedDecodes(t *testing.T) {
	old := `{"schema":1,"high":"2026-03-01T12:01:00Z","jumped":"2026-03-01T12:00:00Z"}`
	got, err := load(t, map[string]string{"config/clock": old}).Clock(ctx)
	require.NoError(t, err)
	want := goldenClock()
	want.Leapt = 0
	require.Equal(t, want, got)
}

func goldenClock() lifecycle.Clock {
	return lifecycle.Clock{High: start.Add(time.Minute), Jumped: start, Leapt: 90 * time.Minute}
}

func TestGoldenSigningKeysDecode(t *testing.T) {
	got, err := load(t, map[string]string{"config/custody": golden(t, "custody")}).Signing.SigningKeys(ctx)
	require.NoError(t, err)
	want := signingKeys(t, 2)
	requireSameKeys(t, want[:1], plainOf(got[:1]))
	require.Equal(t, custody.StoredKey{Public: want[1].Public(), Sealed: []byte("sealed")}, got[1])
}

func TestGoldenSettleIntentIsReplayed(t *testing.T) {
	w := load(t, map[string]string{"keys/orders": golden(t, "key"), "intents/settle/orders": golden(t, "settle")})
	require.Equal(t, []int{2, 3}, placed(t, w, "orders"))
	require.NotContains(t, w.entries(t), "intents/settle/orders")
}

func TestGoldenJournalIsFollowed(t *testing.T) {
	w := load(t, map[string]string{
		"config/kek": golden(t, "kek"), "keys/orders": golden(t, "key"),
		"journal/orders/0000000001": golden(t, "journal1"), "journal/orders/0000000002": golden(t, "journal2"),
	})
	head, err := w.JournalHead(ctx, "orders")
	require.NoError(t, err)
	require.Equal(t, custody.Head{Count: 2, Hash: custody.Hash([]byte(golden(t, "journal2")))}, head)
}

func TestGoldenRewrapIntentDecodes(t *testing.T) {
	got, found, err := load(t, map[string]string{"intents/rewrap/use": golden(t, "rewrap")}).Rewrap(ctx, "use")
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, goldenRewrapping(), got)
}

func goldenRewrapping() lifecycle.Rewrapping {
	return lifecycle.Rewrapping{
		Purpose: "use", KEK: [16]byte{1, 2, 3, 0xff}, Run: 1, Started: start, Pass: 2, PassBegan: start.Add(time.Hour), After: "orders",
		Version: 3, Found: 5, Done: 1004, Failed: 1, Resume: start.Add(2 * time.Hour),
		Failures: []lifecycle.RewrapFailure{{Key: "broken", Version: 7, Why: "sealed key material is damaged or belongs to another key"}},
	}
}

// goldenWorld is a mount on which every golden record is written.
func goldenWorld(t *testing.T) *world {
	w := newWorld()
	_, err := w.PutPolicy(ctx, "pci", func(*policy.Policy) (policy.Policy, error) { return goldenPolicy(t), nil })
	require.NoError(t, err)
	require.NoError(t, w.SaveReindexCursor(ctx, "pci", 4, "orders", false))
	c := creation(goldenKey(), goldenVersion())
	c.Event.Reason, c.Event.PolicyRevision, c.Event.Details = "for the golden record", 4, map[string]string{"owner": " -> payments"}
	c.Relocate = lifecycle.Range{From: 2, To: 3}
	require.NoError(t, w.by("r1").CreateKey(ctx, c))
	w.by("")
	require.NoError(t, addDenied(w))
	_, _, err = w.Lease(ctx, "orders", lifecycle.LeaseRequest{KeyID: goldenKey().ID, Version: 2, Need: policy.Usage{Encryptions: 1}, Want: goldenLease()})
	require.NoError(t, err)
	require.NoError(t, w.SetClock(ctx, goldenClock()))
	require.NoError(t, w.SetDisableUpsert(ctx, true))
	for _, key := range signingKeys(t, 2) {
		_, err := w.AddSigningKey(ctx, func([]custody.SigningKey) (*custody.SigningKey, error) { return &key, nil })
		require.NoError(t, err)
	}
	was, err := w.Signing.SigningKeys(ctx)
	require.NoError(t, err)
	replaced, err := w.ReplaceSigningKeys(ctx, was, []custody.StoredKey{was[0], {Public: was[1].Public, Sealed: []byte("sealed")}})
	require.NoError(t, err)
	require.True(t, replaced)
	require.NoError(t, w.BeginRewrap(ctx, "use", goldenRewrapping().KEK))
	stale, err := w.SaveRewrap(ctx, goldenRewrapping())
	require.NoError(t, err)
	require.False(t, stale)
	require.NoError(t, w.SetHSM(ctx, lifecycle.Event{}, func(keyring.HSM) (tokens.Settings, bool, error) { return goldenHSM(), true, nil }))
	require.NoError(t, w.SetKEKs(ctx, func(keyring.HSM) ([]keyring.TokenKEK, lifecycle.Event, error) {
		return []keyring.TokenKEK{goldenKEK()}, lifecycle.Event{}, nil
	}))
	require.NoError(t, w.SetCacheSize(ctx, 1000))
	require.NoError(t, setApprovals(w, goldenApprovals()))
	require.NoError(t, enrol(w, goldenEnrolment()))
	paged := goldenKey()
	paged.Name, paged.Latest, paged.Recent = "paged", 256, nil
	for n := range paged.Latest {
		paged.Recent = append(paged.Recent, start.Add(time.Duration(n)*time.Hour))
	}
	require.NoError(t, w.CreateKey(ctx, creation(paged, goldenVersion())))
	resident, on, noted := goldenResident()
	require.NoError(t, w.PutObject(ctx, noted))
	require.NoError(t, w.CreateKey(ctx, creation(resident, on)))
	require.NoError(t, w.SaveCensus(ctx, goldenCensus()))
	require.NoError(t, w.CreateKey(ctx, creation(goldenKeyWithTwoAlerts(), goldenVersion())))
	last := goldenKey()
	last.Name = "last"
	require.NoError(t, w.CreateKey(ctx, creation(last, goldenVersion())))
	w.disk.FailWriteAs(3, storagetest.Last) // leaves the intent
	_, err = w.DeleteKey(ctx, "last", anyKey, "")
	require.Error(t, err)
	return w
}
