// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package plot_test

import (
	"encoding/xml"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/bench/plot"
	"github.com/keylife/vault-plugin-keylife/test/bench/result"
)

func section() result.Section {
	return result.Section{Title: "Throughput & <more>", Rows: []result.Row{
		{What: "encrypt", Value: 1, Beside: []result.Beside{
			result.Beside{Name: "the floor", Ratio: 1.5, Low: 1.4, High: 1.6}.AtLeast(1.3), {Name: "Transit", Ratio: 0.75},
		}},
		{What: "alone", Value: 2},
		{What: "decrypt", Value: 1, Beside: []result.Beside{{Name: "Transit", Ratio: 3}}},
	}}
}

func TestBarsAreAsLongAsRatios(t *testing.T) {
	svg := plot.Ratios(section())
	var widths []float64
	for _, found := range regexp.MustCompile(`<rect class="b(\d)" x="\d+" y="\d+" width="([\d.]+)" height="13"`).FindAllStringSubmatch(svg, -1) {
		width, err := strconv.ParseFloat(found[2], 64)
		require.NoError(t, err)
		widths = append(widths, width)
	}
	require.Len(t, widths, 3)
	require.InDelta(t, 2, widths[0]/widths[1], 0.01)
	require.InDelta(t, 2, widths[2]/widths[0], 0.01)
	require.Equal(t, 1, strings.Count(svg, `class="spread"`))
	require.Equal(t, 2, strings.Count(svg, `<path class="target"`), "one in the legend, one at a bar")
	require.Contains(t, svg, ">1.5</text>")
	require.NotContains(t, svg, "alone")
}

// An image in a page may load nothing, and is drawn by whatever the reader has.
func TestThePlotIsXMLThatStandsAlone(t *testing.T) {
	svg := plot.Ratios(section())
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF { //nolint:errorlint // as the decoder returns it
			break
		}
		require.NoError(t, err)
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		require.NotContains(t, []string{"script", "image", "foreignObject", "use"}, element.Name.Local)
		for _, attribute := range element.Attr {
			require.NotEqual(t, "href", attribute.Name.Local)
		}
	}
	require.NotContains(t, svg, "url(")
	require.NotContains(t, svg, "@import")
	require.Contains(t, svg, "prefers-color-scheme:dark")
}
