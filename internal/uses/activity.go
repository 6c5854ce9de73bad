// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package uses

import (
	"slices"
	"time"
)

// Day is a day of UTC, in days since 1970.
type Day int

// DayOf returns the day of a time.
func DayOf(t time.Time) Day { return Day(t.Unix() / secondsADay) }

const (
	secondsAnHour = 60 * 60
	secondsADay   = 24 * secondsAnHour
)

// Time returns the beginning of the day.
func (d Day) Time() time.Time { return time.Unix(int64(d)*secondsADay, 0).UTC() }

// String is the day as in ISO 8601; empty for day 0.
func (d Day) String() string {
	if d == 0 {
		return ""
	}
	return d.Time().Format(time.DateOnly)
}

// MarshalText is [encoding.TextMarshaler]'s.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is [encoding.TextUnmarshaler]'s.
func (d *Day) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = 0
		return nil
	}
	t, err := time.Parse(time.DateOnly, string(text))
	*d = DayOf(t)
	return err
}

// peakDays is of how many days the busiest hours are kept.
const peakDays = 14

// Activity is what an entity did with a key, of one kind. The zero value is none.
type Activity struct {
	First Day     `json:"first"`
	Last  Day     `json:"last"`
	Sum   int64   `json:"sum"`
	Peaks []int64 `json:"peaks"` // the most in one hour of the day Last, of the day before it, and so on
}

// Plus returns both together.
func (a Activity) Plus(b Activity) Activity {
	switch {
	case b.Sum == 0:
		return a
	case a.Sum == 0:
		return Activity{b.First, b.Last, b.Sum, slices.Clone(b.Peaks)}
	}
	sum := Activity{First: min(a.First, b.First), Last: max(a.Last, b.Last), Sum: a.Sum + b.Sum}
	for day := sum.Last; day > sum.Last-peakDays && day >= sum.First; day-- {
		sum.Peaks = append(sum.Peaks, max(a.peak(day), b.peak(day)))
	}
	return sum
}

// peak returns the most in one hour of a day.
func (a Activity) peak(day Day) int64 {
	if ago := int(a.Last - day); ago >= 0 && ago < len(a.Peaks) {
		return a.Peaks[ago]
	}
	return 0
}

// hourly is an activity that goes on.
type hourly struct {
	unstored Activity
	storing  Activity // taken to be stored, and not known to be
	hour     int64    // since 1970
	inHour   int64    // so many in it, stored or not
}

// add counts at a time, in seconds since 1970. It allocates with the first use of a day only.
func (h *hourly) add(n, at int64) {
	if hour := at / secondsAnHour; hour != h.hour {
		h.hour, h.inHour = hour, 0
	}
	h.inHour += n
	day := Day(at / secondsADay)
	if a := &h.unstored; a.Sum > 0 && a.Last == day {
		a.Sum += n
		a.Peaks[0] = max(a.Peaks[0], h.inHour)
		return
	}
	h.unstored = h.unstored.Plus(Activity{day, day, n, []int64{h.inHour}})
}

// take returns what is to be stored.
func (h *hourly) take() Activity {
	h.storing, h.unstored = h.unstored, Activity{}
	return h.storing
}

// took ends what take began: it is stored, or counts as not stored again.
func (h *hourly) took(stored bool) {
	if !stored {
		h.unstored = h.storing.Plus(h.unstored)
	}
	h.storing = Activity{}
}

// Kind is a kind of what an entity does with a key.
type Kind string

// The kinds.
const (
	Protect Kind = "protect" // encrypts, makes data keys, signs, authenticates
	Process Kind = "process" // decrypts, rewraps, verifies
	Manage  Kind = "manage"  // acts on the key
	Denied  Kind = "denied"  // asks for what the state of a version denies
)

// Kinds are all kinds, in the order in which they are shown.
var Kinds = [...]Kind{Protect, Process, Manage, Denied}

// The places of the kinds in Kinds.
const (
	protect = iota
	process
	manage
	denied
)

// Access is what an entity did with a key.
type Access struct {
	Name  string            `json:"name"` // of the key
	Kinds map[Kind]Activity `json:"kinds"`
}

// Last returns the last day on which the entity did anything with the key.
func (a Access) Last() (last Day) {
	for _, activity := range a.Kinds {
		last = max(last, activity.Last)
	}
	return last
}

// Plus returns both together, of which b is the later.
func (a Access) Plus(b Access) Access {
	sum := Access{Name: b.Name, Kinds: make(map[Kind]Activity, len(Kinds))}
	for _, kind := range Kinds {
		if both := a.Kinds[kind].Plus(b.Kinds[kind]); both.Sum > 0 {
			sum.Kinds[kind] = both
		}
	}
	return sum
}
