// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package names makes names of keys as a hostile client gives them: such as lead elsewhere, look alike, are words of storage or of the API,
// or are no names at all. A seed makes the same names each time. What is a good name it says by itself, without the code under test.
package names

import (
	"math/rand/v2"
	"regexp"
	"strings"
)

// Longest is how many bytes a name may have.
const Longest = 1024

// A Name is one that a client gives, and of which kind it is.
type Name struct{ Kind, Text string }

var good = regexp.MustCompile(`\A[0-9A-Za-z_]([0-9A-Za-z_.-]*[0-9A-Za-z_])?\z`)

// IsWord reports a name of the characters that a name may have, in places where it may have them. It may be refused all the same.
func (n Name) IsWord() bool { return good.MatchString(n.Text) }

// IsGood reports a name that a key may have.
func (n Name) IsGood() bool {
	return n.IsWord() && len(n.Text) <= Longest && !strings.Contains(n.Text, "..")
}

// Of returns so many names, all of them different, of each kind about as many.
func Of(seed uint64, count int) []Name {
	r := rand.New(rand.NewPCG(seed, 0))
	all := make([]Name, 0, count)
	seen := make(map[string]bool, count)
	for i := 0; len(all) < count; i++ {
		k := kinds[i%len(kinds)]
		if text := k.next(r); !seen[text] {
			seen[text] = true
			all = append(all, Name{k.name, text})
		}
	}
	return all
}

// Kinds returns the names of the kinds.
func Kinds() (all []string) {
	for _, k := range kinds {
		all = append(all, k.name)
	}
	return all
}
