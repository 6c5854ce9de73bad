// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Key is everything known of a key but its secrets: an immutable snapshot of one committed record.
type Key struct {
	ID           string // random, hex; ties stored material to this key and not to its name, which may be used again
	Name         string
	Type         keytype.Type // of the newest version; see [TypesOf]
	Size         int          // of a newest version of type hmac, in bytes; 0: of all others
	EarlierTypes []TypeUntil  // of versions before a change of type, the oldest first; shared, so never changed in place

	Derived    bool // a key per context is derived (HKDF-SHA256)
	Convergent bool // equal plaintext and context give equal ciphertext; needs Derived

	Protection Protection // where the key itself is; it never changes

	Origin

	Exportable           bool // one-way
	AllowPlaintextBackup bool // one-way
	DeletionAllowed      bool

	Certificates Certificates // of versions that have one
	Uses         []AllowedUse // what the key may be used for, in the order of [AllowedUses]; one-way: it is narrowed only. Empty: all

	Policy string // name of the policy that governs the key; empty: none
	Owner  string
	Labels map[string]string

	AutoRotatePeriod time.Duration // Transit's own rotation, for keys without a policy; 0: none

	Latest  int // the highest version number ever given
	Primary int // the active version; 0: none, the last one lapsed
	Staged  int // the pre-active version; 0: none

	MinDecryption  int // versions below are archived by the floor: denied, their material stays where it is
	MinEncryption  int // versions below do not protect even when named; 0: no floor
	MinAvailable   int // versions below were trimmed; 0: none was
	DestroyedBelow int // versions below are destroyed; 0: none is
	PrivateFrom    int // versions below have no private half any more; 0: all have what they were made with

	Overrides Overrides // versions whose state does not follow from the above
	Status    KeyStatus
	Hold      bool // legal hold: nothing is retired, destroyed or deleted
	Oldest    Oldest

	Created  time.Time
	Recent   []time.Time // when the newest versions were made, or promoted if staged, the last of them Latest's; the store keeps the rest
	Rotation Rotation

	CreatedBy string    // id of the entity that made it; empty: nobody knows. The store sees to it
	LastDrill time.Time // when a drill of a compromise was last kept by custody; zero: never

	LastActs     LastActs      // which custody records tell of the last changes; the store sees to it
	Predecessors []Predecessor // the versions active before the active one, the last of them just before; shared, so never changed in place

	Alert    Alert     // what operators should look at
	Due      time.Time // the time under which the due index lists the key; zero: it has nothing scheduled
	Revision int       // grows by one with every committed change; what "cas" is compared with
}

// Oldest names the oldest deactivated version, the next that the clock archives.
type Oldest struct {
	Version     int // 0: there is none, or nothing asks
	Deactivated time.Time
}

// Rotation is what is remembered of a key's rotations.
type Rotation struct {
	Base     time.Time // the point of the schedule the next rotation is counted from
	Last     time.Time // when the latest version was made
	Promoted time.Time // when the active version became active first: a rollback does not begin it anew
	Trigger  Trigger   // what made the latest version
	Reason   string    // the operator's reason, if one was given

	Failures  int       // automatic attempts that failed since the last success
	LastError string    // of the newest failed attempt
	FailedAt  time.Time // when that was
	RetryAt   time.Time // no automatic attempt before

	Exhausted     int          // the version that reached a usage limit; 0: none did
	ExhaustedAt   time.Time    // when that was
	ExhaustedBy   policy.Usage // what it would have come to; above the limits of then
	ChecksPending bool         // the active version was promoted and has not passed the policy's checks yet
	PriorBase     time.Time    // what Since was before the latest version
	PriorFailures int          // what Failures was before the latest version
}

// Predecessor is a version that was active, and was not rolled back from.
type Predecessor struct {
	Version int
	Since   time.Time // when it became active first
}

// Alert says that a key needs somebody's attention. The zero Alert is none.
type Alert struct {
	Status Status    // one of [Alerts]
	Since  time.Time // when the rotation was due, or the key stopped
}

// Alerted is a key that the index of alerts lists under a status.
type Alerted struct {
	Name  string
	Since time.Time // to the minute
}

// Trigger is what caused a rotation.
type Trigger string

// The triggers of a rotation.
const (
	ByCreation Trigger = "creation"
	ByOperator Trigger = "operator"
	BySchedule Trigger = "schedule"
	ByUsage    Trigger = "usage"    // the active version reached a usage limit
	ByPeriod   Trigger = "period"   // the originator period of the active version ended
	ByClock    Trigger = "clock"    // the dates of the active version are by a clock that was ahead
	ByIncident Trigger = "incident" // the active version was reported as compromised
	ByImport   Trigger = "import"   // it was made elsewhere
)

// RotationTriggers are those of versions that follow another, and are made here.
func RotationTriggers() []Trigger {
	return []Trigger{ByOperator, BySchedule, ByUsage, ByPeriod, ByClock, ByIncident}
}

// isOfClock reports whether the clock made the version, and not somebody who asked for it.
func (t Trigger) isOfClock() bool { return t != ByOperator && t != ByCreation && t != ByImport }

// Version is what is stored of one version of a key.
type Version struct {
	KeyID       string // must equal Key.ID
	Number      int
	Created     time.Time
	Fingerprint string // one-way digest of the material
	Sealed      []byte // the material, sealed; opaque here
	Public      []byte // the public half, PKIX DER; it stays when the version is destroyed. Empty: the type has none
	PublicOnly  bool   // the private half was erased: Sealed has none
	Object      string // the CKA_ID, in hex, of the object on the token that is the key; empty: there is none
	CreatedBy   string // id of the entity that made it; empty: nobody knows, or the mount did by itself
}

// New returns the first revision of a key with its version 1 active. The spec's identity, type, flags, policy,
// owner and labels are taken; everything else is set here. The error is [refusal.ErrInvalid].
func New(spec Key, at time.Time) (Key, error) {
	if spec.Convergent && !spec.Derived {
		return Key{}, refusal.InvalidField("convergent_encryption", true, "convergent encryption requires derivation to be enabled (derived=true)")
	}
	if err := checkType(spec); err != nil {
		return Key{}, err
	}
	if err := checkOrigin(spec); err != nil {
		return Key{}, err
	}
	if err := checkAutoRotate(spec); err != nil {
		return Key{}, err
	}
	if err := policy.CheckLabels(spec.Labels); err != nil {
		return Key{}, err
	}
	if err := checkUses(spec); err != nil {
		return Key{}, err
	}
	if err := spec.checkProtection(); err != nil {
		return Key{}, err
	}
	trigger := ByCreation
	if spec.Imported {
		trigger = ByImport
	}
	return Key{
		ID: spec.ID, Name: spec.Name, Type: spec.Type, Size: spec.Size, Derived: spec.Derived, Convergent: spec.Convergent, Protection: spec.Protection,
		Exportable: spec.Exportable, AllowPlaintextBackup: spec.AllowPlaintextBackup, DeletionAllowed: spec.DeletionAllowed,
		Origin: spec.Origin, Uses: slices.Clone(spec.Uses),
		Policy: spec.Policy, Owner: spec.Owner, Labels: maps.Clone(spec.Labels), AutoRotatePeriod: spec.AutoRotatePeriod,
		Latest: 1, Primary: 1, MinDecryption: 1,
		Created: at, Recent: []time.Time{at}, Revision: 1,
		Rotation: Rotation{Base: at, Last: at, Promoted: at, Trigger: trigger},
	}, nil
}

// checkType refuses what no key of the type can be.
func checkType(k Key) error {
	switch t := k.Type; {
	case k.Derived && !t.SupportsDerivation():
		return refusal.AsFault(refusal.InvalidField("derived", true, "key derivation and convergent encryption not supported for keys of type "+string(t)))
	case k.Convergent && !t.SupportsConvergent():
		return refusal.InvalidField("convergent_encryption", true, "key type "+string(t)+" has no convergent encryption")
	case t != keytype.HMAC && k.Size != 0:
		return refusal.InvalidField("key_size", k.Size, "is not valid for key type "+string(t))
	case t == keytype.HMAC && (k.Size < keytype.MinHMACSize || k.Size > keytype.MaxHMACSize):
		return refusal.InvalidField("key_size", k.Size, fmt.Sprintf("must be from %d to %d bytes for keys of type hmac", keytype.MinHMACSize, keytype.MaxHMACSize))
	}
	return nil
}

// after returns the number after n. At the end of the numbers it begins anew: no act is held back by it.
func after(n int) int {
	if n >= math.MaxInt32 {
		return 1
	}
	return n + 1
}

// Failed returns the key after an automatic rotation that did not succeed. It is no change an operator made, so the
// revision stays.
func (k Key) Failed(cause string, p *policy.Policy, at time.Time) Key {
	next := k
	next.Rotation.Failures++
	next.Rotation.LastError = cause
	next.Rotation.FailedAt = at
	next.Rotation.RetryAt = at.Add(p.Backoff(next.Rotation.Failures))
	return next
}

// Attributes are what a policy asks of the key.
func (k Key) Attributes() policy.Attributes {
	return policy.Attributes{
		Type: TypesOf(&k).Active(), Convergent: k.Convergent, Exportable: k.Exportable, AllowPlaintextBackup: k.AllowPlaintextBackup,
	}
}

// RulesFor returns the rules for the key. The policy is nil where none governs it. A key whose policy is missing, or cannot
// be read, gets strict ones.
func (k Key) RulesFor(p *policy.Policy) policy.EffectiveRules {
	return policy.RulesFor(p, k.Policy != "", k.Attributes())
}
