// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"maps"

	"github.com/keylife/vault-plugin-keylife/internal/consent"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

// Event is what custody says of an act on a key.
type Event struct {
	Act            string // create, rotate, or the name of an operation; empty: not recorded
	Versions       []int
	From, To       string
	Reason         string
	Policy         string
	PolicyRevision int
	Details        map[string]string

	Consent string          // id of the request that people approved; empty: nobody was asked
	Review  *consent.Review // of an act by break-glass; nil: it is none
}

// Under returns the event as one under the revision; nil: under none. Its hash tells it from one of the same number, of a
// policy that was deleted and written again.
func (e Event) Under(p *policy.Policy) Event {
	if p == nil || e.Act == "" {
		return e
	}
	e.Policy, e.PolicyRevision = p.Name, p.Revision
	return e.With("policy_hash", p.Hash)
}

// With returns the event with one more detail; an empty text adds none.
func (e Event) With(name, text string) Event {
	if text == "" {
		return e
	}
	details := map[string]string{name: text}
	maps.Copy(details, e.Details)
	e.Details = details
	return e
}

// ConsentedAs returns the event with the consent of another, or the review in its place, and the details that tell of it.
func (e Event) ConsentedAs(o Event) Event {
	e.Consent, e.Review = o.Consent, o.Review
	for name, text := range o.Details {
		e = e.With(name, text)
	}
	return e
}

// mostNamed is how many versions a custody record names.
const mostNamed = 64

// About returns the event as one about versions, which are sorted. A detail tells of many which they are.
func (e Event) About(versions []int) Event {
	if len(versions) <= mostNamed {
		e.Versions = versions
		return e
	}
	return e.With("versions", fmt.Sprintf("%d of %d to %d", len(versions), versions[0], versions[len(versions)-1]))
}

// Commit is one act on a key: the key after it, what it made, and what custody says of it.
type Commit struct {
	Key      Key
	Version  *Version  // a new version; nil: none
	Restored []Version // the versions of a key that is restored, the oldest first; what was destroyed of them has no material
	Event    Event
	Chains   []CertificateChain // of versions that the key names them for
	Relocate Range              // versions whose material has to move or go, after the commit
	Verify   bool               // the entry of the new version is read back before the commit, and has to be what was written
	KeyStays bool               // nothing of the key changes, and custody keeps the act all the same
}

// Followed returns the commit with another step of the same act: the key after it, and the version that it made; nil: none.
// However many steps an act has, the key's revision grows once.
func (c Commit) Followed(next Key, made *Version) Commit {
	next.Revision = c.Key.Revision
	c.Key, c.Version = next, made
	return c
}
