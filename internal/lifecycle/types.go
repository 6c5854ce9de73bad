// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// This file is about keys whose versions are not all of one type.

// TypeUntil is the type of versions up to one of them, from the first or from behind the entry before.
type TypeUntil struct {
	Until int
	Type  keytype.Type
	Size  int // as of a key
}

// mostTypes bounds how often the type of a key may change while the versions are there.
const mostTypes = 64

// Types are the types of the versions of a key.
type Types struct{ key *Key }

// TypesOf returns those of the key.
func TypesOf(k *Key) Types { return Types{k} }

// at returns the type of a version. A number that no version has yet is of the newest one's.
func (t Types) at(version int) TypeUntil {
	for _, earlier := range t.key.EarlierTypes {
		if version <= earlier.Until {
			return earlier
		}
	}
	return TypeUntil{t.key.Latest, t.key.Type, t.key.Size}
}

// Of returns the type of a version.
func (t Types) Of(version int) keytype.Type { return t.at(version).Type }

// SizeOf returns the size in bytes of a version of type hmac; 0: of all others.
func (t Types) SizeOf(version int) int { return t.at(version).Size }

func (t Types) active() TypeUntil { return t.at(cmp.Or(t.key.Primary, t.key.Latest)) }

// Active returns the type of the active version, or of the newest one where none is active.
func (t Types) Active() keytype.Type { return t.active().Type }

// ActiveSize is [Types.SizeOf] the same version.
func (t Types) ActiveSize() int { return t.active().Size }

// Named returns the type of the version that a request to protect names; 0: of the active one.
func (t Types) Named(requested int) keytype.Type {
	if requested == 0 {
		return t.Active()
	}
	return t.Of(requested)
}

// All returns the types of the versions that were not trimmed, the oldest first.
func (t Types) All() []keytype.Type {
	all := make([]keytype.Type, 0, len(t.key.EarlierTypes)+1)
	for _, earlier := range t.key.EarlierTypes {
		if earlier.Until >= t.key.MinAvailable {
			all = append(all, earlier.Type)
		}
	}
	return append(all, t.key.Type)
}

// Differ reports whether the versions that were not trimmed differ in type.
func (t Types) Differ() bool { return t.Any(func(of keytype.Type) bool { return of != t.key.Type }) }

// Any reports whether a version that was not trimmed is of such a type.
func (t Types) Any(is func(keytype.Type) bool) bool {
	return is(t.key.Type) || len(t.key.EarlierTypes) > 0 && slices.ContainsFunc(t.All(), is)
}

// firstNot returns the first version from one on whose type is not such; one more than the latest: there is none.
func (t Types) firstNot(from int, is func(keytype.Type) bool) int {
	for from <= t.key.Latest {
		of := t.at(from)
		if !is(of.Type) {
			return from
		}
		from = of.Until + 1
	}
	return from
}

// text lists the types, each once.
func (t Types) text() string {
	var names []string
	for _, of := range t.All() {
		if !slices.Contains(names, string(of)) {
			names = append(names, string(of))
		}
	}
	return strings.Join(names, ", ")
}

// NextType names the type of a next version. The zero NextType is as the policy has it, or as the active version is.
type NextType struct {
	Type keytype.Type
	Size int // of type hmac, in bytes; 0: as that of the active version
}

// WithNext returns the key as it is to be when it gets its next version: of the type that is named, if the policy admits that one.
// The version itself is made by [Key.Rotate] or [Key.Stage]. The policy is nil where none governs the key. The error is
// [refusal.ErrInvalid] or [refusal.ErrRefused], and names field, value and rule.
func WithNext(k Key, named NextType, p *policy.Policy) (Key, error) {
	active := TypesOf(&k).active()
	t, err := p.NextTypeOf(active.Type, named.Type)
	if err != nil {
		return k, err
	}
	if t == keytype.HMAC && named.Size == 0 {
		named.Size = active.Size
	}
	return OfNext(k, NextType{t, named.Size})
}

// OfNext is WithNext for the very type, whatever a policy admits.
func OfNext(k Key, n NextType) (Key, error) {
	if n.Type == k.Type && n.Size == k.Size {
		return k, nil
	}
	next := k
	next.Type, next.Size = n.Type, n.Size
	next.EarlierTypes = slices.DeleteFunc(slices.Clone(k.EarlierTypes), func(t TypeUntil) bool { return t.Until < k.MinAvailable })
	next.EarlierTypes = append(next.EarlierTypes, TypeUntil{k.Latest, k.Type, k.Size})
	if err := cmp.Or(checkNext(k, n.Type), checkType(next), next.checkProtection()); err != nil {
		return k, err
	}
	if len(next.EarlierTypes) > mostTypes {
		return k, refusal.Refusedf("type: %q: the type of key %q has changed %d times: trim or make a new key before it changes again", n.Type, k.Name, mostTypes)
	}
	return next, nil
}

// checkNext refuses a type that is for something else than the key, or cannot do what the key is restricted to.
func checkNext(k Key, t keytype.Type) error {
	if !keytype.SharePurpose(append(TypesOf(&k).All(), t)...) {
		return refusal.InvalidField("type", string(t), "must be for what all versions of the key are for, encryption, signatures, HMACs or CMACs; they are of type "+TypesOf(&k).text())
	}
	for _, use := range uses {
		if slices.Contains(k.Uses, use.name) && use.of(TypesOf(&k).Active()) && !use.of(t) {
			return refusal.InvalidField("type", string(t), "must be able to do what the key is restricted to by allowed_uses: "+string(use.name))
		}
	}
	return nil
}

// checkTypes refuses what no changes of type lead to.
func checkTypes(k Key) error {
	was := 0
	for _, t := range k.EarlierTypes {
		of := k
		of.Type, of.Size = t.Type, t.Size
		if t.Until <= was || t.Until >= k.Latest {
			return refusal.InvalidField("types", t.Until, "each must end behind the one before, and before the latest version")
		}
		if err := checkType(of); err != nil {
			return err
		}
		was = t.Until
	}
	if len(k.EarlierTypes) > mostTypes || !keytype.SharePurpose(TypesOf(&k).All()...) {
		return refusal.InvalidField("types", TypesOf(&k).text(), "must be at most 64, and all for one purpose")
	}
	return nil
}

// ChangeOfType says how the type, or size, of the newest version of next differs from that of the active one of k; empty: it does not.
func ChangeOfType(k, next Key) string {
	was, is := TypesOf(&k).active(), TypesOf(&next).at(next.Latest)
	if was.Type == is.Type && was.Size == is.Size {
		return ""
	}
	return was.text() + arrow + is.text()
}

func (t TypeUntil) text() string {
	if t.Size == 0 {
		return string(t.Type)
	}
	return string(t.Type) + " of " + strconv.Itoa(t.Size) + " bytes"
}
