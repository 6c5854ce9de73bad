// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package report

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// shown is what an evidence says of one subject.
type shown struct {
	says    Verdict
	text    string
	fields  map[string]string
	records []Record
}

// perKey is evidence of which each key has one.
func perKey(name, help string, of func(f Facts, k Key) shown) Source {
	return Source{name, help, func(f Facts) (all []Evidence) {
		for i := range f.Keys {
			all = append(all, of(f, f.Keys[i]).as(name, ofKey+f.Keys[i].Name))
		}
		return all
	}}
}

// fromCustody is evidence of which each key has one, be it deleted: its custody records are what shows it.
func fromCustody(name, help string, of func(f Facts, k Key) shown) Source {
	return Source{name, help, func(f Facts) []Evidence {
		all := f
		all.Keys = slices.Concat(f.Keys, f.Deleted)
		return perKey(name, help, of).of(all)
	}}
}

// perPolicy is evidence of which each policy has one.
func perPolicy(name, help string, of func(f Facts, p Policy) shown) Source {
	return Source{name, help, func(f Facts) (all []Evidence) {
		for i := range f.Policies {
			all = append(all, of(f, f.Policies[i]).as(name, ofPolicy+f.Policies[i].Name))
		}
		return all
	}}
}

// ofTheMount is evidence of which the mount has one.
func ofTheMount(name, help string, of func(f Facts) shown) Source {
	return Source{name, help, func(f Facts) []Evidence { return []Evidence{of(f).as(name, ofMount)} }}
}

// limit is a part of a control that the engine does not see.
func limit(name, text string) Source {
	return ofTheMount(name, text, func(Facts) shown { return shown{says: Manual, text: "not shown by this engine: " + text} })
}

func (s shown) as(name, of string) Evidence {
	return Evidence{Of: of, What: name, Verdict: s.says, Text: s.text, Fields: s.fields, Records: s.records}
}

// mostNamed bounds what an evidence names of a kind.
const mostNamed = 32

// acts returns those of a chain that took effect and have one of the names; without names, all.
func (c Chain) acts(names ...string) (found []Act) {
	for _, a := range c.Acts {
		if a.Done && (len(names) == 0 || slices.Contains(names, a.Name)) {
			found = append(found, a)
		}
	}
	return found
}

// recordsOf names the records that acts begin with, the oldest first.
func (c Chain) recordsOf(acts []Act) (records []Record) {
	for _, a := range acts[:min(len(acts), mostNamed)] {
		records = append(records, Record{c.Name, a.Seq})
	}
	return records
}

// approved reports an act that others agreed to.
func (a Act) approved() bool { return a.Details[detailApproval] != "" }

// brokeGlass reports one that went past their consent.
func (a Act) brokeGlass() bool { return a.Details[detailBreakGlass] == "true" }

// byHand reports one that somebody asked for.
func (a Act) byHand() bool { return !a.System }

func which(acts []Act, is func(Act) bool) (found []Act) {
	for _, a := range acts {
		if is(a) {
			found = append(found, a)
		}
	}
	return found
}

// names lists what there is of each kind, the most of them first named.
func names(all []string) string {
	if more := len(all) - mostNamed; more > 0 {
		return strings.Join(all[:mostNamed], ", ") + " and " + strconv.Itoa(more) + " more"
	}
	return strings.Join(all, ", ")
}

func numbers(all []int) string {
	texts := make([]string, len(all))
	for i, n := range all {
		texts[i] = strconv.Itoa(n)
	}
	return names(texts)
}

// count writes 1 act, 2 acts.
func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// span writes a duration in the largest unit of which it is a whole number.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day && d%day == 0:
		return strconv.FormatInt(int64(d/day), 10) + "d"
	case d >= day:
		return strconv.FormatInt(int64(d/day), 10) + "d" + (d % day).Truncate(time.Second).String()
	default:
		return d.Truncate(time.Second).String()
	}
}

// stamp writes a time, and none as the empty text.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
