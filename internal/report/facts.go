// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import "time"

// Facts are what stands and what was done on a mount, as far as the controls ask.
type Facts struct {
	From, To time.Time // acts count that began from From on and before To
	Mount    Mount
	Policies []Policy // those that a tag names, by name
	Keys     []Key    // a page of those under them, by name
	Deleted  []Key    // of the same page, those that were deleted: of each the name, the policy and the chain are known
}

// Mount is what all keys share.
type Mount struct {
	KEKs        []KEK // the active key encryption keys
	TokenRandom bool  // a token gives random bytes, beside the operating system
	Chain       Chain
}

// KEK is an active key encryption key.
type KEK struct {
	Purpose string // of what it wraps
	Suite   string
	Bits    int  // its strength; 0: not known
	Token   bool // it is on a token
}

// Policy is the revision in force.
type Policy struct {
	Name, Hash         string
	Revision           int
	Created            time.Time
	Compliance         []string
	Owner, Description string

	AllowedTypes  []string // empty: any
	MinStrength   int      // bits; 0: any
	Cryptoperiod  time.Duration
	RotationMode  string
	RequireReason []string
	Chain         Chain
}

// Key is a key as it is, and what was done to it.
type Key struct {
	Name, ID, Policy, Owner string
	Labels                  map[string]string
	State                   string

	Type        string // of the active version, else of the newest
	Bits        int    // the least strength of its versions that are not destroyed; 0: all are
	MaxBits     int    // the greatest of them
	MinStrength int    // what its policy demands
	Encrypts    bool

	Resident             bool  // it never leaves the token
	HSMRequired          bool  // its policy wants that an HSM wraps it
	Unprotected          []int // versions that no HSM wraps
	Exportable, Backup   bool  // material may leave in the clear, a version or the whole key
	Imported             bool  // its newest version was made elsewhere
	Versions, Destroyed  int   // how many it has had, and how many of them are destroyed
	Cryptoperiod         time.Duration
	RotationStatus       string
	NextRotation         time.Time
	Encryptions, Bytes   int64 // of the active version, as leased
	MaxEncryptions       int64 // 0: no limit
	MaxBytes             int64
	Denied               int64 // uses that were denied, of versions out of use
	Findings             []Finding
	Uses                 []Use
	Compromises          []Compromise
	Deletable, LegalHold bool
	Chain                Chain
}

// Finding is a rule of the policy that a key does not meet.
type Finding struct{ Field, Value, Rule string }

// Use is the time in which a version protected data.
type Use struct {
	Version     int
	From, Until time.Time // no end: it still does
}

// Compromise is a report about a version.
type Compromise struct {
	Version    int
	Code       string
	Reported   time.Time
	ReplacedBy int       // the version in its place; 0: none is
	Replaced   time.Time // since when; zero: not known, or it was out of use already
}

// Chain is a chain of custody records, and its acts in the time of the report.
type Chain struct {
	Name       string
	Records    int // that were read
	First      time.Time
	Partial    bool // older records were not read
	Problems   []string
	Unfinished int
	Acts       []Act
}

// Act is an act as custody tells it.
type Act struct {
	Seq      int
	Name     string
	Time     time.Time
	Versions []int
	By       string // who asked; empty: nobody
	System   bool
	Reason   string
	Done     bool // it took effect; one without an end, as far as anybody knows, may have
	Details  map[string]string
}

// The details of acts that the table reads.
const (
	detailApproval   = "approval"
	detailApprovers  = "approvers"
	detailBreakGlass = "break_glass"
	detailDuties     = "duties_hash"
)
