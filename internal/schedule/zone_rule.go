// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"
)

// tabled returns a zone whose clock is looked up in a table until the end of this century. In the database, the table ends
// where a rule takes over, for most zones in a year long past, and package time works the rule out for every time of day that
// it is asked for. After the table, the rule goes on.
func tabled(name string, data []byte, zone *time.Location) (*time.Location, error) {
	at, end := time.Unix(-1<<40, 0).In(zone), time.Date(2101, 1, 1, 0, 0, 0, 0, zone)
	first := turnAt(at)
	var turns []turn
	for last := first; ; {
		if at = nextBound(at); at.IsZero() || at.After(end) {
			break
		}
		if next := turnAt(at); next.how != last.how {
			turns = append(turns, next)
			last = next
		}
	}
	turns = append(turns, turnAt(end)) // no turn of a clock: after the last entry the rule is asked
	return time.LoadLocationFromTZData(name, zoneFile(first, turns, ruleOf(data)))
}

// nextBound returns when a clock may be turned next; zero: never. On the last day of a leap year, package time says that
// what it gives for the year is over.
func nextBound(at time.Time) time.Time {
	_, next := at.ZoneBounds()
	if !next.IsZero() && !next.After(at) {
		return at.Add(24 * time.Hour)
	}
	return next
}

// turn is when the clocks of a zone are turned, and how they go from then on.
type turn struct {
	at int64
	how
}

// how is how the clocks of a zone go.
type how struct {
	offset int
	summer bool
	name   string
}

func turnAt(at time.Time) turn {
	name, offset := at.Zone()
	return turn{at.Unix(), how{offset, at.IsDST(), name}}
}

// ruleOf returns the last line of a file, with both its ends: what comes after the table.
func ruleOf(data []byte) []byte {
	text := bytes.TrimSuffix(data, []byte("\n"))
	return data[bytes.LastIndexByte(text, '\n'):]
}

// zoneFile writes a file as RFC 9636 has it: an empty table for readers of 32 bits, then the one of 64 bits, then the rule.
func zoneFile(first turn, turns []turn, rule []byte) []byte {
	ways := []how{first.how}
	var times, indices, kinds, names []byte
	for _, t := range turns {
		i := slices.Index(ways, t.how)
		if i < 0 {
			i = len(ways)
			ways = append(ways, t.how)
		}
		times = binary.BigEndian.AppendUint64(times, uint64(t.at)) //nolint:gosec // G115: two's complement, as the format has it
		indices = append(indices, byte(i))                         //nolint:gosec // G115: no zone has had more than some dozen ways
	}
	for _, w := range ways {
		kinds = binary.BigEndian.AppendUint32(kinds, uint32(w.offset)) //nolint:gosec // G115: two's complement, as the format has it
		kinds = append(kinds, flag(w.summer), byte(len(names)))        //nolint:gosec // G115: nor names longer than that
		names = append(names, w.name+"\x00"...)
	}
	return slices.Concat(zoneHeader(0, 1, 1), make([]byte, 7), zoneHeader(len(turns), len(ways), len(names)), times, indices, kinds, names, rule)
}

func flag(is bool) byte {
	if is {
		return 1
	}
	return 0
}

// zoneHeader says how much is in the table that follows.
func zoneHeader(times, kinds, names int) []byte {
	header := append([]byte("TZif2"), make([]byte, 15+3*4)...)
	for _, n := range []int{times, kinds, names} {
		header = binary.BigEndian.AppendUint32(header, uint32(n)) //nolint:gosec // G115: what was counted is a few hundred
	}
	return header
}
