// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package history

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Outcome is what a client was told of a request.
type Outcome string

// The outcomes.
const (
	Done    Outcome = "done"    // 2xx: acknowledged
	Refused Outcome = "refused" // 4xx: not done
	Unknown Outcome = "unknown" // 5xx, or no answer: done or not, now or later
)

// Operation is one request as its client saw it. What does not apply is empty.
type Operation struct {
	ID     int    `json:"id"` // from 1, in the order of sending; items of a batch have one each
	Client string `json:"client"`
	Node   string `json:"node"` // the address it was sent to

	Act     string `json:"act"` // as custody names acts; of data: encrypt, decrypt, rewrap, datakey, sign, verify
	Key     string `json:"key,omitempty"`
	Version int    `json:"version,omitempty"` // that the request names; of data the one that protects
	Reason  string `json:"reason,omitempty"`  // no other request has it, but for one that is repeated with consent

	CAS         *int   `json:"cas,omitempty"`
	Floor       int    `json:"floor,omitempty"` // min_decryption_version, or of a trim min_available_version
	Hold        *bool  `json:"hold,omitempty"`
	Stage       bool   `json:"stage,omitempty"`
	Text        string `json:"text,omitempty"`        // digest of what is protected, see [Digest]
	Ciphertext  string `json:"ciphertext,omitempty"`  // or the signature
	From        string `json:"from,omitempty"`        // the ciphertext that a rewrap opens
	Approval    string `json:"approval,omitempty"`    // id of the request for consent
	Approver    string `json:"approver,omitempty"`    // entity that votes
	Fingerprint string `json:"fingerprint,omitempty"` // of the version that was read
	State       string `json:"state,omitempty"`       // of the version that was read

	Sent     time.Duration `json:"sent"`
	Answered time.Duration `json:"answered"`

	Outcome   Outcome `json:"outcome"`
	Status    int     `json:"status,omitempty"` // 0: no answer
	Error     string  `json:"error,omitempty"`  // of the answer, or why there is none
	RequestID string  `json:"request_id,omitempty"`
	Revision  int     `json:"revision,omitempty"` // of the key, as answered
	Latest    int     `json:"latest,omitempty"`   // newest version, as answered
	Opened    string  `json:"opened,omitempty"`   // digest of what was decrypted
	Valid     *bool   `json:"valid,omitempty"`    // of a signature that was verified
}

// Digest names a text without holding it, in hex.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// The kinds of events.
const (
	Snapshot = "snapshot" // taken, under a name
	Restored = "restored" // the snapshot of that name
	Clock    = "clock"    // moved by Shift
	Believed = "believed" // somebody acknowledged the time: requests for consent that were made before are void (docs/clock.md)
	Away     = "away"     // a node was stopped, or cut off from the others: from then until it has heard of them again
	Fault    = "fault"    // anything else that the cluster was put through
)

// Event is what happened to the cluster, between two times.
type Event struct {
	Kind  string        `json:"kind"`
	Name  string        `json:"name,omitempty"`
	Shift time.Duration `json:"shift,omitempty"`
	From  time.Duration `json:"from"`
	To    time.Duration `json:"to"`
}
