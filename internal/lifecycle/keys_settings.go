// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// KeysSettings are those of a mount for all of its keys.
type KeysSettings struct {
	DisableUpsert bool     // encrypting does not make keys
	PublicJWKS    []string // the keys whose public halves anybody may read, sorted: names, or what they begin with before a *
}

// mostPublicJWKS bounds the list.
const mostPublicJWKS = 512

// WithPublicJWKS returns the settings with another list. The error is [refusal.ErrInvalid].
func (s KeysSettings) WithPublicJWKS(names []string) (KeysSettings, error) {
	const field = "public_jwks"
	if len(names) > mostPublicJWKS {
		return s, refusal.Invalidf("%s: %d names: at most %d", field, len(names), mostPublicJWKS)
	}
	for _, name := range names {
		if name == "" || strings.Contains(strings.TrimSuffix(name, "*"), "*") {
			return s, refusal.InvalidField(field, name, "must be the name of a key, or what names begin with and a * behind it")
		}
	}
	s.PublicJWKS = slices.Compact(slices.Sorted(slices.Values(names)))
	return s, nil
}

// Publishes reports whether anybody may read the public halves of the key of that name.
func (s KeysSettings) Publishes(name string) bool {
	return slices.ContainsFunc(s.PublicJWKS, func(listed string) bool {
		prefix, many := strings.CutSuffix(listed, "*")
		return listed == name || many && strings.HasPrefix(name, prefix)
	})
}

// Equal reports whether both say the same.
func (s KeysSettings) Equal(o KeysSettings) bool {
	return s.DisableUpsert == o.DisableUpsert && slices.Equal(s.PublicJWKS, o.PublicJWKS)
}

// Differences are what custody says of a change to next.
func (s KeysSettings) Differences(next KeysSettings) map[string]string {
	details := map[string]string{}
	if s.DisableUpsert != next.DisableUpsert {
		details["disable_upsert"] = fmt.Sprintf("%t -> %t", s.DisableUpsert, next.DisableUpsert)
	}
	for list, names := range map[string][]string{"public_jwks_added": without(next.PublicJWKS, s.PublicJWKS), "public_jwks_removed": without(s.PublicJWKS, next.PublicJWKS)} {
		if len(names) > 0 {
			details[list] = strings.Join(names, ",")
		}
	}
	return details
}

// without returns the names that others do not have.
func without(names, others []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(others, name) })
}
