// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package architecture_test

import (
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The sizes that a reader can hold in mind.
const (
	maxRootEntries      = 60
	maxMethods          = 30
	maxInterfaceMethods = 8
	maxReadme           = 9 << 10
	maxLines            = 400
)

// wide are the types of more than maxMethods methods, and the interfaces of more than maxInterfaceMethods, each with
// its reason.
var wide = map[string]string{}

// oldWords are names that gave way to the field's own words; see docs/glossary.md.
var oldWords = strings.Fields(`
	misfit useOf lister steadyView sealer Sealer PurposeUse KeyMark CanMark TermsOf Outlook Agenda AgendaAt cadence rhythm
	Timetable ParseTimetable Ancestor ancestry WithSuccession KeepQuiet Trimmed ownState Proved Disproved
	Unasked ToCheck attend stepped verdict trial newTrial worn governor knowing relist relisting Placing Placement MendAlert
	ListAlert Unlist Reschedules RescheduleAfter Rescheduled Settlements Unsettled tailOf breakError turnedUp gist`)

func TestTheRootFolderIsAHallOneCanSeeThrough(t *testing.T) {
	var entries []string
	for _, name := range tracked(t) {
		first, _, _ := strings.Cut(name, "/")
		entries = append(entries, first)
	}
	slices.Sort(entries)
	entries = slices.Compact(entries)
	require.LessOrEqual(t, len(entries), maxRootEntries, "%v", entries)
}

func TestTheReadmeIsReadInOneSitting(t *testing.T) {
	info, err := os.Stat(filepath.Join(root(t), "README.md"))
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), int64(maxReadme))
}

func TestNoTypeIsWide(t *testing.T) {
	methods := map[string]int{}
	interfaces := map[string]*ast.InterfaceType{}
	for _, file := range parsed(t) {
		if strings.HasPrefix(file.folder, "test/") {
			continue
		}
		for name, n := range methodsOf(file) {
			methods[name] += n
		}
		maps.Copy(interfaces, interfacesOf(file))
	}
	found := map[string]bool{}
	for name, n := range methods {
		found[name] = n > maxMethods
	}
	for name, it := range interfaces {
		found[name] = found[name] || width(interfaces, name, it) > maxInterfaceMethods
	}
	for name, isWide := range found {
		_, known := wide[name]
		assert.Equal(t, known, isWide, "%s: %d methods", name, max(methods[name], width(interfaces, name, interfaces[name])))
	}
	for name, reason := range wide {
		require.Contains(t, found, name, "the list of wide types names one that does not exist")
		require.NotEmpty(t, reason, name)
	}
}

// width counts the methods of an interface with those of the interfaces that it embeds.
func width(all map[string]*ast.InterfaceType, name string, it *ast.InterfaceType) (n int) {
	if it == nil {
		return 0
	}
	folder := name[:strings.LastIndex(name, ".")+1]
	for _, field := range it.Methods.List {
		n += len(field.Names)
		if embedded, ok := field.Type.(*ast.Ident); ok && len(field.Names) == 0 {
			n += width(all, folder+embedded.Name, all[folder+embedded.Name])
		}
	}
	return n
}

// methodsOf counts the methods that a file declares, by "folder.Type".
func methodsOf(file source) map[string]int {
	methods := map[string]int{}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv == nil {
			continue
		}
		of := fn.Recv.List[0].Type
		if star, ok := of.(*ast.StarExpr); ok {
			of = star.X
		}
		if generic, ok := of.(*ast.IndexExpr); ok {
			of = generic.X
		}
		if generic, ok := of.(*ast.IndexListExpr); ok {
			of = generic.X
		}
		methods[file.folder+"."+of.(*ast.Ident).Name]++ // Go has no other receivers
	}
	return methods
}

func interfacesOf(file source) map[string]*ast.InterfaceType {
	found := map[string]*ast.InterfaceType{}
	ast.Inspect(file.File, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if it, ok := spec.Type.(*ast.InterfaceType); ok {
				found[file.folder+"."+spec.Name.Name] = it
			}
		}
		return true
	})
	return found
}

func TestOldWordsDoNotComeBack(t *testing.T) {
	for _, file := range parsed(t) {
		ast.Inspect(file.File, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.Obj != nil && id.Obj.Pos() == id.Pos() || ok && isMethodName(file, id) {
				assert.False(t, slices.Contains(oldWords, id.Name), "%s: %s", file.path, id.Name)
			}
			return true
		})
	}
}

func isMethodName(file source, id *ast.Ident) bool {
	return slices.ContainsFunc(file.Decls, func(decl ast.Decl) bool {
		fn, ok := decl.(*ast.FuncDecl)
		return ok && fn.Name == id
	})
}

// TestEachPackageHasTestsOfItsOwn holds that every package below internal/ is tested without a mount.
func TestEachPackageHasTestsOfItsOwn(t *testing.T) {
	for folder := range goFolders(t) {
		if !strings.HasPrefix(folder, "internal/") || folder == "internal/mounttest" { // it is a mount
			continue
		}
		own := false
		for _, imports := range testImports(t, folder) {
			own = own || !slices.ContainsFunc(imports, func(path string) bool {
				return path == module || path == module+"/internal/mounttest"
			})
		}
		require.True(t, own, "%s has no tests that run without a mount", folder)
	}
}
