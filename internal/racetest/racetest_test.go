// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package racetest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/racetest"
)

// Another file that is built only with or without the detector could hold tests that run in neither pass.
func TestNoOtherPackageKnowsWhetherItIsRaced(t *testing.T) {
	constraint := regexp.MustCompile(`(?m)^//go:build .*\brace\b`)
	const root = "../.."
	var aware []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if constraint.Match(text) {
			aware = append(aware, strings.TrimPrefix(filepath.ToSlash(path), root+"/"))
		}
		return err
	}))
	require.Equal(t, []string{"internal/racetest/off.go", "internal/racetest/on.go"}, aware)
}

// recorder keeps the attributes that a test is given.
type recorder struct {
	testing.TB
	attributes map[string]string
}

func (r recorder) Attr(key, value string) { r.attributes[key] = value }

// What is left out must be told, or the pass without the detector leaves it out as well.
func TestWhatIsLessIsTold(t *testing.T) {
	for name, ask := range map[string]func(testing.TB) bool{
		"watched": racetest.Watched,
		"spared":  func(t testing.TB) bool { return racetest.Spared(t, 3) },
		"size":    func(t testing.TB) bool { return racetest.Size(t, 30) < 30 },
		"stride":  func(t testing.TB) bool { return racetest.Stride(t) > 1 },
	} {
		r := recorder{t, map[string]string{}}
		less := ask(r)
		require.Equal(t, less, r.attributes["race"] == "partly", name)
	}
	require.False(t, racetest.Spared(t, 10), "every tenth case is for both passes")
}
