// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package docs_test holds the pages of this folder against the code.
package docs_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	keylife "github.com/keylife/vault-plugin-keylife"
	"github.com/keylife/vault-plugin-keylife/internal/policy"
)

var update = flag.Bool("update", false, "rewrite the tables of fields in the pages")

// A table of fields stands between two comments. The first names what the table shows: "fields" of requests or of an
// "answer", of one path or several that share them, and perhaps which of the fields:
//
//	<!-- fields keys/:name/suspend keys/:name/resume: cas reason -->
//	| Field | Type | Default | Query | Description | Rule |
//	...
//	<!-- end -->
//
// The columns of that example but the last are made from the schemas of the fields, and those of a table with the column Source
// from the rows of internal/policy. Other columns are written by hand.
var (
	block     = regexp.MustCompile(`(?s)<!-- (fields|answer) ([^:>]*(?::[a-z][^:>]*)*?)(?:: ([a-z_ ]+))? -->\n(.*?)<!-- end -->`)
	parameter = regexp.MustCompile(`\(\?P<(\w+)>(?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)`)
)

type schemas = map[string]*framework.FieldSchema

// api is what the mount takes and answers, by path as the pages write it.
type api struct {
	fields, answer map[string]schemas
	inPath         map[string]bool // "keys/:name name": part of the path, so of no table
}

func readAPI(t *testing.T) api {
	t.Helper()
	b, err := keylife.Factory(t.Context(), &logical.BackendConfig{System: &logical.StaticSystemView{}, StorageView: &logical.InmemStorage{}})
	require.NoError(t, err)
	paths, ok := reflect.Indirect(reflect.ValueOf(b)).FieldByName("Paths").Interface().([]*framework.Path)
	require.True(t, ok, "the mount is no framework.Backend any more")
	a := api{map[string]schemas{}, map[string]schemas{}, map[string]bool{}}
	for _, p := range paths {
		path := strings.TrimSuffix(parameter.ReplaceAllString(p.Pattern, ":$1"), "/?$")
		for _, match := range parameter.FindAllStringSubmatch(p.Pattern, -1) {
			a.inPath[path+" "+match[1]] = true
		}
		a.fields[path], a.answer[path] = p.Fields, schemas{}
		for op, operation := range p.Operations {
			if op == logical.ListOperation && len(p.Operations) > 1 {
				continue // the table of what a read answers too: docs/api/README.md has its fields
			}
			for _, response := range operation.Properties().Responses[200] {
				maps.Copy(a.answer[path], response.Fields)
			}
		}
	}
	return a
}

// shown returns the fields that a block is about: those of its first path, and the other paths have to have the same.
func (a api) shown(t *testing.T, kind string, paths, only []string) schemas {
	t.Helper()
	var first schemas
	for _, path := range paths {
		of := map[string]map[string]schemas{"fields": a.fields, "answer": a.answer}[kind]
		require.Contains(t, of, path, "no such path")
		own := maps.Clone(of[path])
		maps.DeleteFunc(own, func(name string, _ *framework.FieldSchema) bool {
			return kind == "fields" && a.inPath[path+" "+name] || len(only) > 0 && !slices.Contains(only, name)
		})
		if first == nil {
			first = own
		}
		require.Equal(t, first, own, "the fields of %s are others than those of %s", path, paths[0])
	}
	for _, name := range only {
		require.Contains(t, first, name, "%s has no such field", paths[0])
	}
	return first
}

func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "api/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		all = append(all, found...)
	}
	return all
}

func TestTablesOfFieldsAreThoseOfTheCode(t *testing.T) {
	a := readAPI(t)
	missing := map[string]schemas{}
	for path, fields := range a.fields {
		missing[path] = maps.Clone(fields)
		maps.DeleteFunc(missing[path], func(name string, _ *framework.FieldSchema) bool { return a.inPath[path+" "+name] })
	}
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		made := block.ReplaceAllStringFunc(string(text), func(old string) string {
			match := block.FindStringSubmatch(old)
			paths, only := strings.Fields(match[2]), strings.Fields(match[3])
			fields := a.shown(t, match[1], paths, only)
			for _, path := range paths {
				if match[1] == "fields" {
					maps.DeleteFunc(missing[path], func(name string, _ *framework.FieldSchema) bool { return fields[name] != nil })
				}
			}
			head, _, _ := strings.Cut(old, "\n")
			return head + "\n" + table(t, match[1], match[4], fields) + "<!-- end -->"
		})
		if *update {
			require.NoError(t, os.WriteFile(page, []byte(made), 0o600))
			continue
		}
		require.Equal(t, made, string(text), "%s: to renew its tables: go test ./docs -update", page)
	}
	for path, fields := range missing {
		require.Empty(t, slices.Sorted(maps.Keys(fields)), "fields of %s that no page shows", path)
	}
}

// table makes the rows of the fields anew, in the order in which the page has them, and keeps what is written by hand.
func table(t *testing.T, kind, old string, fields schemas) string {
	t.Helper()
	columns := []string{"Field", "Type", "Default", "Query", "Description"}
	if kind == "answer" {
		columns = []string{"Field", "Type", "Description"}
	}
	var order []string
	byHand := map[string][]string{}
	for i, line := range strings.Split(strings.TrimSpace(old), "\n") {
		cells := splitRow(line)
		switch {
		case line == "" || i == 1: // no table yet; the line below the head
		case i == 0:
			columns = cells
		default:
			name := strings.Trim(cells[0], "`")
			if fields[name] != nil {
				require.Len(t, cells, len(columns), line)
				require.NotContains(t, byHand, name, "two rows")
				order, byHand[name] = append(order, name), cells
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if byHand[name] == nil {
			order, byHand[name] = append(order, name), make([]string, len(columns))
		}
	}
	var out strings.Builder
	out.WriteString(joinRow(columns) + "|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, name := range order {
		for i, column := range columns {
			made := cell(name, column, fields[name])
			if slices.Contains(columns, "Source") {
				made = cmp.Or(made, policyCell(name, column))
			}
			if made != nil {
				byHand[name][i] = *made
			}
		}
		out.WriteString(joinRow(byHand[name]))
	}
	return out.String()
}

func joinRow(cells []string) string {
	return strings.ReplaceAll("| "+strings.Join(cells, " | ")+" |\n", "  ", " ")
}

// splitRow reads the cells of a row; an empty cell may be written with one space.
func splitRow(line string) []string {
	cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// cell is what the schema has to say in a column; nil: the column is written by hand.
func cell(name, column string, schema *framework.FieldSchema) *string {
	var text string
	switch column {
	case "Field":
		text = "`" + name + "`"
	case "Type":
		text = typeName(schema.Type)
	case "Default":
		text = defaultText(name, schema.DefaultOrZero())
	case "Query":
		text = map[bool]string{true: "yes"}[schema.Query]
	case "Description":
		text = strings.NewReplacer("<", "\\<", "|", "\\|").Replace(schema.Description)
	default:
		return nil
	}
	return &text
}

// policyCell is what the row of a policy's field has to say in a column of the tables that name sources.
func policyCell(name, column string) *string {
	for _, f := range policy.Fields() {
		if f.Name == name {
			cells := map[string]string{"Value": f.Docs.Type, "Unit": f.Docs.Unit, "Rule": f.Docs.Rule, "Source": cmp.Or(f.Docs.Source, "–")}
			if text, ok := cells[column]; ok {
				return &text
			}
		}
	}
	return nil
}

func typeName(of framework.FieldType) string {
	switch of {
	case framework.TypeInt64:
		return "int"
	case framework.TypeDurationSecond, framework.TypeSignedDurationSecond:
		return "duration"
	case framework.TypeKVPairs:
		return "map"
	case framework.TypeSlice, framework.TypeStringSlice, framework.TypeCommaStringSlice:
		return "list"
	default:
		return of.String()
	}
}

func defaultText(name string, value any) string {
	text := fmt.Sprint(value)
	switch list := value.(type) {
	case []string:
		text = strings.Join(list, ", ")
	case map[string]string, map[string]any, []any:
		text = ""
	}
	switch {
	case name == "cas": // 0 is another thing than none
		return "none"
	case text == "":
		return "empty"
	}
	return "`" + text + "`"
}
