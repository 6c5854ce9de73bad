// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"bytes"
	"fmt"
	"html"
	"math"

	"github.com/keylife/vault-plugin-keylife/test/bench/result"
	"github.com/keylife/vault-plugin-keylife/test/soak/trend"
)

// The measures of a plot: a panel a figure, two beside each other.
const (
	panelWidth, panelHeight = 440, 150
	left, top, right, under = 56, 30, 14, 22
)

const plotStyle = `<style>
text { font: 12px system-ui, sans-serif; fill: #1f2933 } .at { font-size: 10px; fill: #52606d }
.samples { fill: none; stroke: #2368b5; stroke-width: 1; stroke-opacity: .55 } .line { stroke: #b54708; stroke-width: 2 }
.axis { stroke: #9aa5b1 } .warm { fill: #9aa5b1; fill-opacity: .2 } .ground { fill: #fff }
@media (prefers-color-scheme: dark) { .ground { fill: #0d1117 } text { fill: #e4e7eb } .at { fill: #9aa5b1 } .samples { stroke: #7cb8ff } .line { stroke: #ffb366 } }
</style>
`

// Plot draws each figure over time as an SVG: what was sampled, the warm-up, and the line that is judged.
func (r Report) Plot() ([]byte, error) {
	found, err := r.Judge()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	rows := (len(found) + 1) / 2
	fmt.Fprintf(&out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Soak\">\n%s<rect class=\"ground\" width=\"100%%\" height=\"100%%\"/>\n",
		2*panelWidth, rows*panelHeight, plotStyle)
	for i, f := range found {
		fmt.Fprintf(&out, "<g transform=\"translate(%d %d)\">\n", i%2*panelWidth, i/2*panelHeight)
		panel{f, r.Config.WarmUp.Seconds(), r.Config.Length.Seconds()}.draw(&out)
		out.WriteString("</g>\n")
	}
	out.WriteString("</svg>\n")
	return out.Bytes(), nil
}

type panel struct {
	Finding
	warm, length float64 // seconds
}

func (p panel) draw(out *bytes.Buffer) {
	most := 0.0
	for _, point := range p.Points {
		most = max(most, point.Value)
	}
	if most = round2(1.1 * most); most == 0 {
		most = 1
	}
	x := func(at float64) float64 { return left + at/p.length*(panelWidth-left-right) }
	y := func(value float64) float64 { return panelHeight - under - value/most*(panelHeight-top-under) }
	title := p.What
	if p.Unit != "" && p.Unit != "/s" {
		title += ", " + p.Unit
	} else if p.Unit == "/s" {
		title += ", each second"
	}
	fmt.Fprintf(out, "<text x=\"%d\" y=\"18\">%s</text>\n", left, html.EscapeString(title))
	fmt.Fprintf(out, "<rect class=\"warm\" x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n", x(0), top, x(p.warm)-x(0), panelHeight-top-under)
	fmt.Fprintf(out, "<path class=\"axis\" d=\"M%d %dV%dH%d\" fill=\"none\"/>\n", left, top, panelHeight-under, panelWidth-right)
	for _, value := range []float64{0, most} {
		fmt.Fprintf(out, "<text class=\"at\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", left-4, y(value)+4, result.Digits(value))
	}
	for i := range 4 {
		at := p.length * float64(i+1) / 4
		fmt.Fprintf(out, "<text class=\"at\" x=\"%.1f\" y=\"%d\" text-anchor=\"end\">%s min</text>\n", x(at), panelHeight-6, result.Digits(at/60))
	}
	out.WriteString("<polyline class=\"samples\" points=\"")
	for _, point := range p.Points {
		fmt.Fprintf(out, "%.1f,%.1f ", x(point.At), y(point.Value))
	}
	out.WriteString("\"/>\n")
	begin, end := judged(p.Points, p.warm)
	fmt.Fprintf(out, "<line class=\"line\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", x(begin), y(p.Line.Begin), x(end), y(p.Line.End))
}

// judged is the time from the end of the warm-up on.
func judged(points []trend.Point, warm float64) (begin, end float64) {
	for _, p := range points {
		if p.At >= warm {
			if begin == 0 {
				begin = p.At
			}
			end = p.At
		}
	}
	return begin, end
}

// round2 is the next number with two digits that count.
func round2(figure float64) float64 {
	if figure <= 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(figure))-1)
	return math.Ceil(figure/unit) * unit
}
