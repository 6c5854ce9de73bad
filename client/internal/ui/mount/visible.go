// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

import (
	"fmt"
	"strings"
	"unicode"
)

// Visible shows characters that are not seen, and those that change the order of others (Unicode Standard Annex 9), by their
// numbers: whoever reads a reason reads what was written.
func Visible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			fmt.Fprintf(&b, "[U+%04X]", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// Escaped writes the same characters as Go, JSON and HCL write them in a text.
func Escaped(s string) string {
	var b strings.Builder
	for _, r := range s {
		if !hidden(r) {
			b.WriteRune(r)
			continue
		}
		if r > 0xFFFF {
			fmt.Fprintf(&b, `\U%08X`, r)
			continue
		}
		fmt.Fprintf(&b, `\u%04X`, r)
	}
	return b.String()
}

func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) && r != '\n' && r != '\t' && r != '\r'
}

// visibleIn does so to all texts of an answer.
func visibleIn(value any) any {
	switch v := value.(type) {
	case string:
		return Visible(v)
	case []any:
		for i := range v {
			v[i] = visibleIn(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[Visible(name)] = visibleIn(inner)
		}
		return out
	}
	return value
}
