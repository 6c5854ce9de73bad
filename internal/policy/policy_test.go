// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

func TestDefaultsOfAPolicy(t *testing.T) {
	doc := policy.DefaultDocument()
	require.Equal(t, 112, doc.MinStrengthBits)
	require.Equal(t, span(t, "90d"), doc.RotationPeriod)
	require.Equal(t, jitter(t, "5%"), doc.RotationJitter)
	require.Equal(t, policy.Auto, doc.RotationMode)
	require.Equal(t, policy.Optional, doc.HSM)
	require.Equal(t, []schedule.Span{span(t, "1m"), span(t, "1h")}, []schedule.Span{doc.RotationRetryBase, doc.RotationRetryMax})
	require.Equal(t, 5, doc.RotationRetryCycles)
	require.EqualValues(t, policy.LimitByType, doc.MaxEncryptions)
	require.Zero(t, doc.MaxBytes)
	require.Equal(t, policy.OnLimitRotate, doc.OnLimit)
	require.Equal(t, []string{"hsm_healthy", "storage_writable", "clock_sane"}, doc.PreChecks)
	require.Equal(t, []string{"round_trip", "old_version_decrypts", "fingerprint_unique"}, doc.PostChecks)
	require.Zero(t, doc.RotationWindow, "always open")
	require.Empty(t, doc.Owner, "an owner has to be named")

	doc.Owner = "payments"
	_, err := policy.New("pci", 1, doc, start)
	require.NoError(t, err, "the defaults are valid")
}

func TestPolicyIsItsDocumentWithNumberAndDate(t *testing.T) {
	p, err := policy.New("pci", 7, document(t), start)
	require.NoError(t, err)
	require.Equal(t, []any{"pci", 7, start, document(t)}, []any{p.Name, p.Revision, p.Created, p.Document})
	require.Zero(t, p.LongerQuiet)
	stored, err := policy.Stored(policy.Policy{Name: "pci", Revision: 7, Hash: p.Hash, Created: start, Document: document(t)})
	require.NoError(t, err)
	require.Equal(t, p, stored, "what is read back decides as what was written")
}

// documentHash is the digest of document; it may never change, as stored records name their revisions by it.
const documentHash = "8ec602f1692b68e34d72bb5983cb0b1ec2bde7e69a4daab503d3f932af6fe729"

func TestHashOfADocumentNeverChanges(t *testing.T) {
	first := document(t)
	for _, f := range policy.Fields() {
		if f.Sparse { // which the first release did not have
			require.NoError(t, f.Set(&first, f.Value(policy.DefaultDocument())))
		}
	}
	require.Equal(t, documentHash, hashOf(t, first))
	first.RotationBlackout = []string{}
	require.Equal(t, documentHash, hashOf(t, first))
}

func TestHashDependsOnTheContentAlone(t *testing.T) {
	a, err := policy.New("pci", 1, document(t), start)
	require.NoError(t, err)
	b, err := policy.New("other", 2, document(t), start.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, a.Hash, b.Hash)
}

func TestHashIsTheSameForNoTypesAndAnEmptyList(t *testing.T) {
	absent, empty := document(t), document(t)
	absent.AllowedTypes, empty.AllowedTypes = nil, []keytype.Type{}
	require.Equal(t, hashOf(t, absent), hashOf(t, empty), "both mean any type")
}

// edits change one field each; the source text is no part of the content.
func edits(t testing.TB) map[string]func(*policy.Document) {
	return map[string]func(*policy.Document){
		"Description":          func(d *policy.Document) { d.Description = "" },
		"Owner":                func(d *policy.Document) { d.Owner = "payment" },
		"AllowedTypes":         func(d *policy.Document) { d.AllowedTypes = d.AllowedTypes[:1] },
		"MinStrengthBits":      func(d *policy.Document) { d.MinStrengthBits = 255 },
		"DenyAfter":            func(d *policy.Document) { d.DenyAfter[keytype.AES128GCM96] = "2031-01-01" },
		"NextType":             func(d *policy.Document) { d.NextType = nil },
		"Exportable":           func(d *policy.Document) { d.Exportable = false },
		"AllowPlaintextBackup": func(d *policy.Document) { d.AllowPlaintextBackup = false },
		"HSM":                  func(d *policy.Document) { d.HSM = policy.Optional },

		"RotationMode":         func(d *policy.Document) { d.RotationMode = policy.Notify },
		"RotationPeriod":       func(d *policy.Document) { d.RotationPeriod = span(t, "720h") }, // the same time, written otherwise
		"RotationSchedule":     func(d *policy.Document) { d.RotationSchedule = "0 3 1 * *" },
		"RotationZone":         func(d *policy.Document) { d.RotationZone = "Europe/Paris" },
		"RotationJitter":       func(d *policy.Document) { d.RotationJitter = jitter(t, "3d") },
		"RotationWindow":       func(d *policy.Document) { d.RotationWindow = "0 2 * * SAT" },
		"RotationWindowLength": func(d *policy.Document) { d.RotationWindowLength = span(t, "360m") },
		"RotationBlackout":     func(d *policy.Document) { d.RotationBlackout = nil },
		"RotationRetryBase":    func(d *policy.Document) { d.RotationRetryBase = span(t, "120s") },
		"RotationRetryMax":     func(d *policy.Document) { d.RotationRetryMax = span(t, "120m") },
		"RotationRetryCycles":  func(d *policy.Document) { d.RotationRetryCycles = 8 },
		"MaxEncryptions":       func(d *policy.Document) { d.MaxEncryptions = policy.LimitByType },
		"MaxBytes":             func(d *policy.Document) { d.MaxBytes = 0 },
		"OnLimit":              func(d *policy.Document) { d.OnLimit = policy.OnLimitRotate },
		"PreChecks":            func(d *policy.Document) { d.PreChecks = nil },
		"PostChecks":           func(d *policy.Document) { d.PostChecks = []string{"fingerprint_unique", "round_trip"} },

		"AllowPinnedEncrypt":    func(d *policy.Document) { d.AllowPinnedEncrypt = false },
		"ErasePrivateKey":       func(d *policy.Document) { d.ErasePrivateKey = false },
		"StagingTime":           func(d *policy.Document) { d.StagingTime = span(t, "48h") },
		"RollbackWindow":        func(d *policy.Document) { d.RollbackWindow = schedule.Span{} },
		"OriginatorPeriod":      func(d *policy.Document) { d.OriginatorPeriod = span(t, "401d") },
		"RecipientPeriod":       func(d *policy.Document) { d.RecipientPeriod = span(t, "731d") },
		"ArchiveAfter":          func(d *policy.Document) { d.ArchiveAfter = span(t, "61d") },
		"RetireAfter":           func(d *policy.Document) { d.RetireAfter = span(t, "91d") },
		"QuietPeriod":           func(d *policy.Document) { d.QuietPeriod = span(t, "8d") },
		"DestroyDelay":          func(d *policy.Document) { d.DestroyDelay = span(t, "46d") },
		"MinVersionsKept":       func(d *policy.Document) { d.MinVersionsKept = 4 },
		"CompromisedProcessing": func(d *policy.Document) { d.CompromisedProcessing = policy.Allow },
		"SuspendedProcessing":   func(d *policy.Document) { d.SuspendedProcessing = policy.Deny },
		"RequireReason":         func(d *policy.Document) { d.RequireReason = []string{"hold", "retire"} },
		"ReasonPattern":         func(d *policy.Document) { d.ReasonPattern = "" },

		"Approvals":       func(d *policy.Document) { d.Approvals["retire"] = "1 of key-approvers" },
		"ApprovalTTL":     func(d *policy.Document) { d.ApprovalTTL = span(t, "2d") },
		"ExecutionTTL":    func(d *policy.Document) { d.ExecutionTTL = span(t, "720m") },
		"ApprovalExclude": func(d *policy.Document) { d.ApprovalExclude = nil },
		"NotifyBefore":    func(d *policy.Document) { d.NotifyBefore = span(t, "30d") },
		"DrillEvery":      func(d *policy.Document) { d.DrillEvery = span(t, "0") },

		"Labels":     func(d *policy.Document) { d.Labels["env"] = "test" },
		"Compliance": func(d *policy.Document) { d.Compliance = append(d.Compliance, "nist-800-57/5.3.6") },
	}
}

func TestHashDiffersWhenAnyFieldDiffers(t *testing.T) {
	requireFilled(t, document(t))
	bare := document(t)
	bare.RotationPeriod = span(t, "0") // where there is a schedule
	seen := map[string]string{hashOf(t, document(t)): "the document", hashOf(t, bare): "the document without a period"}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[policy.Document]()) {
		doc := document(t)
		if field.Name == "Source" {
			continue
		}
		if field.Name == "RotationSchedule" {
			doc = bare
		}
		edit, ok := edits(t)[field.Name]
		require.True(t, ok, "no test for the new field %s", field.Name)
		edit(&doc)
		hash := hashOf(t, doc)
		require.Empty(t, seen[hash], "%s does not change the hash", field.Name)
		seen[hash] = field.Name
	}
}

func TestHashIsOfTheContentAndNotOfItsSourceText(t *testing.T) {
	a, b := policyOf(t), policyOf(t, func(d *policy.Document) { d.Source = "owner = \"payments\"" })
	require.Equal(t, a.Hash, b.Hash)
	require.True(t, a.Same(*policyOf(t)))
	require.False(t, a.Same(*b), "what an author reads back has changed")
	require.False(t, a.Same(*newPolicy(t, "91d", "5%", policy.Auto)))
}

// requireFilled holds that the document has no field at its zero value, so that a test sees it get lost.
func requireFilled(t *testing.T, doc policy.Document) {
	t.Helper()
	for _, field := range reflect.VisibleFields(reflect.TypeFor[policy.Document]()) {
		set := !reflect.ValueOf(doc).FieldByName(field.Name).IsZero()
		require.True(t, set || field.Name == "RotationSchedule", field.Name)
	}
}

func TestPolicyDoesNotShareItsListsWithTheCaller(t *testing.T) {
	doc := document(t)
	p, err := policy.New("pci", 1, doc, start)
	require.NoError(t, err)
	shared := 0
	for _, field := range reflect.VisibleFields(reflect.TypeFor[policy.Document]()) {
		switch v := reflect.ValueOf(&doc).Elem().FieldByName(field.Name); v.Kind() {
		case reflect.Slice:
			shared++
			v.Index(0).SetString("edited")
		case reflect.Map:
			shared++
			v.SetMapIndex(v.MapKeys()[0], reflect.ValueOf("edited").Convert(v.Type().Elem()))
		default:
		}
	}
	require.Equal(t, 11, shared)
	require.Equal(t, document(t), p.Document)
}

func hashOf(t *testing.T, doc policy.Document) string {
	t.Helper()
	p, err := policy.New("pci", 1, doc, start)
	require.NoError(t, err)
	require.Len(t, p.Hash, 64)
	return p.Hash
}
