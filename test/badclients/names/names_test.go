// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package names_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/badclients/names"
)

func TestASeedMakesTheSameDifferentNamesOfAllKinds(t *testing.T) {
	all := names.Of(1, 10_000)
	require.Equal(t, all, names.Of(1, 10_000))
	require.NotEqual(t, all, names.Of(2, 10_000))
	texts, kinds, good := map[string]bool{}, map[string]int{}, 0
	for _, n := range all {
		texts[n.Text] = true
		kinds[n.Kind]++
		if n.IsGood() {
			good++
		}
		require.False(t, n.IsGood() && strings.HasPrefix(n.Text, names.Nowhere), "nobody makes %q", n.Text)
	}
	require.Len(t, texts, len(all))
	for _, kind := range names.Kinds() {
		require.Greater(t, kinds[kind], 50, kind)
	}
	require.Greater(t, good, len(all)/5, "some are keys")
	require.Less(t, good, len(all)*3/4, "some are none")
}

func TestWhatIsAGoodName(t *testing.T) {
	for text, is := range map[string]bool{
		"a": true, "_": true, "a.b-c": true, "A1_": true, strings.Repeat("a", 1024): true,
		"": false, "-": false, ".a": false, "a-": false, "a..b": false, "a\n": false, "é": false, "a b": false, strings.Repeat("a", 1025): false,
	} {
		require.Equal(t, is, names.Name{Text: text}.IsGood(), "%.20q", text)
	}
}
