// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"archive/zip"
	_ "embed"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"time"
)

// zoneinfo is the IANA time zone database as Go distributes it. [time.LoadLocation] prefers the machine's files, which may
// have more names, or other rules for them, than those of the next node.
//
//go:generate sh -c "cp \"$(go env GOROOT)/lib/time/zoneinfo.zip\" ."
//go:embed zoneinfo.zip
var zoneinfo string

// zones opens the database.
var zones = sync.OnceValue(func() *zip.Reader {
	archive, err := zip.NewReader(strings.NewReader(zoneinfo), int64(len(zoneinfo)))
	if err != nil {
		panic("internal error: embedded time zones: " + err.Error())
	}
	return archive
})

// parsed has the zones that have been asked for, by name. The database has no more than some hundreds.
var parsed sync.Map

// factory is the entry of a machine on which nobody has set a zone.
const factory = "Factory"

// ParseZone returns the time zone of the name in the IANA database, the same on every machine; empty is UTC. The error is
// the rule that the name breaks.
func ParseZone(name string) (*time.Location, error) {
	if name == "" || name == time.UTC.String() {
		return time.UTC, nil
	}
	if zone, read := parsed.Load(name); read {
		return zone.(*time.Location), nil
	}
	data, err := fs.ReadFile(zones(), name)
	if err != nil || name == factory {
		return nil, errors.New(`must be a name of the IANA time zone database such as "Europe/Berlin", or empty for UTC`)
	}
	zone, err := time.LoadLocationFromTZData(name, data)
	if err != nil {
		return nil, err
	}
	if zone, err = tabled(name, data, zone); err != nil {
		return nil, err
	}
	parsed.Store(name, zone)
	return zone, nil
}
