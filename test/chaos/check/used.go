// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
)

// used judges each use under way, and each one of the last look.
func (j *judge) used() {
	for _, o := range j.history.Operations {
		if slices.Contains(data[:6], o.Act) && o.Outcome != history.Unknown && j.firm(o) {
			j.use(o, j.life(o.Key).possible(j.since(o), o.Answered))
		}
	}
	for _, u := range j.final.Uses {
		made := j.operations[u.Operation]
		o := history.Operation{
			ID: u.Operation, Act: u.Act, Key: made.Key, Version: made.Version, Text: made.Text, From: made.Ciphertext,
			Outcome: u.Outcome, Error: u.Error, Opened: u.Opened, Valid: u.Valid,
			Sent: j.final.At, Answered: ever,
		}
		if u.Outcome == history.Unknown {
			j.find(Unopened, o.Key, o.Version, o.ID, "%s in the end: %s", o.Act, o.Error)
			continue
		}
		if !j.firm(made) { // its version may be gone, and the number given anew
			j.content(o)
			continue
		}
		j.use(o, j.life(o.Key).possible(o.Sent, o.Answered))
	}
}

// since is the earliest time by whose states a use may have been answered.
func (j *judge) since(o history.Operation) time.Duration {
	since := o.Sent
	for _, e := range j.history.Events {
		if e.Kind == history.Away && o.Sent <= e.To && o.Answered >= e.From {
			since = min(since, e.From)
		}
	}
	return since
}

// content is what an acknowledged use has answered. No state matters for that.
func (j *judge) content(o history.Operation) {
	if o.Act == "decrypt" && o.Outcome == history.Done && o.Opened != o.Text {
		j.find(OtherText, o.Key, o.Version, o.ID, "the ciphertext opens to the text with the digest %.8s…, not %.8s…", o.Opened, o.Text)
	}
}

// code is what a refusal names as its cause, as in [version_suspended].
var code = regexp.MustCompile(`\[(version|key)_([a-z_]+)\]`)

func (j *judge) use(o history.Operation, moments []moment) {
	j.content(o)
	may := func(m moment) bool { return m.permits(o) }
	mayNot := func(m moment) bool { return m.forbids(o) }
	same := j.sameKey(o, moments)
	switch {
	case o.Outcome == history.Done && o.Valid != nil && !*o.Valid:
		if same {
			j.find(Unverified, o.Key, o.Version, o.ID, "%s: the signature is said to be none", o.Act)
		}
	case o.Outcome == history.Done:
		if !anyOf(moments, may) {
			j.find(UsedAnyway, o.Key, o.Version, o.ID, "%s was done, sent at %s: %s", o.Act, o.Sent, told(moments, o))
		}
	case strings.Contains(o.Error, "no handler for route"): // the mount is being moved
	case code.MatchString(o.Error):
		if !anyOf(moments, mayNot) {
			j.find(DeniedAnyway, o.Key, o.Version, o.ID, "%s was denied, sent at %s, with %q: %s", o.Act, o.Sent, o.Error, told(moments, o))
		}
	case o.Act == "decrypt" || o.Act == "verify" || o.Act == "rewrap":
		if same && !anyOf(moments, mayNot) {
			j.find(Unopened, o.Key, o.Version, o.ID, "%s: %s: %s", o.Act, o.Error, told(moments, o))
		}
	}
}

func told(moments []moment, o history.Operation) string {
	var all []string
	for _, m := range moments {
		version := m.opens(o)
		all = append(all, fmt.Sprintf("key %s, version %d %s", m.state, version, m.shown(version)))
	}
	return "by custody it was " + strings.Join(slices.Compact(all), ", or ")
}

// opens is the version that a use needs: the one of the ciphertext, or the active one.
func (m moment) opens(o history.Operation) int {
	switch o.Act {
	case "encrypt", "sign", "datakey":
		if o.Outcome == history.Done {
			return o.Version
		}
		return m.primary
	case "rewrap":
		return versionOf(o.From)
	default:
		return o.Version
	}
}

// permits tells whether the state lets the use be done.
func (m moment) permits(o history.Operation) bool {
	if !m.exists() {
		return false
	}
	number := m.opens(o)
	v := m.versions[number]
	p := permissions[v.state]
	reads := func(p permission) bool {
		switch p {
		case always:
			return number >= m.floor
		case unlocked:
			return number >= m.floor && !v.locked
		case public:
			return number >= m.floor && !v.reported
		default:
			return false
		}
	}
	switch o.Act {
	case "encrypt", "sign", "datakey":
		return m.state == enabled && v.state == active && number == m.primary
	case "decrypt":
		return m.state == enabled && reads(p.process)
	case "rewrap":
		to := o.Version
		if o.Outcome != history.Done {
			to = m.primary
		}
		return m.state == enabled && reads(p.rewrap) && to == m.primary && m.versions[to].state == active
	default: // verify: of an archived or retired key either is right
		return m.state != suspended && m.state != destroyed && reads(p.verify)
	}
}

// forbids tells whether the state lets the use be denied. For verify both may be so.
func (m moment) forbids(o history.Operation) bool {
	return !m.permits(o) || o.Act == "verify" && m.state != enabled
}

// sameKey tells whether the thing that is opened is of the very key that is there: not where the name was deleted in between.
func (j *judge) sameKey(o history.Operation, moments []moment) bool {
	if o.From == "" || len(moments) == 0 {
		return false
	}
	id := moments[0].id
	if id == "" || anyOf(moments, func(m moment) bool { return m.id != id }) {
		return false
	}
	made, ok := j.maker(o.From)
	return ok && j.firm(made) && !anyOf(j.life(o.Key).possible(made.Sent, made.Answered), func(m moment) bool { return m.id != id })
}
