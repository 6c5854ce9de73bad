// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import "time"

// Kind tells the two records of an act apart.
type Kind string

// The kinds. An act begins before it takes effect; the record that ends it says how it went.
const (
	Begin Kind = "begin"
	End   Kind = "end"
)

// Outcome is how an act ended. There is no unknown outcome: an act of which it is not known is left
// open until recovery settles it.
type Outcome string

// The outcomes.
const (
	Done   Outcome = "done"
	Failed Outcome = "failed" // nothing took effect
)

// Actor is who asked for an act.
type Actor struct {
	EntityID          string `json:"entity_id,omitempty"`
	DisplayName       string `json:"display_name,omitempty"`
	TokenAccessorHMAC string `json:"token_accessor_hmac,omitempty"` // never the accessor: it revokes
	Address           string `json:"client_address,omitempty"`
	System            bool   `json:"system,omitempty"` // nobody asked, the mount acted by itself
}

// Record is one link of a chain, in the order of its JSON. What is empty is left out of the JSON, but
// for the first seven:
//
//	{"format":1,"instance":"8f14…","key":"orders","seq":7,"prev":"9c1e…","time":"2026-03-01T12:00:00Z",
//	 "kind":"begin","key_id":"6f72…","act":"rotate","versions":[4],"from":"none","to":"active",
//	 "actor":{"entity_id":"…"},"reason":"…","policy":"pci","policy_revision":2,"request_id":"…","details":{…}}
//	{"format":1,"instance":"8f14…","key":"orders","seq":8,"prev":"51ab…","time":"2026-03-01T12:00:01Z",
//	 "kind":"end","of":7,"outcome":"done"}
//
// each on one line. A change to this form is a new format.
type Record struct {
	Format   int       `json:"format"`   // set by [Head.Append]
	Instance string    `json:"instance"` // the mount
	Key      string    `json:"key"`      // the name of the key
	Seq      int       `json:"seq"`      // from 1; set by [Head.Append]
	Prev     string    `json:"prev"`     // hex SHA-256 of the line before, 64 zeros in the first; set by [Head.Append]
	Time     time.Time `json:"time"`
	Kind     Kind      `json:"kind"`

	// Of a record that begins an act.
	KeyID          string            `json:"key_id,omitempty"`
	Act            string            `json:"act,omitempty"`
	Versions       []int             `json:"versions,omitempty"` // at most 64; of more, Details tells the range
	From           string            `json:"from,omitempty"`     // state of the versions before
	To             string            `json:"to,omitempty"`       // and after
	Actor          Actor             `json:"actor,omitzero"`
	Reason         string            `json:"reason,omitempty"`
	Policy         string            `json:"policy,omitempty"`
	PolicyRevision int               `json:"policy_revision,omitempty"`
	RequestID      string            `json:"request_id,omitempty"`
	Details        map[string]string `json:"details,omitempty"`

	// Of a record that ends one.
	Of        int     `json:"of,omitempty"` // Seq of the record that began it
	Outcome   Outcome `json:"outcome,omitempty"`
	Note      string  `json:"note,omitempty"`
	Recovered bool    `json:"recovered,omitempty"` // the outcome was found out afterwards, by recovery
}
