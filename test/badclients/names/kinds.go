// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package names

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode"
)

// Nowhere begins the names of keys that nobody makes, below which [Of] asks for paths of the API.
const Nowhere = "nowhere"

// kind makes names of a kind. There are far more of each than anybody asks for.
type kind struct {
	name string
	next func(r *rand.Rand) string
}

var kinds = []kind{
	{"leads elsewhere", func(r *rand.Rand) string {
		return around(r, one(r, "..", ".", "../", "/..", "/../", "..;/", "....//", `..\`, "./", "//", "/", `\`, "~/", "file:///", "C:"))
	}},
	{"encoded", func(r *rand.Rand) string {
		return around(r, one(r, "%2e%2e", "%2f", "%2F..%2F", "%252f", "%00", "%0a", "%20", "+", "%c0%af", "%u002f", "%e2%80%ae", "%", "%%", "%zz", "&#47;", "=2F"))
	}},
	{"looks alike", func(r *rand.Rand) string { return alike(r, word(r)) }},
	{"is written otherwise", func(r *rand.Rand) string { // composed and decomposed, from right to left, invisible, no characters at all
		return around(r, one(r, "é", "e\u0301", "Å", "A\u030a", "\u202e", "\u200f", "\u200b", "\u200d", "\ufeff", "\u00ad", "ß", "ﬁ", "İ", "ı", "\U0001F511", "\ufffd", "\U000e0061"))
	}},
	{"is no text", func(r *rand.Rand) string {
		return around(r, one(r, "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf8", "\xe2\x28"))
	}},
	{"controls", func(r *rand.Rand) string {
		return around(r, string(one(r, 0, 1, 7, 8, '\t', '\n', '\v', '\f', '\r', 27, 31, 127, 0x85, 0xa0, 0x2028, 0x3000)))
	}},
	{"long", func(r *rand.Rand) string { return long(r, Longest-3+r.IntN(6)) }},
	{"very long", func(r *rand.Rand) string { return long(r, Longest<<r.IntN(4)) }},
	{"in capitals", func(r *rand.Rand) string { return anyCase(r, one(r, "orders", "orders-2024", "kelvin_k", "straße")) }},
	{"storage's", func(r *rand.Rand) string { return join(r, storage) }},
	{"the API's", func(r *rand.Rand) string { return join(r, api) }},
	{"another path", func(r *rand.Rand) string {
		return fmt.Sprintf("%s%d/%s", Nowhere, r.IntN(1000), one(r, "config", "rotate", "versions", "versions/1", "versions/1/destroy", "history", "suspend", "trim", "a", "", "../orders", "config/"))
	}},
	{"ends otherwise", func(r *rand.Rand) string { return word(r) + end(r) + end(r) }},
	{"begins otherwise", func(r *rand.Rand) string { return end(r) + word(r) }},
	{"nearly another", func(r *rand.Rand) string { // of five characters of three
		return strings.Map(func(rune) rune { return one(r, 'a', 'A', '_', '-', '.', '0') }, "aaaaa"[:1+r.IntN(5)])
	}},
	{"a number", func(r *rand.Rand) string {
		return fmt.Sprintf(one(r, "%d", "-%d", "0%d", "%de3", "0x%x", "%d.0", "%d_000", "1.%d", "9999999999999999%d", "%010d", "NaN%d", "٣%d"), r.IntN(2000))
	}},
	{"punctuation", func(r *rand.Rand) string { return around(r, string(rune('!'+r.IntN('~'-'!')))) }},
	{"a command", func(r *rand.Rand) string {
		return around(r, one(r, "';drop table keys--", "${jndi:ldap://x}", "{{7*7}}", "<script>", "$(id)", "`id`", "%s%s%n", "*", "?list=true", "#", "a&b=c", `"`, `{"a":1}`))
	}},
}

// storage are words that storage has in its paths.
var storage = []string{
	"keys", "versions", "custody", "journal", "archive", "denied", "access", "usage", "leases", "dates", "certificates", "policies", "revisions", "bound", "schedule",
	"alerts", "intents", "reviews", "approvals", "config", "kek", "barrier", "census", "clock", "settle", "erase", "rewrap", "mount", "policy", "retrying", "stalled", "overdue",
	"20260301T1201", "0000000001", "3ff", "1", "2", "-", ".", "_",
}

// api are words that paths and fields have, and what programs take for something else than a name.
var api = []string{
	"rotate", "rotation", "config", "plan", "import", "import_version", "history", "trim", "list", "read", "batch", "wrapping_key", "status", "health", "live", "metrics", "jwks",
	"encrypt", "decrypt", "plaintext", "wrapped", "system", "none", "others", "other", "all", "true", "false", "null", "nil", "undefined", "con", "aux", "__proto__", "constructor", "-", ".", "_",
}

func one[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// word returns one of some hundreds of good names, which other names are made from.
func word(r *rand.Rand) string {
	return fmt.Sprintf("%s%d", one(r, "k", "key", "order_s", "a-b", "pay.v"), r.IntN(100))
}

// around returns a good name with something in it, before it, or behind it.
func around(r *rand.Rand, part string) string {
	text := word(r)
	at := one(r, 0, r.IntN(len(text)), len(text))
	return text[:at] + part + text[at:]
}

// join returns up to four words in a row, with one of the characters between them that a name has inside.
func join(r *rand.Rand, words []string) string {
	text := one(r, words...)
	for range r.IntN(4) {
		text += one(r, "", "-", ".", "_") + one(r, words...)
	}
	return text
}

// end returns what stands at the end of a name where hardly anybody sees it.
func end(r *rand.Rand) string {
	return one(r, "", "-", ".", "_", "0", "1", " ", "/", "\t", "\n", "~", "..", "._", "-_", "%", ":", ";", ",", "\x00", "%20", "%00", "\u00a0", ".json", ".tmp")
}

// long returns a name of so many bytes, of which the last few differ from another one's.
func long(r *rand.Rand, bytes int) string {
	const tail = "%05d"
	return strings.Repeat("n", bytes-5) + fmt.Sprintf(tail, r.IntN(100_000))
}

func anyCase(r *rand.Rand, text string) string {
	return strings.Map(func(c rune) rune { return one(r, unicode.ToUpper(c), c) }, text) + one(r, "", "_"+word(r))
}

// alike returns a name with some of its letters those of another script, or their wide, small or struck forms.
func alike(r *rand.Rand, text string) string {
	twins := map[rune]string{'a': "аａ𝐚ɑ", 'e': "еｅ𝖾", 'k': "кｋ\u212a", 'o': "оｏοº", 'p': "рｐ", 's': "ѕｓſ", 'y': "уｙ", 'r': "ｒ", 'd': "ｄԁ", 'v': "ｖѵ", 'b': "ｂЬ", '-': "‐–－", '.': "․。", '_': "＿", '1': "１١l", '0': "０٠O"}
	return strings.Map(func(c rune) rune {
		if twin, ok := twins[c]; ok && r.IntN(2) == 0 {
			return one(r, []rune(twin)...)
		}
		return c
	}, text)
}
