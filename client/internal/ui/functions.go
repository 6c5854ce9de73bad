// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package ui

import (
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/ui/mount"
	"github.com/keylife/vault-plugin-keylife/client/internal/ui/timeline"
)

// functions are those of templates. They return texts, which html/template escapes: none returns HTML.
var functions = template.FuncMap{
	"add":      func(a, b float64) float64 { return a + b },
	"count":    func(n any) string { return count(reflect.ValueOf(n).Int()) },
	"bytes":    bytesText,
	"percent":  percent,
	"span":     func(seconds int64) string { return spanText(time.Duration(seconds) * time.Second) },
	"relative": relative,
	"rfc":      func(t mount.Time) string { return t.UTC().Format(time.RFC3339) },
	"day":      func(t mount.Time) string { return t.UTC().Format("2006-01-02") },
	"clock":    func(t mount.Time) string { return t.UTC().Format("15:04") },
	"instant":  func(t time.Time) mount.Time { return mount.Time{Time: t} },
	"names":    func(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) },
	"value":    value,
	"words":    strings.NewReplacer("pre_", "pre-", "_", " ").Replace,
	"coming":   func(name string, irreversible bool) coming { return coming{name, irreversible} },
	"versions": versionsText,
	"short":    func(s string) string { return s[:min(len(s), 12)] },
	"under":    func(path, section string) bool { return path == section || strings.HasPrefix(path, section+"/") },
	"list":     func(items ...string) []string { return items },
	"mark":     func(m timeline.Mark, y float64) placed { return placed{m, y} },
	"cross":    placed.Cross,
}

// coming is what will happen, and whether nothing brings back what it takes.
type coming struct {
	Name         string
	Irreversible bool
}

// count writes a number with thin spaces between thousands.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "\u202f" + text[i:]
	}
	return text
}

func bytesText(n int64) string {
	const step = 1024
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	size, unit := float64(n), 0
	for size >= step && unit < len(units)-1 {
		size, unit = size/step, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, units[unit])
}

// percent is how much of a limit is used; empty: there is none.
func percent(used, limit int64) string {
	switch {
	case limit <= 0:
		return ""
	case used > 0 && used*1000 < limit:
		return "< 0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(used)/float64(limit))
}

// relative says how far a time is from now, as people would.
func relative(now time.Time, t mount.Time) string {
	switch d := t.Sub(now); {
	case t.IsZero():
		return ""
	case d > -time.Minute && d < time.Minute:
		return "now"
	case d > 0:
		return "in " + spanText(d)
	default:
		return spanText(-d) + " ago"
	}
}

// spanText is a span in its largest unit.
func spanText(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		name string
		long time.Duration
		from time.Duration
	}{{"year", 365 * day, 730 * day}, {"month", 30 * day, 90 * day}, {"day", day, 2 * day}, {"hour", time.Hour, 2 * time.Hour}, {"minute", time.Minute, time.Minute}} {
		if n := int64(d / unit.long); d >= unit.from {
			return plural(n, unit.name)
		}
	}
	return plural(int64(d/time.Second), "second")
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return count(n) + " " + unit + "s"
}

// value writes a field of a policy.
func value(v any) string { return mount.Visible(plain(v)) }

func plain(v any) string {
	switch v := v.(type) {
	case nil, map[string]any, []any:
		text, err := json.Marshal(v)
		if s := string(text); err == nil && s != "null" && s != "{}" && s != "[]" {
			return strings.Trim(s, "[]")
		}
		return "none"
	case string:
		if v == "" {
			return "none"
		}
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// versionsText writes numbers as runs: "1-3, 7"; none is the whole key.
func versionsText(numbers []int) string {
	if len(numbers) == 0 {
		return "all"
	}
	var runs []string
	for i := 0; i < len(numbers); {
		first := numbers[i]
		last := first
		for i++; i < len(numbers) && numbers[i] == last+1; i++ {
			last = numbers[i]
		}
		if run := strconv.Itoa(first); last > first {
			runs = append(runs, run+"–"+strconv.Itoa(last))
		} else {
			runs = append(runs, run)
		}
	}
	return strings.Join(runs, ", ")
}

// placed is a mark on its lane.
type placed struct {
	timeline.Mark
	Y float64
}

// Cross is the path of the mark of what is irreversible.
func (p placed) Cross() string {
	const half = 4.5
	return fmt.Sprintf("M%.1f %.1fl%.1f %.1fm0 %.1fl%.1f %.1f", p.X-half, p.Y-half, 2*half, 2*half, -2*half, -2*half, 2*half)
}
