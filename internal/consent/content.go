// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/acts"
)

// Content is what somebody asks for, whole: who consents to it consents to exactly this. Two that ask for the same at the same
// state of things ask once.
type Content struct {
	Instance   string            `json:"instance"` // the mount
	Operation  acts.Gate         `json:"operation"`
	Subject    Subject           `json:"subject"`
	Version    int               `json:"version"`    // of a key; 0: none in particular
	Revision   int               `json:"revision"`   // of the subject, when it was asked for
	Policy     Policy            `json:"policy"`     // whose rule asks for consent; empty: that of the mount
	Parameters map[string]string `json:"parameters"` // those given, as parsed, each as one text
	Reason     string            `json:"reason"`
	Requester  string            `json:"requester"` // id of an entity
}

// Subject is what an act is done to.
type Subject struct {
	Scope acts.Scope `json:"scope"` // of a version: [acts.Key]
	Name  string     `json:"name"`  // empty: the mount
	KeyID string     `json:"key_id"`
}

// Policy names a revision of a policy.
type Policy struct {
	Name     string `json:"name"`
	Revision int    `json:"revision"`
	Hash     string `json:"hash"`
}

// Digest returns the SHA-256, in hex, of the content as JSON behind the line "keylife/approval/v1", with the fields in the order of
// [Content] and the names of parameters sorted:
//
//	{"instance":"8f14…","operation":"retire","subject":{"scope":"key","name":"cards","key_id":"6f72…"},"version":3,"revision":17,
//	 "policy":{"name":"pci","revision":4,"hash":"…"},"parameters":{},"reason":"CHG-4711","requester":"3f2b…"}
func (c Content) Digest() string {
	sum := sha256.Sum256(c.text())
	return hex.EncodeToString(sum[:])
}

// text is what the digest is of. Two contents have one text only if they are the same: all texts in them come out of JSON, so they
// are UTF-8.
func (c Content) text() []byte {
	if c.Parameters == nil {
		c.Parameters = map[string]string{}
	}
	text := bytes.NewBufferString("keylife/approval/v1\n")
	encoder := json.NewEncoder(text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(c); err != nil {
		panic("internal error: content is always JSON: " + err.Error())
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n"))
}

// Difference is a field in which two contents differ, with both values as texts; the empty one: they are the same.
type Difference struct{ Field, Of, Other string }

// Difference returns the first field in which another content differs, in the order of [Content]. Operation, subject and requester
// are not compared.
func (c Content) Difference(other Content) Difference {
	for _, d := range []Difference{
		{"version", strconv.Itoa(c.Version), strconv.Itoa(other.Version)},
		{"revision", strconv.Itoa(c.Revision), strconv.Itoa(other.Revision)},
		{"policy", c.Policy.String(), other.Policy.String()},
		c.parameterOf(other),
		{"reason", c.Reason, other.Reason},
	} {
		if d.Of != d.Other {
			return d
		}
	}
	return Difference{}
}

// parameterOf returns the first parameter that differs; an absent one is empty.
func (c Content) parameterOf(other Content) (d Difference) {
	names := slices.Concat(slices.Collect(maps.Keys(c.Parameters)), slices.Collect(maps.Keys(other.Parameters)))
	slices.Sort(names)
	for _, name := range names {
		if d = (Difference{name, c.Parameters[name], other.Parameters[name]}); d.Of != d.Other {
			return d
		}
	}
	return Difference{}
}

// String names the revision: "pci, revision 4"; empty: none.
func (p Policy) String() string {
	if p.Name == "" {
		return ""
	}
	return fmt.Sprintf("%s, revision %d", p.Name, p.Revision)
}

// idPrefix begins the id of every request.
const idPrefix = "ap-"

// idBytes is how much of the digest an id holds. Who asks chooses the reason, so 128 bits could be searched for a second content
// of the same id: what is executed is compared by the whole digest.
const idBytes = 16

var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// IDOf returns the id of a request by its digest: "ap-" and 26 letters and digits.
func IDOf(digest string) string { return idOf(idPrefix, digest) }

func idOf(prefix, digest string) string {
	sum, err := hex.DecodeString(digest)
	if err != nil || len(sum) != sha256.Size {
		panic("internal error: no digest")
	}
	return prefix + strings.ToLower(idEncoding.EncodeToString(sum[:idBytes]))
}

// IsID reports whether a text has the form of an id.
func IsID(text string) bool {
	code, ok := strings.CutPrefix(text, idPrefix)
	sum, err := idEncoding.DecodeString(strings.ToUpper(code))
	return ok && err == nil && len(sum) == idBytes && IDOf(hex.EncodeToString(append(sum, make([]byte, sha256.Size-idBytes)...))) == text
}
