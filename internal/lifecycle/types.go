// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"cmp"
	"slices"
	"strconv"

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

// typeUntil returns the type of a version. A number that no version has yet is of the newest one's.
func (k Key) typeUntil(version int) TypeUntil {
	for _, t := range k.EarlierTypes {
		if version <= t.Until {
			return t
		}
	}
	return TypeUntil{k.Latest, k.Type, k.Size}
}

// TypeOf returns the type of a version.
func (k Key) TypeOf(version int) keytype.Type { return k.typeUntil(version).Type }

// SizeOf returns the size in bytes of a version of type hmac; 0: of all others.
func (k Key) SizeOf(version int) int { return k.typeUntil(version).Size }

// ActiveType returns the type of the active version, or of the newest one where none is active.
func (k Key) ActiveType() keytype.Type { return k.TypeOf(k.activeOrNewest()) }

// ActiveSize is [Key.SizeOf] the same version.
func (k Key) ActiveSize() int { return k.SizeOf(k.activeOrNewest()) }

func (k Key) activeOrNewest() int { return cmp.Or(k.Primary, k.Latest) }

// TypeNamed returns the type of the version that a request to protect names; 0: of the active one.
func (k Key) TypeNamed(requested int) keytype.Type {
	return k.TypeOf(cmp.Or(requested, k.activeOrNewest()))
}

// Types returns the types of the versions that were not trimmed, the oldest first.
func (k Key) Types() []keytype.Type {
	types := make([]keytype.Type, 0, len(k.EarlierTypes)+1)
	for _, t := range k.EarlierTypes {
		if t.Until >= k.MinAvailable {
			types = append(types, t.Type)
		}
	}
	return append(types, k.Type)
}

// HasManyTypes reports whether the versions that were not trimmed differ in type.
func (k Key) HasManyTypes() bool {
	types := k.Types()
	return slices.ContainsFunc(types, func(t keytype.Type) bool { return t != k.Type })
}

// AnyType reports whether a version that was not trimmed is of such a type.
func (k Key) AnyType(is func(keytype.Type) bool) bool {
	return is(k.Type) || len(k.EarlierTypes) > 0 && slices.ContainsFunc(k.Types(), is)
}

// firstNot returns the first version from one on whose type is not such; one more than the latest: there is none.
func (k Key) firstNot(from int, is func(keytype.Type) bool) int {
	for from <= k.Latest {
		t := k.typeUntil(from)
		if !is(t.Type) {
			return from
		}
		from = t.Until + 1
	}
	return from
}

// NextType names the type of a next version. The zero NextType is as the policy has it, or as the active version is.
type NextType struct {
	Type keytype.Type
	Size int // of type hmac, in bytes; 0: as that of the active version
}

// WithNext returns the key as it is to be when it gets its next version: of the type that is named, if the policy admits that one.
// The version itself is made by [Key.Rotate] or [Key.Stage]. The policy is nil where none governs the key. The error is
// [refusal.ErrInvalid] or [refusal.ErrRefused], and names field, value and rule.
func (k Key) WithNext(named NextType, p *policy.Policy) (Key, error) {
	t, err := p.NextTypeOf(k.ActiveType(), named.Type)
	if err != nil {
		return k, err
	}
	if t == keytype.HMAC && named.Size == 0 {
		named.Size = k.ActiveSize()
	}
	return k.OfNext(NextType{t, named.Size})
}

// OfNext is WithNext for the very type, whatever a policy admits.
func (k Key) OfNext(n NextType) (Key, error) {
	if n.Type == k.Type && n.Size == k.Size {
		return k, nil
	}
	next := k
	next.Type, next.Size = n.Type, n.Size
	next.EarlierTypes = slices.DeleteFunc(slices.Clone(k.EarlierTypes), func(t TypeUntil) bool { return t.Until < k.MinAvailable })
	next.EarlierTypes = append(next.EarlierTypes, TypeUntil{k.Latest, k.Type, k.Size})
	if err := cmp.Or(checkType(next), next.checkProtection(), k.checkNext(n.Type)); err != nil {
		return k, err
	}
	if len(next.EarlierTypes) > mostTypes {
		return k, refusal.Refusedf("type: %q: the type of key %q has changed %d times: trim or make a new key before it changes again", n.Type, k.Name, mostTypes)
	}
	return next, nil
}

// checkNext refuses a type that is for something else than the key, or cannot do what the key is restricted to.
func (k Key) checkNext(t keytype.Type) error {
	if !keytype.SharePurpose(append(k.Types(), t)...) {
		return refusal.InvalidField("type", string(t), "must be for what all versions of the key are for, encryption, signatures, HMACs or CMACs; they are of type "+typesText(k.Types()))
	}
	for _, use := range uses {
		if slices.Contains(k.Uses, use.name) && use.of(k.ActiveType()) && !use.of(t) {
			return refusal.InvalidField("type", string(t), "must be able to do what the key is restricted to by allowed_uses: "+string(use.name))
		}
	}
	return nil
}

// checkTypes refuses what no changes of type lead to.
func (k Key) checkTypes() error {
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
	if len(k.EarlierTypes) > mostTypes || !keytype.SharePurpose(k.Types()...) {
		return refusal.InvalidField("types", typesText(k.Types()), "must be at most 64, and all for one purpose")
	}
	return nil
}

// typesText lists types, each once.
func typesText(types []keytype.Type) string {
	var text string
	for i, t := range types {
		switch {
		case slices.Contains(types[:i], t):
		case text == "":
			text = string(t)
		default:
			text += ", " + string(t)
		}
	}
	return text
}

// ChangeOfType says how the type, or size, of the newest version of next differs from that of the active one of k; empty: it does not.
func ChangeOfType(k, next Key) string {
	was, is := k.typeUntil(k.activeOrNewest()), next.typeUntil(next.Latest)
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
