// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package consent

import (
	"slices"
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/refusal"
)

// Bounds of a rule.
const (
	MostPersons = 10
	MostGroups  = 8
	mostName    = 256 // bytes of the name of a group
)

// notCreator is the text of the rule that asks for another person than who made the version.
const notCreator = "not creator"

// Rule says whose consent an act needs.
type Rule struct {
	Need       int      // this many persons
	Groups     []string // each in at least one of these groups of Vault's identity, by name or id
	NotCreator bool     // no consent: who acts is another person than who made the version. Need is 0 then
}

// ParseRule reads a rule: "2 of key-approvers", "2 of key-approvers, security" or "not creator". The error says what a rule looks like.
func ParseRule(text string) (Rule, error) {
	text = strings.TrimSpace(text)
	if text == notCreator {
		return Rule{NotCreator: true}, nil
	}
	count, names, found := strings.Cut(text, " of ")
	need, err := strconv.Atoi(strings.TrimSpace(count))
	switch {
	case !found || err != nil:
		return Rule{}, refusal.Invalidf(`must be as "2 of key-approvers", with groups separated by commas, or "not creator"`)
	case need < 1 || need > MostPersons:
		return Rule{}, refusal.Invalidf("must ask for 1 to %d persons", MostPersons)
	}
	rule := Rule{Need: need}
	for name := range strings.SplitSeq(names, ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "" || len(name) > mostName:
			return Rule{}, refusal.Invalidf("must name each group with 1 to %d bytes", mostName)
		case slices.Contains(rule.Groups, name):
			return Rule{}, refusal.Invalidf("must name group %q once", name)
		}
		rule.Groups = append(rule.Groups, name)
	}
	if len(rule.Groups) > MostGroups {
		return Rule{}, refusal.Invalidf("must name at most %d groups", MostGroups)
	}
	return rule, nil
}

// String returns the rule as [ParseRule] reads it.
func (r Rule) String() string {
	if r.NotCreator {
		return notCreator
	}
	return strconv.Itoa(r.Need) + " of " + strings.Join(r.Groups, ", ")
}

// MarshalText is [Rule.String].
func (r Rule) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is [ParseRule].
func (r *Rule) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRule(string(text))
	return err
}

// Admits reports whether a member of these groups counts under the rule.
func (r Rule) Admits(groups []Group) bool {
	return slices.ContainsFunc(groups, func(g Group) bool { return slices.Contains(r.Groups, g.Name) || slices.Contains(r.Groups, g.ID) })
}

// Group is a group of Vault's identity.
type Group struct{ ID, Name string }
