// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package lifecycle_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/schedule"
	"github.com/stretchr/testify/require"
)

// year is how many minutes the simulation runs. A tick comes once a minute, unless the engine is down.
const year = 365 * 24 * 60

// span of minutes, of real time.
type minutes struct{ from, to int }

// weather is what happens to a mount: when the engine is down, and what its clock shows. What a tick learns of the clock
// is learned as the engine does, by Watch once a minute.
type weather struct {
	born    time.Time
	outages []minutes
	jumps   []jump
	frozen  []bool // by minute
	behind  []bool // by minute: the clock shows less than it has shown before
}

// jump is from when on the clock is off by how much.
type jump struct {
	at  int
	off time.Duration
}

func newWeather(r *rand.Rand, born time.Time) weather {
	w := weather{born: born, jumps: []jump{{}}, frozen: make([]bool, year), behind: make([]bool, year)}
	for range 6 {
		from := r.IntN(year)
		w.outages = append(w.outages, minutes{from, from + 60 + r.IntN([]int{600, 5000, 30000}[r.IntN(3)])})
	}
	for _, off := range []time.Duration{-2 * time.Hour, 0, 26 * time.Hour, 0, -90 * time.Second, 40 * time.Minute, 3 * 24 * time.Hour, 0} {
		last := w.jumps[len(w.jumps)-1].at
		w.jumps = append(w.jumps, jump{last + 3*24*60 + r.IntN(year/10), off})
	}
	var clock lifecycle.Clock
	for minute := range year {
		if !w.up(minute) {
			w.frozen[minute] = true
			continue
		}
		var frozen string
		w.behind[minute] = w.shows(minute).Before(clock.High)
		clock, frozen = clock.Watch(w.shows(minute))
		w.frozen[minute] = frozen != ""
	}
	return w
}

func (w weather) up(minute int) bool {
	return !slices.ContainsFunc(w.outages, func(o minutes) bool { return o.from <= minute && minute < o.to })
}

// shows is what the clock shows.
func (w weather) shows(minute int) time.Time {
	var off time.Duration
	for _, j := range w.jumps {
		if j.at <= minute {
			off = j.off
		}
	}
	return w.born.Add(time.Duration(minute)*time.Minute + off)
}

// next is the first minute after the one given in which a tick finds that the time has come; year: none.
func (w weather) next(after int, wake time.Time) int {
	for i, j := range w.jumps {
		end := year
		if i+1 < len(w.jumps) {
			end = w.jumps[i+1].at
		}
		late := int((wake.Sub(w.born.Add(j.off)) + time.Minute - 1) / time.Minute)
		for minute := max(j.at, after+1, late); minute < min(end, year); {
			down := slices.IndexFunc(w.outages, func(o minutes) bool { return o.from <= minute && minute < o.to })
			if down < 0 {
				return minute
			}
			minute = w.outages[down].to
		}
	}
	return year
}

// simPolicy draws documents until one is valid.
func simPolicy(t *testing.T, r *rand.Rand, revision int, at time.Time) policy.Policy {
	t.Helper()
	for {
		p, err := policy.New("pci", revision, simDocument(t, r), at)
		if err == nil {
			return p
		}
		require.ErrorIs(t, err, refusal.ErrInvalid)
	}
}

func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func simDocument(t *testing.T, r *rand.Rand) policy.Document {
	t.Helper()
	s := func(choices ...string) schedule.Span {
		text := pick(r, choices...)
		if text == "" {
			return schedule.Span{}
		}
		return span(t, text)
	}
	d := policy.DefaultDocument()
	d.Owner, d.AllowPinnedEncrypt = "payments", r.IntN(2) == 0
	d.AllowedTypes = pick(r, nil, nil, []keytype.Type{keytype.Default}, nil, nil, nil, []keytype.Type{keytype.ChaCha20Poly1305})
	d.DenyAfter = pick(r, nil, nil, nil, nil, nil, map[keytype.Type]string{keytype.Default: "2026-11-30"})
	d.RotationMode = pick(r, policy.Auto, policy.Auto, policy.Auto, policy.Auto, policy.Manual, policy.Notify)
	d.RotationPeriod = s("0", "2d", "7d", "10d", "30d", "90d", "30d12h", "200d")
	if r.IntN(5) < 2 {
		d.RotationPeriod, d.RotationSchedule = span(t, "0"), pick(r, "0 2 * * 6", "30 2 1 * *", "0 4 1 1,4,7,10 *", "30 2 * * 0")
	}
	d.RotationZone = pick(r, "", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")
	d.RotationJitter = jitter(t, pick(r, "0", "0%", "5%", "25%", "3h"))
	d.RotationWindow = pick(r, "", "", "0 22 * * *", "0 2 * * 6", "30 2 * * *")
	d.RotationWindowLength = s("1h", "4h", "8h")
	d.RotationBlackout = pick(r, nil, nil, nil, []string{"12-15/01-05"}, []string{"05-01/05-31", "07-14", "2026-10-20/2026-11-03"})
	d.RotationRetryBase, d.RotationRetryMax, d.RotationRetryCycles = s("1m", "10m"), s("1h", "12h", "2d"), 1+r.IntN(6)
	d.OnLimit = pick(r, policy.OnLimitRotate, policy.OnLimitRotate, policy.OnLimitBlock)
	d.PostChecks = pick(r, nil, policy.PostChecks())
	d.StagingTime, d.RollbackWindow = s("0", "0", "1h", "1d", "5d"), s("", "0", "2h")
	d.OriginatorPeriod = s("", "", "0", "20d", "45d", "100d")
	d.RecipientPeriod, d.ArchiveAfter = s("0", "60d", "1095d"), s("0", "1d", "20d", "60d")
	d.RetireAfter, d.QuietPeriod = s("0", "1d", "10d"), s("0", "1d", "14d", "30d")
	d.DestroyDelay, d.MinVersionsKept = s("1d", "7d", "30d"), r.IntN(4)
	d.RequireReason = nil
	d.ErasePrivateKey = r.IntN(2) == 0
	return d
}
