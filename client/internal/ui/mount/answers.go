// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

import (
	"encoding/json"
	"strings"
	"time"
)

// Time is an instant in an answer: RFC 3339, and the zero time where the text is empty.
type Time struct{ time.Time }

// UnmarshalJSON takes an empty text for no time.
func (t *Time) UnmarshalJSON(text []byte) error {
	if string(text) == `""` || string(text) == "null" {
		t.Time = time.Time{}
		return nil
	}
	return json.Unmarshal(text, &t.Time)
}

// Key is the view of a key.
type Key struct {
	Name            string            `json:"name"`
	Type            string            `json:"type"`
	Policy          string            `json:"policy"`
	Protection      string            `json:"protection"`
	Owner           string            `json:"owner"`
	Labels          map[string]string `json:"labels"`
	Uses            []string          `json:"allowed_uses"`
	State           string            `json:"state"`
	Hold            bool              `json:"legal_hold"`
	Exportable      bool              `json:"exportable"`
	PlaintextBackup bool              `json:"allow_plaintext_backup"`
	Imported        bool              `json:"imported_key"`
	Primary         int               `json:"primary_version"`
	Staged          int               `json:"staged_version"`
	Latest          int               `json:"latest_version"`
	MinDecryption   int               `json:"min_decryption_version"`
	Revision        int               `json:"revision"`
	DestroyTime     Time              `json:"destroy_time"`
	NextRotation    Time              `json:"next_rotation_time"`
	RotationStatus  string            `json:"rotation_status"`
}

// Rotation is how the rotation of a key stands. Period is in seconds; limits of 0 are none.
type Rotation struct {
	Status         string `json:"status"`
	Why            string `json:"why"`
	Mode           string `json:"mode"`
	PolicyRevision int    `json:"policy_revision"`
	Period         int64  `json:"period"`
	Next           Time   `json:"next_rotation_time"`
	Last           Time   `json:"last_rotation_time"`
	LastTrigger    string `json:"last_rotation_trigger"`
	LastReason     string `json:"last_rotation_reason"`
	Failures       int    `json:"failures"`
	LastError      string `json:"last_error"`
	LastErrorTime  Time   `json:"last_error_time"`
	RetryTime      Time   `json:"retry_time"`
	Encryptions    int64  `json:"encryptions"`
	Bytes          int64  `json:"bytes"`
	MaxEncryptions int64  `json:"max_encryptions"`
	MaxBytes       int64  `json:"max_bytes"`
	OnLimit        string `json:"on_limit"`
}

// Version is a line of the versions of a key.
type Version struct {
	State      string `json:"state"`
	Created    Time   `json:"created_time"`
	Destroy    Time   `json:"destroy_time"`
	Denied     int    `json:"denied_uses"`
	LastDenied Time   `json:"last_denied_time"`
}

// VersionDetail is what else is known of a version.
type VersionDetail struct {
	Version     int                 `json:"version"`
	Type        string              `json:"type"`
	Protection  string              `json:"protection"`
	Fingerprint string              `json:"fingerprint"`
	Encryptions int64               `json:"encryptions"`
	Bytes       int64               `json:"bytes"`
	Used        map[string]UseCount `json:"used"`
	UsedBy      []User              `json:"used_by"`
}

// UseCount is how often a version was used for an operation.
type UseCount struct {
	Count int64 `json:"count"`
	Last  Time  `json:"last_time"`
}

// User is who used a version last.
type User struct {
	Entity    string `json:"entity"`
	Name      string `json:"name"`
	Operation string `json:"operation"`
	Time      Time   `json:"time"`
}

// Event is something that the clock will do. Version 0 is the whole key.
type Event struct {
	Time    Time   `json:"time"`
	Act     string `json:"act"`
	Version int    `json:"version"`
	Why     string `json:"why"`

	Irreversible bool `json:"irreversible"` // nothing brings back what it takes
}

// Plan is what the clock will do to a key.
type Plan struct {
	Events []Event `json:"events"`
}

// Record is a custody record.
type Record struct {
	Seq      int               `json:"seq"`
	Of       int               `json:"of"`
	Time     Time              `json:"time"`
	Kind     string            `json:"kind"`
	Act      string            `json:"act"`
	Versions []int             `json:"versions"`
	From     string            `json:"from"`
	To       string            `json:"to"`
	Outcome  string            `json:"outcome"`
	Reason   string            `json:"reason"`
	Actor    Actor             `json:"actor"`
	Details  map[string]string `json:"details"`
}

// Actor is who did it.
type Actor struct {
	EntityID    string `json:"entity_id"`
	DisplayName string `json:"display_name"`
	System      bool   `json:"system"`
}

func (a Actor) String() string {
	switch {
	case a.System:
		return "the clock"
	case a.DisplayName != "":
		return a.DisplayName
	}
	return a.EntityID
}

// Act is what was done: the record of its beginning, with the outcome of the one of its end. No outcome: no record says so.
type Act struct {
	Record
	Approval string // the request that consent came by
}

// History is a page of custody records.
type History struct {
	Records []Record `json:"records"`
	Next    int      `json:"next_after"`
}

// actsOf joins the records of acts.
func actsOf(records []Record) []Act {
	var acts []Act
	at := map[int]int{}
	for _, r := range records {
		if r.Kind == "begin" {
			at[r.Seq] = len(acts)
			acts = append(acts, Act{Record: r, Approval: r.Details["approval"]})
		} else if i, ok := at[r.Of]; ok {
			acts[i].Outcome = r.Outcome
		}
	}
	return acts
}

// Changes are the settings that an act changed, each as "name from -> to".
func (a Act) Changes() []string {
	var changes []string
	for _, name := range sortedNames(a.Details) {
		if strings.Contains(a.Details[name], " -> ") {
			changes = append(changes, name+" "+a.Details[name])
		}
	}
	return changes
}
