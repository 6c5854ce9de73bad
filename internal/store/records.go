// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"cmp"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// keyRecord is keys/<name>. Times are RFC 3339, those in lists Unix seconds, periods nanoseconds. No field may be omitempty (see fieldsOf), but
// for those of which a record without them is as ever: an earlier release that knows them not keeps what they say.
type keyRecord struct {
	Schema               int                     `json:"schema"`
	ID                   string                  `json:"id"`
	Type                 string                  `json:"type"`
	Size                 int                     `json:"size"`
	Types                []typeJSON              `json:"types,omitempty"` // of versions before a change of type; the record of a key without one is as ever
	Derived              bool                    `json:"derived"`
	Convergent           bool                    `json:"convergent"`
	Protection           string                  `json:"protection"` // hsm: its versions are on a token; empty: they are not
	Imported             bool                    `json:"imported"`
	AllowRotation        bool                    `json:"allow_rotation"`
	PublicOnly           []int                   `json:"public_only"` // versions without a private half, ascending
	Certificates         []certificateJSON       `json:"certificates"`
	Exportable           bool                    `json:"exportable"`
	AllowPlaintextBackup bool                    `json:"allow_plaintext_backup"`
	DeletionAllowed      bool                    `json:"deletion_allowed"`
	Policy               string                  `json:"policy"`
	Owner                string                  `json:"owner"`
	Labels               map[string]string       `json:"labels"`
	AutoRotatePeriod     time.Duration           `json:"auto_rotate_period"`
	AllowedUses          []string                `json:"allowed_uses"` // null: all
	Latest               int                     `json:"latest"`
	Primary              int                     `json:"primary"`
	MinDecryption        int                     `json:"min_decryption"`
	MinEncryption        int                     `json:"min_encryption"`
	MinAvailable         int                     `json:"min_available"`
	DestroyedBelow       int                     `json:"destroyed_below"`
	PrivateFrom          int                     `json:"private_from"`
	Staged               int                     `json:"staged"`
	Marks                map[string]overrideJSON `json:"marks"`
	State                string                  `json:"state"`
	StateAt              time.Time               `json:"state_at"`
	DestroyTime          time.Time               `json:"destroy_time"`
	StateBefore          string                  `json:"state_before"`
	Hold                 bool                    `json:"legal_hold"`
	OldestVersion        int                     `json:"oldest_version"`
	OldestDeactivated    time.Time               `json:"oldest_deactivated"`
	Created              time.Time               `json:"created"`
	Recent               []int64                 `json:"recent"`
	Due                  time.Time               `json:"due"`
	AlertStatus          string                  `json:"alert_status"`
	AlertSince           time.Time               `json:"alert_since"`
	MoreAlerts           []alertJSON             `json:"more_alerts,omitempty"` // beside the most urgent one
	Revision             int                     `json:"revision"`
	JournalCount         int                     `json:"journal_count"` // chain of custody up to the act that wrote this
	JournalHash          string                  `json:"journal_hash"`
	Ancestors            []predecessorJSON       `json:"ancestors"`
	LastActs             lastActsJSON            `json:"last_acts"`
	CreatedBy            string                  `json:"created_by,omitempty"` // never emptied
	LastDrill            *time.Time              `json:"last_drill,omitempty"` // the record of a key that had none is as ever
	rotationRecord
}

// overrideJSON is the state of one version that does not follow from the rest of its key's record. A key may have two
// thousand of them, so names are short and what is empty is left out.
type overrideJSON struct {
	State    string     `json:"s"`
	At       time.Time  `json:"t"`
	Before   string     `json:"b,omitempty"`
	Until    *time.Time `json:"u,omitempty"`
	Ended    *time.Time `json:"e,omitempty"`
	Locked   bool       `json:"l,omitempty"`
	Stored   bool       `json:"a,omitempty"`
	Lapsed   bool       `json:"x,omitempty"`
	Code     string     `json:"c,omitempty"`
	Occurred *time.Time `json:"co,omitempty"`
	Reported *time.Time `json:"cr,omitempty"`
}

// rotationRecord is a part of keyRecord; its fields stand in the record itself.
type rotationRecord struct {
	Since     time.Time `json:"rotation_since"`
	Last      time.Time `json:"rotation_last"`
	Promoted  time.Time `json:"rotation_promoted"`
	Trigger   string    `json:"rotation_trigger"`
	Reason    string    `json:"rotation_reason"`
	Failures  int       `json:"rotation_failures"`
	LastError string    `json:"rotation_last_error"`
	FailedAt  time.Time `json:"rotation_failed_at"`
	RetryAt   time.Time `json:"rotation_retry_at"`

	Exhausted   int          `json:"rotation_exhausted"`
	ExhaustedAt time.Time    `json:"rotation_exhausted_at"`
	ExhaustedBy policy.Usage `json:"rotation_exhausted_by"`
	Unchecked   bool         `json:"rotation_unchecked"`
	Previous    time.Time    `json:"rotation_previous"`
	Tried       int          `json:"rotation_tried"`
}

// predecessorJSON is a version that was active before.
type predecessorJSON struct {
	Version int       `json:"v"`
	Since   time.Time `json:"t"`
}

func recordOfKey(k lifecycle.Key) keyRecord {
	r := k.Rotation
	first, more := alertsJSON(k.Alerts)
	return keyRecord{
		Schema: schema, ID: k.ID, Type: string(k.Type), Size: k.Size, Types: typesJSON(k.EarlierTypes), Derived: k.Derived, Convergent: k.Convergent, Protection: string(k.Protection),
		Imported: k.Imported, AllowRotation: k.AllowRotation, PublicOnly: k.PublicOnly, Certificates: certificatesJSON(k.Certificates),
		Exportable: k.Exportable, AllowPlaintextBackup: k.AllowPlaintextBackup, DeletionAllowed: k.DeletionAllowed,
		Policy: k.Policy, Owner: k.Owner, Labels: k.Labels, AutoRotatePeriod: k.AutoRotatePeriod, AllowedUses: lifecycle.NamesOf(k.Uses),
		Latest: k.Latest, Primary: k.Primary,
		MinDecryption: k.MinDecryption, MinEncryption: k.MinEncryption, MinAvailable: k.MinAvailable,
		DestroyedBelow: k.DestroyedBelow, PrivateFrom: k.PrivateFrom, Staged: k.Staged, Marks: overridesJSON(k.Overrides),
		State: k.Status.State.String(), StateAt: k.Status.At, DestroyTime: k.Status.Until(), StateBefore: k.Status.Before.String(), Hold: k.Hold,
		OldestVersion: k.Oldest.Version, OldestDeactivated: k.Oldest.Deactivated,
		Created: k.Created, Recent: seconds(k.Recent), Due: k.Due, Revision: k.Revision,
		AlertStatus: first.Status, AlertSince: first.Since, MoreAlerts: more, Ancestors: predecessorsJSON(k.Predecessors),
		LastActs: toLastActsJSON(k.LastActs), CreatedBy: k.CreatedBy, LastDrill: optional(k.LastDrill),
		rotationRecord: rotationRecord{
			r.Base, r.Last, r.Promoted, string(r.Trigger), r.Reason, r.Failures, r.LastError, r.FailedAt, r.RetryAt,
			r.Exhausted, r.ExhaustedAt, r.ExhaustedBy, r.ChecksPending, r.PriorBase, r.PriorFailures,
		},
	}
}

// key checks what the rest of the program relies on, so that a damaged record fails the request and nothing else.
func (r keyRecord) key(name string) (lifecycle.Key, error) {
	t, err := keytype.Parse(r.Type)
	state, known := lifecycle.ParseKeyState(r.State)
	before, knownBefore := lifecycle.ParseKeyState(cmp.Or(r.StateBefore, lifecycle.Enabled.String()))
	protection, protectionErr := lifecycle.ParseProtection(r.Protection)
	uses, usesErr := lifecycle.ParseUses(r.AllowedUses)
	types, typesKnown := typesOf(r.Types, r.Latest)
	if err != nil || !typesKnown || protectionErr != nil || usesErr != nil || !known || !knownBefore || r.ID == "" || !r.sane() {
		return lifecycle.Key{}, ErrCorrupt
	}
	overrides, err := overridesOf(r.Marks, r.Latest)
	if err != nil {
		return lifecycle.Key{}, err
	}
	o := r.rotationRecord
	return lifecycle.Key{
		ID: r.ID, Name: name, Type: t, Size: r.Size, EarlierTypes: types, Derived: r.Derived, Convergent: r.Convergent, Protection: protection,
		Origin: lifecycle.Origin{Imported: r.Imported, AllowRotation: r.AllowRotation, PublicOnly: r.PublicOnly}, Certificates: certificatesOf(r.Certificates),
		Exportable: r.Exportable, AllowPlaintextBackup: r.AllowPlaintextBackup, DeletionAllowed: r.DeletionAllowed,
		Policy: r.Policy, Owner: r.Owner, Labels: r.Labels, AutoRotatePeriod: r.AutoRotatePeriod, Uses: uses,
		Latest: r.Latest, Primary: r.Primary,
		MinDecryption: r.MinDecryption, MinEncryption: r.MinEncryption, MinAvailable: r.MinAvailable,
		DestroyedBelow: r.DestroyedBelow, PrivateFrom: r.PrivateFrom, Staged: r.Staged, Overrides: overrides, Hold: r.Hold,
		Alerts:  alertsOf(alertJSON{r.AlertStatus, r.AlertSince}, r.MoreAlerts),
		Status:  lifecycle.KeyStatus{State: state, At: r.StateAt, Before: before}.WithUntil(r.DestroyTime),
		Oldest:  lifecycle.Oldest{Version: r.OldestVersion, Deactivated: r.OldestDeactivated},
		Created: r.Created, Recent: times(r.Recent), Due: r.Due, Revision: r.Revision, Predecessors: predecessorsOf(r.Ancestors),
		LastActs: r.LastActs.lastActs(), CreatedBy: r.CreatedBy, LastDrill: timeOf(r.LastDrill),
		Rotation: lifecycle.Rotation{
			Base: o.Since, Last: o.Last, Promoted: o.Promoted, Trigger: lifecycle.Trigger(o.Trigger), Reason: o.Reason,
			Failures: o.Failures, LastError: o.LastError, FailedAt: o.FailedAt, RetryAt: o.RetryAt,
			Exhausted: o.Exhausted, ExhaustedAt: o.ExhaustedAt, ExhaustedBy: o.ExhaustedBy, ChecksPending: o.Unchecked, PriorBase: o.Previous, PriorFailures: o.Tried,
		},
	}, nil
}

func (r keyRecord) sane() bool {
	for _, floor := range []int{r.MinDecryption, r.MinEncryption, r.MinAvailable, max(r.DestroyedBelow-1, 0), max(r.PrivateFrom-1, 0), r.Primary, r.Staged} {
		if floor < 0 || floor > r.Latest {
			return false
		}
	}
	return r.Latest >= 1 && slices.IsSorted(r.PublicOnly) &&
		len(r.Recent) <= r.Latest && len(r.Recent) == r.Latest%pageSize && r.Failures >= 0 && r.AutoRotatePeriod >= 0
}

// versionRecord is versions/<name>/<n>. Sealed is the blob of envelope.Seal, base64 in the JSON.
type versionRecord struct {
	Schema      int       `json:"schema"`
	KeyID       string    `json:"key_id"`
	Number      int       `json:"number"`
	Created     time.Time `json:"created"`
	Fingerprint string    `json:"fingerprint"`
	Sealed      []byte    `json:"sealed"`      // empty: the material is in the archive, or destroyed
	Public      []byte    `json:"public"`      // PKIX DER; null: the type has no public half
	PublicOnly  bool      `json:"public_only"` // the private half was erased, and Sealed has none
	Object      string    `json:"object"`      // of a key on a token: its CKA_ID, until it was destroyed there
	CreatedBy   string    `json:"created_by,omitempty"`
}

// datesRecord is dates/<name>/<page>: when the versions page*pageSize+1 ... (page+1)*pageSize were made.
type datesRecord struct {
	Schema  int     `json:"schema"`
	KeyID   string  `json:"key_id"`
	Created []int64 `json:"created"`
}

func predecessorsJSON(list []lifecycle.Predecessor) []predecessorJSON {
	out := make([]predecessorJSON, len(list))
	for i, a := range list {
		out[i] = predecessorJSON(a)
	}
	return out
}

// predecessorsOf reads them back; an older record has none.
func predecessorsOf(list []predecessorJSON) []lifecycle.Predecessor {
	var out []lifecycle.Predecessor
	for _, a := range list {
		out = append(out, lifecycle.Predecessor(a))
	}
	return out
}

func seconds(list []time.Time) []int64 {
	out := make([]int64, len(list))
	for i, t := range list {
		out[i] = t.Unix()
	}
	return out
}

func times(list []int64) []time.Time {
	out := make([]time.Time, len(list))
	for i, s := range list {
		out[i] = time.Unix(s, 0).UTC()
	}
	return out
}
