// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"fmt"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// versionOf reads the version from a ciphertext or a signature: vault:v3:...
func versionOf(text string) int {
	var version int
	if _, err := fmt.Sscanf(text, "vault:v%d:", &version); err != nil {
		return 0
	}
	return version
}

// maker finds the operation that made a ciphertext or a signature.
func (j *judge) maker(text string) (history.Operation, bool) {
	if j.makers == nil {
		j.makers = map[string]history.Operation{}
		for _, o := range j.history.Operations {
			if o.Ciphertext != "" {
				j.makers[o.Ciphertext] = o
			}
		}
	}
	o, ok := j.makers[text]
	return o, ok
}

// numbers holds the fingerprints that were seen of each version against each other: one number, one material.
func (j *judge) numbers() {
	type named struct {
		key, id string
		version int
	}
	prints := map[named]string{}
	seen := func(key, id string, version, operation int, print string) {
		if print == "" || id == "" {
			return
		}
		n := named{key, id, version}
		if old := prints[n]; old != "" && old != print {
			j.find(NumberTwice, key, version, operation, "its fingerprint was %s, and is %s", old, print)
			return
		}
		prints[n] = print
	}
	for _, l := range j.lives {
		for _, m := range l.moments {
			for number, v := range m.versions {
				seen(l.key, m.id, number, 0, v.print)
			}
		}
		if last := l.moments[len(l.moments)-1]; last.exists() {
			for number, v := range j.final.Keys[l.key].Versions {
				seen(l.key, last.id, number, 0, v.Fingerprint)
			}
		}
	}
	for _, o := range j.history.Operations {
		if o.Fingerprint == "" || !j.firm(o) {
			continue
		}
		if all := j.life(o.Key).possible(o.Sent, o.Answered); len(all) > 0 && !anyOf(all, func(m moment) bool { return m.id != all[0].id }) {
			seen(o.Key, all[0].id, o.Version, o.ID, o.Fingerprint)
		}
	}
}
