// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"strconv"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// lastActsJSON is which custody records tell of the last changes of a key's versions; empty in a record of an earlier
// release. The journal says the same, so what cannot be read of it costs a search and nothing else.
type lastActsJSON struct {
	Since    int               `json:"since"`
	Key      int               `json:"key"`
	Versions string            `json:"versions"` // see versionActsText
	Floors   []floorChangeJSON `json:"floors"`
	Trims    []floorChangeJSON `json:"trims"`
}

type floorChangeJSON struct {
	Act  int `json:"a"`
	From int `json:"f"`
	To   int `json:"t"`
}

func toLastActsJSON(l lifecycle.LastActs) lastActsJSON {
	return lastActsJSON{
		Since: l.Since, Key: l.Key, Versions: versionActsText(l.Versions), Floors: floorsJSON(l.Floors), Trims: floorsJSON(l.Trims),
	}
}

func (l lastActsJSON) lastActs() lifecycle.LastActs {
	versions, ok := versionActsOf(l.Versions)
	if !ok {
		return lifecycle.LastActs{}
	}
	return lifecycle.LastActs{Since: l.Since, Key: l.Key, Versions: versions, Floors: floorsOf(l.Floors), Trims: floorsOf(l.Trims)}
}

// versionActsText writes acts by version: 3:7 is act 7 of version 3, and what follows it without a comma is how much
// higher or lower the act of the next version is. So 3:7+2+2,9:1 is 3:7, 4:9, 5:11 and 9:1.
func versionActsText(list []lifecycle.VersionAct) string {
	out := make([]byte, 0, 16+4*len(list))
	for i, a := range list {
		if i > 0 && list[i-1].Version == a.Version-1 {
			step := a.Act - list[i-1].Act
			if step >= 0 {
				out = append(out, '+')
			}
			out = strconv.AppendInt(out, int64(step), 10)
			continue
		}
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, int64(a.Version), 10)
		out = strconv.AppendInt(append(out, ':'), int64(a.Act), 10)
	}
	return string(out)
}

// versionActsOf reads them back; ok is false for what is no such text. A key may have 512 of them, and its record is read
// with each act: the list is all that is allocated.
func versionActsOf(text string) (list []lifecycle.VersionAct, ok bool) {
	if text == "" {
		return nil, true
	}
	list = make([]lifecycle.VersionAct, 0, 1+strings.Count(text, ",")+strings.Count(text, "+")+strings.Count(text, "-"))
	for run := range strings.SplitSeq(text, ",") {
		version, acts, _ := strings.Cut(run, ":")
		v, err := strconv.Atoi(version)
		if err != nil || (len(list) > 0 && v <= list[len(list)-1].Version) {
			return nil, false
		}
		for at, more := 0, true; more; v++ {
			var step string
			step, acts, more = cutStep(acts)
			n, err := strconv.Atoi(step)
			if at += n; err != nil || at < 1 {
				return nil, false
			}
			list = append(list, lifecycle.VersionAct{Version: v, Act: at})
		}
	}
	return list, true
}

// cutStep cuts a text before the first sign that does not begin it; more tells whether there is one.
func cutStep(text string) (step, rest string, more bool) {
	for i := 1; i < len(text); i++ {
		if text[i] == '+' || text[i] == '-' {
			return text[:i], text[i:], true
		}
	}
	return text, "", false
}

func floorsJSON(list []lifecycle.FloorChange) []floorChangeJSON {
	var out []floorChangeJSON
	for _, c := range list {
		out = append(out, floorChangeJSON(c))
	}
	return out
}

func floorsOf(list []floorChangeJSON) []lifecycle.FloorChange {
	var out []lifecycle.FloorChange
	for _, c := range list {
		out = append(out, lifecycle.FloorChange(c))
	}
	return out
}
