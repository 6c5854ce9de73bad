// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package architecture_test holds the shape of the code: which package may import which, and how large things are.
package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/keylife/vault-plugin-keylife"

// source is a file of the module that is no test.
type source struct {
	*ast.File
	path   string // from the root
	folder string // a dot: the root
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

// tracked lists the files of the repository, in order.
func tracked(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

// goFolders returns the folders that hold Go files of the module, with their files.
func goFolders(t *testing.T) map[string][]string {
	t.Helper()
	folders := map[string][]string{}
	for _, path := range tracked(t) {
		if strings.HasSuffix(path, ".go") && !ofAnotherModule(path) {
			folder := filepath.ToSlash(filepath.Dir(path))
			folders[folder] = append(folders[folder], path)
		}
	}
	return folders
}

// ofAnotherModule tells whether a file belongs to a module with a go.mod of its own.
func ofAnotherModule(path string) bool {
	return slices.ContainsFunc([]string{"client/", "test/apps/", "test/clients/", "test/ui/", "test/vault/"}, func(module string) bool { return strings.HasPrefix(path, module) })
}

// parsed returns the files of the module that are no tests.
func parsed(t *testing.T) (files []source) {
	t.Helper()
	for folder, paths := range goFolders(t) {
		for _, path := range paths {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), path), nil, 0)
			require.NoError(t, err)
			files = append(files, source{file, path, folder})
		}
	}
	return files
}

// testImports returns what each test file of a folder imports.
func testImports(t *testing.T, folder string) (all [][]string) {
	t.Helper()
	for _, path := range goFolders(t)[folder] {
		if !strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), path), nil, parser.ImportsOnly)
		require.NoError(t, err)
		all = append(all, importsOf(t, file))
	}
	return all
}

func importsOf(t *testing.T, file *ast.File) (imports []string) {
	t.Helper()
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		imports = append(imports, path)
	}
	return imports
}
