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
	var out strings.Builder
	for i, a := range list {
		if i > 0 && list[i-1].Version == a.Version-1 {
			step := strconv.Itoa(a.Act - list[i-1].Act)
			if step[0] != '-' {
				out.WriteByte('+')
			}
			out.WriteString(step)
			continue
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteString(strconv.Itoa(a.Version) + ":" + strconv.Itoa(a.Act))
	}
	return out.String()
}

// versionActsOf reads them back; ok is false for what is no such text.
func versionActsOf(text string) (list []lifecycle.VersionAct, ok bool) {
	if text == "" {
		return nil, true
	}
	for _, run := range strings.Split(text, ",") {
		version, acts, _ := strings.Cut(run, ":")
		v, err := strconv.Atoi(version)
		if err != nil || (len(list) > 0 && v <= list[len(list)-1].Version) {
			return nil, false
		}
		at := 0
		for _, step := range steps(acts) {
			n, err := strconv.Atoi(step)
			if at += n; err != nil || at < 1 {
				return nil, false
			}
			list = append(list, lifecycle.VersionAct{Version: v, Act: at})
			v++
		}
	}
	return list, true
}

// steps splits a text before every sign.
func steps(text string) []string {
	return strings.Split(strings.NewReplacer("+", " +", "-", " -").Replace(text), " ")
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
