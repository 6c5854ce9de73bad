// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/stretchr/testify/require"
)

type doc = *policy.Document

// fieldRule is a value of one field, at the bound of its rule or one past it.
type fieldRule struct {
	field string // of Document
	name  string
	edit  func(doc)
	text  string // of the error: the field, the value and the rule; empty: valid
}

// plain is a document in which no field but those with a rule of their own stands in the way.
func plain(t testing.TB) policy.Document {
	d := document(t)
	d.RotationBlackout = nil
	d.RotationWindow, d.DenyAfter, d.AllowedTypes, d.NextType = "", nil, nil, nil
	return d
}

const knownTypes = "known are aes128-cmac, aes128-gcm96, "

func textRules() []fieldRule {
	long := func(n int) string { return strings.Repeat("x", n) }
	return []fieldRule{
		{"Owner", "none", func(d doc) { d.Owner = "" }, `owner: "": a policy needs an owner`},
		{"Owner", "too long", func(d doc) { d.Owner = long(257) }, `owner: "` + long(120) + `...": at most 256 bytes`},
		{"Owner", "longest", func(d doc) { d.Owner = long(256) }, ""},
		{"Description", "too long", func(d doc) { d.Description = long(4097) }, `description: "` + long(120) + `...": at most 4096 bytes`},
		{"Description", "longest", func(d doc) { d.Description = long(4096) }, ""},
		{"Source", "too long", func(d doc) { d.Source = long(64*1024 + 1) }, `document: "` + long(120) + `...": at most 64 KiB`},
		{"Source", "longest", func(d doc) { d.Source = long(64 * 1024) }, ""},
		{"ReasonPattern", "too long", func(d doc) { d.ReasonPattern = long(257) }, `reason_pattern: "` + long(120) + `...": at most 256 bytes`},
		{"ReasonPattern", "longest", func(d doc) { d.ReasonPattern = long(256) }, ""},
		{"ReasonPattern", "open bracket", func(d doc) { d.ReasonPattern = "CHG[0-9" }, `reason_pattern: "CHG[0-9": must be a regular expression in RE2 syntax`},
		{"ReasonPattern", "look-ahead", func(d doc) { d.ReasonPattern = "(?=a)" }, `reason_pattern: "(?=a)": must be a regular expression in RE2 syntax`},
		{"Labels", "no name", func(d doc) { d.Labels = map[string]string{"": "x"} }, `labels: "": a label's name has 1 to 64 bytes`},
		{"Labels", "long name", func(d doc) { d.Labels = map[string]string{long(65): "x"} }, `labels: "` + long(65) + `": a label's name has 1 to 64 bytes`},
		{"Labels", "long value", func(d doc) { d.Labels = map[string]string{"a": long(257)} }, `...": a label's value has at most 256 bytes`},
		{"Labels", "too many", func(d doc) { d.Labels = labels(65) }, `labels: 65: at most 64 labels`},
		{"Labels", "longest and most", func(d doc) { d.Labels = labels(63); d.Labels[long(64)] = long(256) }, ""},
		{"RotationBlackout", "as many as there may be", func(d doc) { d.RotationBlackout = slices.Repeat([]string{"12-24"}, 64) }, ""},
		{"RotationBlackout", "too many", func(d doc) { d.RotationBlackout = slices.Repeat([]string{"12-24"}, 65) }, `rotation_blackout: 65: at most 64 entries`},
		{"Compliance", "empty entry", func(d doc) { d.Compliance = []string{""} }, `compliance: "": an entry has 1 to 128 bytes`},
		{"Compliance", "long entry", func(d doc) { d.Compliance = []string{long(129)} }, `compliance: "` + long(120) + `...": an entry has 1 to 128 bytes`},
		{"Compliance", "too many", func(d doc) { d.Compliance = make([]string, 65) }, `compliance: 65: at most 64 entries`},
		{"Compliance", "longest and most", func(d doc) { d.Compliance = strings.Split(strings.Repeat(long(128)+",", 63)+"x", ",") }, ""},
	}
}

func labels(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprint(i)] = ""
	}
	return out
}

func typeRules() []fieldRule {
	deny := func(date string) func(doc) {
		return func(d doc) { d.DenyAfter = map[keytype.Type]string{keytype.AES256GCM96: date} }
	}
	next := func(of, to keytype.Type) func(doc) {
		return func(d doc) { d.NextType = map[keytype.Type]keytype.Type{of: to} }
	}
	const rule = `must be a date such as "2030-12-31" or a time in RFC 3339`
	return []fieldRule{
		{"AllowedTypes", "unknown", func(d doc) { d.AllowedTypes = []keytype.Type{"des"} }, `allowed_types: "des": unknown key type; ` + knownTypes},
		{"AllowedTypes", "empty name", func(d doc) { d.AllowedTypes = []keytype.Type{""} }, `allowed_types: "": unknown key type; ` + knownTypes},
		{"AllowedTypes", "too weak", func(d doc) { d.AllowedTypes, d.MinStrengthBits = []keytype.Type{keytype.AES128GCM96}, 129 }, `allowed_types: "aes128-gcm96": has 128 bits of strength, less than min_strength_bits`},
		{"AllowedTypes", "just strong enough", func(d doc) { d.AllowedTypes, d.MinStrengthBits = []keytype.Type{keytype.AES128GCM96}, 128 }, ""},
		{"AllowedTypes", "any", func(d doc) { d.AllowedTypes = nil }, ""},
		{"MinStrengthBits", "below zero", func(d doc) { d.MinStrengthBits = -1 }, "min_strength_bits: -1: must be between 0 and 256"},
		{"MinStrengthBits", "none", func(d doc) { d.MinStrengthBits = 0 }, ""},
		{"MinStrengthBits", "most", func(d doc) { d.MinStrengthBits = 256 }, ""},
		{"MinStrengthBits", "too much", func(d doc) { d.MinStrengthBits = 257 }, "min_strength_bits: 257: must be between 0 and 256"},
		{"NextType", "unknown type", next("des", keytype.ChaCha20Poly1305), `next_type: "des": unknown key type; ` + knownTypes},
		{"NextType", "unknown next type", next(keytype.AES256GCM96, "des"), `next_type: "des": unknown key type; ` + knownTypes},
		{"NextType", "another purpose", next(keytype.AES256GCM96, keytype.HMAC), `next_type: "hmac": must be for something that keys of type aes256-gcm96 are for: encryption, signatures, HMACs or CMACs`},
		{"NextType", "too weak", next(keytype.RSA2048, keytype.RSA3072), `next_type: "rsa-3072": has 128 bits of strength, less than min_strength_bits`},
		{"NextType", "not allowed", func(d doc) {
			d.AllowedTypes, d.NextType = []keytype.Type{keytype.AES256GCM96}, map[keytype.Type]keytype.Type{keytype.AES256GCM96: keytype.XChaCha20Poly1305}
		}, `next_type: "xchacha20-poly1305": must be one of allowed_types`},
		{"NextType", "the same", next(keytype.AES256GCM96, keytype.AES256GCM96), `next_type: "aes256-gcm96": must not lead back to the type, at once or by others`},
		{"NextType", "in a circle", func(d doc) {
			d.NextType = map[keytype.Type]keytype.Type{keytype.AES256GCM96: keytype.ChaCha20Poly1305, keytype.ChaCha20Poly1305: keytype.AES256GCM96}
		}, `next_type: "aes256-gcm96": must not lead back to the type, at once or by others`},
		{"NextType", "of another type, which is not allowed any more", next(keytype.XChaCha20Poly1305, keytype.AES256GCM96), ""},

		{"DenyAfter", "unknown type", func(d doc) { d.DenyAfter = map[keytype.Type]string{"des": "2030-12-31"} }, `deny_after: "des": unknown key type; ` + knownTypes},
		{"DenyAfter", "no such day", deny("2030-02-29"), `deny_after: "2030-02-29": ` + rule},
		{"DenyAfter", "no date", deny(""), `deny_after: "": ` + rule},
		{"DenyAfter", "no zone", deny("2030-12-31T12:00:00"), `deny_after: "2030-12-31T12:00:00": ` + rule},
		{"DenyAfter", "leap day", deny("2032-02-29"), ""},
		{"DenyAfter", "time", deny("2030-12-31T12:00:00+01:00"), ""},
		{"Exportable", "no", func(d doc) { d.Exportable = false }, ""},
		{"AllowPlaintextBackup", "no", func(d doc) { d.AllowPlaintextBackup = false }, ""},
		{"AllowPinnedEncrypt", "no", func(d doc) { d.AllowPinnedEncrypt = false }, ""},
		{"ErasePrivateKey", "no", func(d doc) { d.ErasePrivateKey = false }, ""},
	}
}

func choiceRules() []fieldRule {
	const reasons = "unknown; known are create, import, rotate-manual, configure, hold, export, backup, restore-backup, promote, suspend, resume, archive, recover, retire, restore, compromise, rollback"
	return []fieldRule{
		{"HSM", "none", func(d doc) { d.HSM = "" }, `hsm: "": must be optional or required`},
		{"HSM", "optional", func(d doc) { d.HSM = policy.Optional }, ""},
		{"RotationMode", "none", func(d doc) { d.RotationMode = "" }, `rotation_mode: "": must be auto, manual or notify`},
		{"RotationMode", "capitals", func(d doc) { d.RotationMode = "AUTO" }, `rotation_mode: "AUTO": must be auto, manual or notify`},
		{"RotationMode", "notify", func(d doc) { d.RotationMode = policy.Notify }, ""},
		{"OnLimit", "unknown", func(d doc) { d.OnLimit = "stop" }, `on_limit: "stop": must be rotate or block`},
		{"OnLimit", "rotate", func(d doc) { d.OnLimit = policy.OnLimitRotate }, ""},
		{"CompromisedProcessing", "none", func(d doc) { d.CompromisedProcessing = "" }, `compromised_processing: "": must be allow or deny`},
		{"CompromisedProcessing", "allow", func(d doc) { d.CompromisedProcessing = policy.Allow }, ""},
		{"SuspendedProcessing", "capitals", func(d doc) { d.SuspendedProcessing = "Deny" }, `suspended_processing: "Deny": must be allow or deny`},
		{"SuspendedProcessing", "deny", func(d doc) { d.SuspendedProcessing = policy.Deny }, ""},
		{"RequireReason", "unknown", func(d doc) { d.RequireReason = []string{"retire", "destroy"} }, `require_reason: "destroy": ` + reasons},
		{"RequireReason", "none", func(d doc) { d.RequireReason = nil }, ""},
		{"RequireReason", "all", func(d doc) {
			d.RequireReason = strings.Split(strings.TrimPrefix(reasons, "unknown; known are "), ", ")
		}, ""},
		{"PreChecks", "unknown", func(d doc) { d.PreChecks = []string{"round_trip"} }, `pre_checks: "round_trip": unknown; known are hsm_healthy, storage_writable, clock_sane`},
		{"PreChecks", "all", func(d doc) { d.PreChecks = policy.PreChecks() }, ""},
		{"PreChecks", "none", func(d doc) { d.PreChecks = nil }, ""},
		{"PostChecks", "unknown", func(d doc) { d.PostChecks = []string{"clock_sane"} }, `post_checks: "clock_sane": unknown; known are round_trip, old_version_decrypts, fingerprint_unique`},
		{"PostChecks", "all", func(d doc) { d.PostChecks = policy.PostChecks() }, ""},
		{"PostChecks", "none", func(d doc) { d.PostChecks = nil }, ""},
	}
}

func consentRules(t testing.TB) []fieldRule {
	approvals := func(kv ...string) func(doc) {
		return func(d doc) {
			d.Approvals = map[acts.Gate]string{}
			for i := 0; i < len(kv); i += 2 {
				d.Approvals[acts.Gate(kv[i])] = kv[i+1]
			}
		}
	}
	const alone, ttl = "containment needs one person", "must be between 5m and 14d"
	return []fieldRule{
		{"Approvals", "none", approvals(), ""},
		{"Approvals", "most", approvals("retire", "10 of a,b,c,d,e,f,g,h", "promote", "not creator", "policy", "1 of a"), ""},
		{"Approvals", "nobody", approvals("retire", "0 of a"), `approvals: "retire=0 of a": must ask for 1 to 10 persons`},
		{"Approvals", "too many", approvals("retire", "11 of a"), `approvals: "retire=11 of a": must ask for 1 to 10 persons`},
		{"Approvals", "no rule", approvals("retire", ""), `approvals: "retire=": must be as "2 of key-approvers"`},
		{"Approvals", "too many groups", approvals("retire", "1 of a,b,c,d,e,f,g,h,i"), `approvals: "retire=1 of a,b,c,d,e,f,g,h,i": must name at most 8 groups`},
		{"Approvals", "unknown", approvals("encrypt", "1 of a"), `approvals: "encrypt=1 of a": unknown; known are import, rotate, configure, rebind, unhold, `},
		{"Approvals", "of the mount", approvals("config", "1 of a"), `approvals: "config=1 of a": unknown; known are `},
		{"Approvals", "suspend", approvals("suspend", "1 of a"), `approvals: "suspend=1 of a": ` + alone},
		{"Approvals", "compromise", approvals("compromise", "1 of a"), `approvals: "compromise=1 of a": ` + alone},
		{"Approvals", "hold", approvals("hold", "1 of a"), `approvals: "hold=1 of a": ` + alone},
		{"Approvals", "maker of a key", approvals("rotate", "not creator"), `approvals: "rotate=not creator": not creator is for what is done to a version: promote, `},
		{"Approvals", "maker of what is not there", approvals("import", "not creator"), `approvals: "import=not creator": not creator is for what is done to a version: promote, `},
		{"ApprovalTTL", "too short", func(d doc) { d.ApprovalTTL = span(t, "299s") }, `approval_ttl: "299s": ` + ttl},
		{"ApprovalTTL", "shortest", func(d doc) { d.ApprovalTTL = span(t, "5m") }, ""},
		{"ApprovalTTL", "longest", func(d doc) { d.ApprovalTTL = span(t, "14d") }, ""},
		{"ApprovalTTL", "too long", func(d doc) { d.ApprovalTTL = span(t, "14d1s") }, `approval_ttl: "14d1s": ` + ttl},
		{"ExecutionTTL", "none", func(d doc) { d.ExecutionTTL = span(t, "0") }, `execution_ttl: "0": ` + ttl},
		{"ExecutionTTL", "longest", func(d doc) { d.ExecutionTTL = span(t, "14d") }, ""},
		{"ApprovalExclude", "unknown", func(d doc) { d.ApprovalExclude = []consent.Exclusion{"approver"} }, `approval_exclude: "approver": unknown; known are requester, creator, author`},
		{"ApprovalExclude", "none", func(d doc) { d.ApprovalExclude = nil }, ""},
		{"DrillEvery", "too often", func(d doc) { d.DrillEvery = span(t, "23h59m") }, `drill_every: "23h59m": must be 0 (no drill is due) or at least 1d`},
		{"NotifyBefore", "too late", func(d doc) { d.NotifyBefore = span(t, "59m") }, `notify_before: "59m": must be 0 (not at all) or at least 1h`},
		{"NotifyBefore", "never", func(d doc) { d.NotifyBefore = span(t, "0") }, ""},
		{"NotifyBefore", "latest", func(d doc) { d.NotifyBefore = span(t, "1h") }, ""},
		{"DrillEvery", "never", func(d doc) { d.DrillEvery = span(t, "0") }, ""},
		{"DrillEvery", "most often", func(d doc) { d.DrillEvery = span(t, "1d") }, ""},
	}
}

func numberRules(t testing.TB) []fieldRule {
	return []fieldRule{
		{"MinVersionsKept", "below zero", func(d doc) { d.MinVersionsKept = -1 }, "min_versions_kept: -1: must be between 0 and 2048"},
		{"MinVersionsKept", "none", func(d doc) { d.MinVersionsKept = 0 }, ""},
		{"MinVersionsKept", "most", func(d doc) { d.MinVersionsKept = policy.MostVersionsKept }, ""},
		{"MinVersionsKept", "too many", func(d doc) { d.MinVersionsKept = policy.MostVersionsKept + 1 }, "min_versions_kept: 2049: must be between 0 and 2048"},
		{"RotationRetryCycles", "none", func(d doc) { d.RotationRetryCycles = 0 }, "rotation_retry_cycles: 0: must be between 1 and 1000"},
		{"RotationRetryCycles", "one", func(d doc) { d.RotationRetryCycles = 1 }, ""},
		{"RotationRetryCycles", "most", func(d doc) { d.RotationRetryCycles = 1000 }, ""},
		{"RotationRetryCycles", "too many", func(d doc) { d.RotationRetryCycles = 1001 }, "rotation_retry_cycles: 1001: must be between 1 and 1000"},
		{"MaxEncryptions", "below by type", func(d doc) { d.MaxEncryptions = -2 }, "max_encryptions: -2: must be between -1 and 281474976710656"},
		{"MaxEncryptions", "by type", func(d doc) { d.MaxEncryptions = policy.LimitByType }, ""},
		{"MaxEncryptions", "most", func(d doc) { d.MaxEncryptions = 1 << 48 }, ""},
		{"MaxEncryptions", "too many", func(d doc) { d.MaxEncryptions = 1<<48 + 1 }, "max_encryptions: 281474976710657: must be between -1 and 281474976710656"},
		{"MaxBytes", "below zero", func(d doc) { d.MaxBytes = -1 }, "max_bytes: -1: must be between 0 and 72057594037927936"},
		{"MaxBytes", "most", func(d doc) { d.MaxBytes = 1 << 56 }, ""},
		{"MaxBytes", "too many", func(d doc) { d.MaxBytes = 1<<56 + 1 }, "max_bytes: 72057594037927937: must be between 0 and 72057594037927936"},
		{"RotationRetryBase", "too short", func(d doc) { d.RotationRetryBase = span(t, "999ms") }, `rotation_retry_base: "999ms": must be at least 1s`},
		{"RotationRetryBase", "shortest", func(d doc) { d.RotationRetryBase = span(t, "1s") }, ""},
		{"RotationRetryMax", "below the base", func(d doc) { d.RotationRetryMax = span(t, "119s") }, `rotation_retry_max: "119s": must be between rotation_retry_base and 30d`},
		{"RotationRetryMax", "as the base", func(d doc) { d.RotationRetryMax = span(t, "120s") }, ""},
		{"RotationRetryMax", "longest", func(d doc) { d.RotationRetryMax = span(t, "30d") }, ""},
		{"RotationRetryMax", "too long", func(d doc) { d.RotationRetryMax = span(t, "30d1s") }, `rotation_retry_max: "30d1s": must be between rotation_retry_base and 30d`},
		{"DestroyDelay", "none", func(d doc) { d.DestroyDelay = span(t, "0") }, `destroy_delay: "0": must be between 24h and 3650d`},
		{"DestroyDelay", "too short", func(d doc) { d.DestroyDelay = span(t, "23h59m59s") }, `destroy_delay: "23h59m59s": must be between 24h and 3650d`},
		{"DestroyDelay", "shortest", func(d doc) { d.DestroyDelay = span(t, "24h") }, ""},
		{"DestroyDelay", "longest", func(d doc) { d.DestroyDelay = span(t, "3650d") }, ""},
		{"DestroyDelay", "too long", func(d doc) { d.DestroyDelay = span(t, "3650d1s") }, `destroy_delay: "3650d1s": must be between 24h and 3650d`},
	}
}

// unruled are the fields that hold no wrong value: lengths of time are bounded when they are read (see span_test.go), and
// these have no rule beyond that.
var unruled = []string{"Exportable", "AllowPlaintextBackup", "AllowPinnedEncrypt", "ErasePrivateKey", "RetireAfter", "QuietPeriod"}

func TestEveryFieldOfAPolicyIsValidated(t *testing.T) {
	good, bad := map[string]bool{}, map[string]bool{}
	rules := [][]fieldRule{textRules(), typeRules(), choiceRules(), numberRules(t), timeRules(t), consentRules(t)}
	for _, list := range rules {
		for _, row := range list {
			t.Run(row.field+" "+row.name, func(t *testing.T) {
				d := plain(t)
				row.edit(&d)
				p, err := policy.New("pci", 1, d, start)
				if row.text == "" {
					require.NoError(t, err)
					good[row.field] = true
					return
				}
				bad[row.field] = true
				require.ErrorIs(t, err, refusal.ErrInvalid)
				require.ErrorContains(t, err, row.text)
				require.Regexp(t, `(?s)^[a-z_]+: .+: .+`, err.Error(), "field, value, rule")
				require.Zero(t, p)
			})
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[policy.Document]()) {
		require.True(t, good[field.Name], "no value of %s at its bound", field.Name)
		require.True(t, bad[field.Name] != slices.Contains(unruled, field.Name), "no bad value of %s", field.Name)
	}
}
