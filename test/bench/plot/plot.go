// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package plot draws the ratios of a section as bars, in SVG that is legible on light and on dark pages and loads nothing.
package plot

import (
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

// Sizes are in pixels.
const (
	width  = 860
	left   = 250 // of the bars
	right  = 780 // where the longest may end
	top    = 64
	bar    = 13
	step   = 17 // from bar to bar
	gap    = 12 // between rows
	bottom = 40
)

// style paints a ground of its own: who looks may have a page of another theme around it than their system has.
const style = `<style>
svg{font:13px system-ui,sans-serif}
.ground{fill:#fff}.text{fill:#1f2328}.faint{fill:#59636e}.line{stroke:#d1d9e0}.one{stroke:#1f2328}.spread{stroke:#1f2328;stroke-width:1.5}
.target{stroke:#cf222e;stroke-width:2}
.value{fill:#59636e;stroke:#fff;stroke-width:4;paint-order:stroke}
.b0{fill:#2f6fd6}.b1{fill:#d9822b}.b2{fill:#2f9e69}.b3{fill:#8a63d2}
@media(prefers-color-scheme:dark){
.ground{fill:#0d1117}.text{fill:#e6edf3}.faint{fill:#9198a1}.line{stroke:#3d444d}.one{stroke:#e6edf3}.spread{stroke:#e6edf3}.target{stroke:#ff7b72}
.value{fill:#9198a1;stroke:#0d1117}
.b0{fill:#4c8dff}.b1{fill:#e39a4f}.b2{fill:#46b980}.b3{fill:#a98bf0}}
</style>
`

// colours is how many classes of bars the style has.
const colours = 4

// Ratios draws a group of bars for each row that is beside something, and in it one for each of that. Whiskers are the quartiles
// over the rounds, a mark is the target.
func Ratios(s result.Section) string {
	d := drawing{names: map[string]int{}, most: 1.2}
	for _, row := range s.Rows {
		for _, b := range row.Beside {
			if _, known := d.names[b.Name]; !known {
				d.names[b.Name] = len(d.names)
				d.order = append(d.order, b.Name)
			}
			d.most = max(d.most, b.Ratio, b.High, bound(b))
		}
	}
	d.rows(s.Rows)
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", width, d.y+bottom, html.EscapeString(s.Title)) +
		style + fmt.Sprintf(`<rect class="ground" width="%d" height="%d" rx="6"/>`+"\n", width, d.y+bottom) + d.head(s.Title) + d.axis() + d.body.String() + "</svg>\n"
}

func bound(b result.Beside) float64 {
	if b.Target == nil {
		return 0
	}
	return b.Target.AtLeast + b.Target.AtMost // one of them is 0
}

type drawing struct {
	names map[string]int // which colour
	order []string
	most  float64 // the ratio at the right end
	y     int     // of what comes next
	body  strings.Builder
}

func (d *drawing) x(ratio float64) float64 { return left + ratio/d.most*(right-left) }

func (d *drawing) rows(rows []result.Row) {
	d.y = top
	for _, row := range rows {
		if len(row.Beside) == 0 {
			continue
		}
		middle := d.y + (len(row.Beside)*step-(step-bar))/2 + 5
		fmt.Fprintf(&d.body, `<text class="text" x="%d" y="%d" text-anchor="end">%s</text>`+"\n", left-10, middle, html.EscapeString(row.What))
		for _, b := range row.Beside {
			d.bar(b)
			d.y += step
		}
		d.y += gap
	}
}

func (d *drawing) bar(b result.Beside) {
	end, middle := d.x(b.Ratio), float64(d.y)+bar/2.0
	fmt.Fprintf(&d.body, `<rect class="b%d" x="%d" y="%d" width="%.1f" height="%d"/>`, d.names[b.Name]%colours, left, d.y, end-left, bar)
	if b.High > 0 {
		fmt.Fprintf(&d.body, `<path class="spread" d="M%.1f %.1fH%.1f"/>`, d.x(b.Low), middle, d.x(b.High))
		end = max(end, d.x(b.High))
	}
	if at := bound(b); at > 0 {
		fmt.Fprintf(&d.body, `<path class="target" d="M%.1f %dv%d"/>`, d.x(at), d.y-1, bar+2)
		end = max(end, d.x(at))
	}
	fmt.Fprintf(&d.body, `<text class="value" x="%.1f" y="%d">%s</text>`+"\n", end+6, d.y+bar-2, result.Digits(b.Ratio))
}

// head is the title, and what the colours stand for.
func (d *drawing) head(title string) string {
	var out strings.Builder
	fmt.Fprintf(&out, `<text class="text" x="16" y="26" font-weight="600">%s</text>`+"\n", html.EscapeString(title))
	x := 16
	for i, name := range d.order {
		label := "× " + name
		fmt.Fprintf(&out, `<rect class="b%d" x="%d" y="38" width="11" height="11"/><text class="text" x="%d" y="48">%s</text>`+"\n", i%colours, x, x+16, html.EscapeString(label))
		x += 40 + 7*len([]rune(label))
	}
	fmt.Fprintf(&out, `<path class="target" d="M%d 37v13"/><text class="text" x="%d" y="48">target</text>`+"\n", x, x+8)
	return out.String()
}

// axis draws a line for every whole or half ratio, and a strong one where both do the same.
func (d *drawing) axis() string {
	var out strings.Builder
	interval := 0.5
	for d.most/interval > 10 {
		interval *= 2
	}
	for ratio := 0.0; ratio <= d.most; ratio += interval {
		class := "line"
		if math.Abs(ratio-1) < interval/10 {
			class = "one"
		}
		fmt.Fprintf(&out, `<path class="%s" d="M%.1f %dV%d"/><text class="faint" x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n",
			class, d.x(ratio), top-6, d.y, d.x(ratio), d.y+18, result.Digits(ratio))
	}
	return out.String()
}
