// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// What custody keeps of a text, in bytes, and how many details labels may take up beside the other settings.
const (
	longestDetail = 512
	longestSide   = (longestDetail - len(arrow)) / 2
	longestLabel  = 60
	labelDetails  = 16
	arrow         = " -> "
)

// Differences says in what settings next differs from the key, as "from -> to" by the name of the API's field. States are not
// settings: custody names them itself.
func Differences(k, next Key) map[string]string {
	out := map[string]string{}
	note := func(field string, from, to any) {
		if from != to {
			out[field] = bounded(fmt.Sprint(from), longestSide) + arrow + bounded(fmt.Sprint(to), longestSide)
		}
	}
	note("min_decryption_version", k.MinDecryption, next.MinDecryption)
	note("min_encryption_version", k.MinEncryption, next.MinEncryption)
	note("min_available_version", k.MinAvailable, next.MinAvailable)
	note("private_from", k.PrivateFrom, next.PrivateFrom)
	note("deletion_allowed", k.DeletionAllowed, next.DeletionAllowed)
	note("exportable", k.Exportable, next.Exportable)
	note("allow_plaintext_backup", k.AllowPlaintextBackup, next.AllowPlaintextBackup)
	note("auto_rotate_period", k.AutoRotatePeriod, next.AutoRotatePeriod)
	note("policy", k.Policy, next.Policy)
	note("owner", k.Owner, next.Owner)
	note("allowed_uses", usesText(k.Uses), usesText(next.Uses))
	note("legal_hold", k.Hold, next.Hold)
	for i, text := range inDetails(relabelled(k.Labels, next.Labels)) {
		field := "labels"
		if i > 0 {
			field += "_" + strconv.Itoa(i+1)
		}
		out[field] = text
	}
	return out
}

// relabelled returns the changes of labels by their names, as `name: "from" -> "to"`, in which none is a label that is not
// there.
func relabelled(from, to map[string]string) (changes []string) {
	all := maps.Clone(to)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, from)
	side := func(labels map[string]string, name string) string {
		value, ok := labels[name]
		if !ok {
			return "none"
		}
		return bounded(strconv.Quote(value), longestLabel)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if was, is := side(from, name), side(to, name); was != is || from[name] != to[name] {
			changes = append(changes, name+": "+was+arrow+is)
		}
	}
	return changes
}

// inDetails lays texts out over as many details as they need. Of those that there is no room for it tells the number.
func inDetails(texts []string) (details []string) {
	const room = longestDetail - len("; and 128 more")
	for i, text := range texts {
		last := len(details) - 1
		switch {
		case last >= 0 && len(details[last])+len("; ")+len(text) <= room:
			details[last] += "; " + text
		case len(details) == labelDetails:
			details[last] += fmt.Sprintf("; and %d more", len(texts)-i)
			return details
		default:
			details = append(details, text)
		}
	}
	return details
}

// bounded shortens a text to so many bytes, in its middle: both ends tell it from others.
func bounded(text string, most int) string {
	const gap = "…"
	if len(text) <= most {
		return text
	}
	half := (most - len(gap)) / 2
	return strings.ToValidUTF8(text[:half], "") + gap + strings.ToValidUTF8(text[len(text)-half:], "")
}
