// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/stretchr/testify/require"
)

func TestDefaultsOfAPolicy(t *testing.T) {
	doc := lifecycle.DefaultDocument()
	require.Equal(t, 112, doc.MinStrengthBits)
	require.Equal(t, span(t, "90d"), doc.RotationPeriod)
	require.Equal(t, jitter(t, "5%"), doc.RotationJitter)
	require.Equal(t, lifecycle.Auto, doc.RotationMode)
	require.Empty(t, doc.Owner, "an owner has to be named")

	doc.Owner = "payments"
	_, err := lifecycle.NewPolicy("pci", 1, doc, start)
	require.NoError(t, err, "the defaults are valid")
}

func TestPolicyIsItsDocumentWithNumberAndDate(t *testing.T) {
	p, err := lifecycle.NewPolicy("pci", 7, document(t), start)
	require.NoError(t, err)
	require.Equal(t, lifecycle.Policy{Name: "pci", Revision: 7, Hash: p.Hash, Created: start, Document: document(t)}, p)
}

func TestPolicyIsValidated(t *testing.T) {
	for _, row := range []struct {
		name string
		edit func(*lifecycle.Document)
		text string // empty: valid
	}{
		{"no owner", func(d *lifecycle.Document) { d.Owner = "" }, `owner: "": `},
		{"owner too long", func(d *lifecycle.Document) { d.Owner = strings.Repeat("o", 257) }, "at most 256 bytes"},
		{"longest owner", func(d *lifecycle.Document) { d.Owner = strings.Repeat("o", 256) }, ""},
		{"description too long", func(d *lifecycle.Document) { d.Description = strings.Repeat("d", 4097) }, "at most 4096 bytes"},
		{"longest description", func(d *lifecycle.Document) { d.Description = strings.Repeat("d", 4096) }, ""},
		{"strength below zero", func(d *lifecycle.Document) { d.MinStrengthBits = -1 }, "min_strength_bits: -1: must be between 0 and 256"},
		{"strength too large", func(d *lifecycle.Document) { d.MinStrengthBits = 257 }, "min_strength_bits: 257: must be between 0 and 256"},
		{"no strength", func(d *lifecycle.Document) { d.MinStrengthBits = 0 }, ""},
		{"period too short", func(d *lifecycle.Document) { d.RotationPeriod = span(t, "59s") }, `rotation_period: "59s": must be 0 (no rotation) or at least 1m`},
		{"period below zero", func(d *lifecycle.Document) { d.RotationPeriod = lifecycle.Span{Text: "-1d", Duration: -day} }, `rotation_period: "-1d": `},
		{"shortest period", func(d *lifecycle.Document) {
			d.RotationPeriod, d.StagingTime, d.RollbackWindow = span(t, "1m"), span(t, "0"), lifecycle.Span{}
		}, ""},
		{"no period", func(d *lifecycle.Document) { d.RotationPeriod = span(t, "0") }, ""},
		{"longest jitter in percent", func(d *lifecycle.Document) { d.RotationJitter = jitter(t, "25%") }, ""},
		{"longest jitter", func(d *lifecycle.Document) {
			d.RotationPeriod, d.RotationJitter = span(t, "40d"), jitter(t, "10d")
		}, ""},
		{"jitter too long", func(d *lifecycle.Document) {
			d.RotationPeriod, d.RotationJitter = span(t, "40d"), jitter(t, "10d1s")
		}, `rotation_jitter: "10d1s": must be at most 25% of rotation_period, which is 40d`},
		{"jitter without a period", func(d *lifecycle.Document) {
			d.RotationPeriod, d.RotationJitter = span(t, "0"), jitter(t, "1h")
		}, `rotation_jitter: "1h": `},
		{"notify", func(d *lifecycle.Document) { d.RotationMode = lifecycle.Notify }, ""},
		{"no mode", func(d *lifecycle.Document) { d.RotationMode = "" }, `rotation_mode: "": must be auto, manual or notify`},
		{"unknown mode", func(d *lifecycle.Document) { d.RotationMode = "AUTO" }, `rotation_mode: "AUTO": must be auto, manual or notify`},
		{"any type", func(d *lifecycle.Document) { d.AllowedTypes = nil }, ""},
		{"unknown type", func(d *lifecycle.Document) { d.AllowedTypes[1] = "des" }, `allowed_types: "des": unknown key type`},
		{"type too weak", func(d *lifecycle.Document) { d.AllowedTypes[1] = lifecycle.AES128GCM96 }, `allowed_types: "aes128-gcm96": has 128 bits of strength, less than min_strength_bits`},
	} {
		t.Run(row.name, func(t *testing.T) {
			doc := document(t)
			row.edit(&doc)
			p, err := lifecycle.NewPolicy("pci", 1, doc, start)
			if row.text == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorIs(t, err, lifecycle.ErrInvalid)
			require.ErrorContains(t, err, row.text)
			require.Zero(t, p)
		})
	}
}

// documentHash is the digest of document; it may never change, as stored records name their revisions by it.
const documentHash = "3e29e17aef08ed9ec9b04386e6c61a2eb2fc110429c653ee3045720755e14447"

func TestHashOfADocumentNeverChanges(t *testing.T) {
	require.Equal(t, documentHash, hashOf(t, document(t)))
}

func TestHashDependsOnTheContentAlone(t *testing.T) {
	a, err := lifecycle.NewPolicy("pci", 1, document(t), start)
	require.NoError(t, err)
	b, err := lifecycle.NewPolicy("other", 2, document(t), start.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, a.Hash, b.Hash)
}

func TestHashIsTheSameForNoTypesAndAnEmptyList(t *testing.T) {
	absent, empty := document(t), document(t)
	absent.AllowedTypes, empty.AllowedTypes = nil, []lifecycle.Type{}
	require.Equal(t, hashOf(t, absent), hashOf(t, empty), "both mean any type")
}

func TestHashDiffersWhenAnyFieldDiffers(t *testing.T) {
	edits := map[string]func(*lifecycle.Document){
		"Description":     func(d *lifecycle.Document) { d.Description = "" },
		"Owner":           func(d *lifecycle.Document) { d.Owner = "payment" },
		"AllowedTypes":    func(d *lifecycle.Document) { d.AllowedTypes = d.AllowedTypes[:1] },
		"MinStrengthBits": func(d *lifecycle.Document) { d.MinStrengthBits = 255 },
		"RotationPeriod":  func(d *lifecycle.Document) { d.RotationPeriod = span(t, "720h") }, // the same time, written otherwise
		"RotationJitter":  func(d *lifecycle.Document) { d.RotationJitter = jitter(t, "3d") },
		"RotationMode":    func(d *lifecycle.Document) { d.RotationMode = lifecycle.Notify },

		"AllowPinnedEncrypt":    func(d *lifecycle.Document) { d.AllowPinnedEncrypt = false },
		"StagingTime":           func(d *lifecycle.Document) { d.StagingTime = span(t, "48h") },
		"RollbackWindow":        func(d *lifecycle.Document) { d.RollbackWindow = lifecycle.Span{} },
		"OriginatorPeriod":      func(d *lifecycle.Document) { d.OriginatorPeriod = span(t, "401d") },
		"ArchiveAfter":          func(d *lifecycle.Document) { d.ArchiveAfter = span(t, "61d") },
		"RetireAfter":           func(d *lifecycle.Document) { d.RetireAfter = span(t, "91d") },
		"QuietPeriod":           func(d *lifecycle.Document) { d.QuietPeriod = span(t, "8d") },
		"DestroyDelay":          func(d *lifecycle.Document) { d.DestroyDelay = span(t, "46d") },
		"MinVersionsKept":       func(d *lifecycle.Document) { d.MinVersionsKept = 4 },
		"CompromisedProcessing": func(d *lifecycle.Document) { d.CompromisedProcessing = lifecycle.Allow },
		"SuspendedProcessing":   func(d *lifecycle.Document) { d.SuspendedProcessing = lifecycle.Deny },
		"RequireReason":         func(d *lifecycle.Document) { d.RequireReason = []string{"hold", "retire"} },
	}
	requireFilled(t, document(t))
	seen := map[string]string{hashOf(t, document(t)): "the document"}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[lifecycle.Document]()) {
		edit, ok := edits[field.Name]
		require.True(t, ok, "no test for the new field %s", field.Name)
		doc := document(t)
		edit(&doc)
		hash := hashOf(t, doc)
		require.Empty(t, seen[hash], "%s does not change the hash", field.Name)
		seen[hash] = field.Name
	}
}

// requireFilled holds that the document has no field at its zero value, so that a test sees it get lost.
func requireFilled(t *testing.T, doc lifecycle.Document) {
	t.Helper()
	for _, field := range reflect.VisibleFields(reflect.TypeFor[lifecycle.Document]()) {
		require.False(t, reflect.ValueOf(doc).FieldByName(field.Name).IsZero(), field.Name)
	}
}

func TestPolicyDoesNotShareItsListsWithTheCaller(t *testing.T) {
	doc := document(t)
	p, err := lifecycle.NewPolicy("pci", 1, doc, start)
	require.NoError(t, err)
	doc.AllowedTypes[0] = lifecycle.AES128GCM96
	require.Equal(t, lifecycle.AES256GCM96, p.AllowedTypes[0])
	doc.RequireReason[0] = "delete"
	require.Equal(t, "retire", p.RequireReason[0])
}

func TestPolicyAdmitsTheTypesItAllows(t *testing.T) {
	p, err := lifecycle.NewPolicy("pci", 3, document(t), start)
	require.NoError(t, err)
	require.NoError(t, p.Admits(lifecycle.AES256GCM96))
	require.NoError(t, p.Admits(lifecycle.ChaCha20Poly1305))
	err = p.Admits(lifecycle.AES128GCM96)
	require.ErrorIs(t, err, lifecycle.ErrRefused)
	require.EqualError(t, err, `type: "aes128-gcm96": policy "pci" (revision 3) does not allow this type in allowed_types`)
}

func TestPolicyWithoutAListAdmitsWhatIsStrongEnough(t *testing.T) {
	doc := document(t)
	doc.AllowedTypes, doc.MinStrengthBits = nil, 129
	p, err := lifecycle.NewPolicy("pci", 3, doc, start)
	require.NoError(t, err)
	require.NoError(t, p.Admits(lifecycle.AES256GCM96))
	err = p.Admits(lifecycle.AES128GCM96)
	require.ErrorIs(t, err, lifecycle.ErrRefused)
	require.EqualError(t, err, `type: "aes128-gcm96": has 128 bits of strength; policy "pci" (revision 3) demands min_strength_bits 129`)

	p.MinStrengthBits = 128
	require.NoError(t, p.Admits(lifecycle.AES128GCM96))
}

func hashOf(t *testing.T, doc lifecycle.Document) string {
	t.Helper()
	p, err := lifecycle.NewPolicy("pci", 1, doc, start)
	require.NoError(t, err)
	require.Len(t, p.Hash, 64)
	return p.Hash
}
