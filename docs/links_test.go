// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	link     = regexp.MustCompile(`\[[^\]]*\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	code     = regexp.MustCompile("`[^`\n]*`")
	dropped  = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
	testFile = regexp.MustCompile(`[a-z_]+_test\.go`)
)

// unasked are pages that open otherwise: design.md is for those who change the code, states.md is made by another test.
var unasked = []string{"design.md", "states.md"}

// longestReadme is what a reader sits through before trying something.
const longestReadme = 9 << 10

func TestLinksOfTheDocumentationLeadSomewhere(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.md", "*/*.md", "../*.md", "../.github/*.md", "../examples/*/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		files = append(files, found...)
	}
	links := 0
	for _, file := range files {
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(prose(t, file), "code"), -1) {
			target, err := url.Parse(match[1])
			require.NoError(t, err, "%s: %s", file, match[1])
			if target.IsAbs() {
				continue
			}
			links++
			to := file
			if target.Path != "" {
				to = filepath.Join(filepath.Dir(file), target.Path)
			}
			_, err = os.Stat(to)
			require.NoError(t, err, "%s: %s", file, match[1])
			if target.Fragment != "" {
				require.Contains(t, anchors(prose(t, to)), target.Fragment, "%s: %s", file, match[1])
			}
		}
	}
	require.Greater(t, links, 100, "links are no longer found")
}

func TestEveryPageIsInTheIndexAndSaysWhatItAnswers(t *testing.T) {
	indexes := map[string]string{".": prose(t, "README.md"), "api": prose(t, "api/README.md")}
	for _, page := range pages(t) {
		if name := filepath.Base(page); name != "README.md" {
			require.Contains(t, indexes[filepath.Dir(page)], "]("+name+")")
			if !slices.Contains(unasked, page) {
				require.Regexp(t, `\A# .+\n\n\*Answers: [^*]+\?\*\n`, prose(t, page), page)
			}
		}
	}
}

func TestTheReadmeIsOneSitting(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	require.LessOrEqual(t, len(text), longestReadme)
}

// prose returns a page without its blocks of code.
func prose(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return fenced.ReplaceAllString(string(text), "")
}

// anchors returns the fragments of a page as GitHub makes them of its headings.
func anchors(text string) map[string]bool {
	all := map[string]bool{}
	for _, match := range heading.FindAllStringSubmatch(text, -1) {
		title := link.ReplaceAllString(match[1], "$1")
		all[strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(title), ""), " ", "-")] = true
	}
	return all
}

func TestFilesOfTestsThatThePagesNameAreThere(t *testing.T) {
	here := map[string]bool{}
	require.NoError(t, filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if entry.IsDir() && entry.Name() == ".git" {
			return filepath.SkipDir
		}
		here[filepath.Base(path)] = true
		return err
	}))
	for _, page := range pages(t) {
		for _, name := range testFile.FindAllString(prose(t, page), -1) {
			require.True(t, here[name], "%s names %s", page, name)
		}
	}
}
