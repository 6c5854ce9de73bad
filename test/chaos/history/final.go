// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package history

import "time"

// Final is what is there when the faults are over, as the mount answers and as custody exports it.
type Final struct {
	Now     time.Time      `json:"now"`    // as the plugin has it
	At      time.Duration  `json:"at"`     // when the look began
	Ticked  bool           `json:"ticked"` // the clock has done what was due
	Keys    map[string]Key `json:"keys"`
	Uses    []Use          `json:"uses"`
	Export  []string       `json:"export"`  // the lines of custody
	Offline Verdict        `json:"offline"` // of the offline verifier
	Mount   Verdict        `json:"mount"`   // of custody/verify

	Approvals map[string]Approval `json:"approvals"`
	Policies  map[string]Policy   `json:"policies"`
}

// Key is a key as it is shown. Absent: 404.
type Key struct {
	Absent    bool            `json:"absent,omitempty"`
	Type      string          `json:"type,omitempty"`
	State     string          `json:"state,omitempty"`
	Policy    string          `json:"policy,omitempty"`
	Revision  int             `json:"revision,omitempty"`
	Latest    int             `json:"latest,omitempty"`
	Primary   int             `json:"primary,omitempty"`
	Staged    int             `json:"staged,omitempty"`
	Floor     int             `json:"floor,omitempty"`     // min_decryption_version
	Available int             `json:"available,omitempty"` // min_available_version
	Hold      bool            `json:"hold,omitempty"`
	Rotation  string          `json:"rotation,omitempty"` // rotation_status
	Next      time.Time       `json:"next,omitzero"`      // next_rotation_time
	Versions  map[int]Version `json:"versions,omitempty"`
}

// Version is a version as it is shown.
type Version struct {
	State       string    `json:"state"`
	Fingerprint string    `json:"fingerprint,omitempty"`
	Locked      bool      `json:"locked,omitempty"`
	Created     time.Time `json:"created,omitzero"`
}

// Use is one attempt at the end to open what an operation has protected, or to verify what it has signed.
type Use struct {
	Operation int     `json:"operation"` // its ID
	Act       string  `json:"act"`       // decrypt, or verify
	Outcome   Outcome `json:"outcome"`
	Opened    string  `json:"opened,omitempty"` // digest of the text
	Valid     *bool   `json:"valid,omitempty"`
	Error     string  `json:"error,omitempty"`
}

// Verdict is what a verifier of custody says.
type Verdict struct {
	Valid bool   `json:"valid"`
	Said  string `json:"said,omitempty"`
}

// Approval is a request for consent as it is shown.
type Approval struct {
	Absent bool   `json:"absent,omitempty"`
	State  string `json:"state,omitempty"`
	Votes  []Vote `json:"votes,omitempty"`
}

// Vote is one of an approval.
type Vote struct {
	Entity string `json:"entity"`
	Vote   string `json:"vote"`
}

// Policy is what the judge has to know of a policy.
type Policy struct {
	Period      time.Duration `json:"period,omitempty"`      // rotation_period; 0: the clock does not rotate
	Compromised string        `json:"compromised,omitempty"` // compromised_processing
	Suspended   string        `json:"suspended,omitempty"`   // suspended_processing
}
