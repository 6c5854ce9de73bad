// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	logRow  = regexp.MustCompile(`(?m)^\| (?:DEBUG|INFO|WARN|ERROR) \| ([^|]+) \|`)
	message = regexp.MustCompile("`([^`]+)`")
)

func TestMessagesOfTheLogAreThoseOfTheCode(t *testing.T) {
	var source strings.Builder
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		source.Write(text)
		return err
	}))
	rows := logRow.FindAllStringSubmatch(prose(t, "operations.md"), -1)
	require.Greater(t, len(rows), 10, "the table of messages is no longer found")
	for _, row := range rows {
		for _, text := range message.FindAllStringSubmatch(row[1], -1) {
			require.True(t, strings.Contains(source.String(), `"`+text[1]+`"`), "%q is no message of the code", text[1])
		}
	}
}

// namesOfFields are all that lines at INFO, WARN and ERROR have. A new one is thought about: no line has material, a plaintext, a
// ciphertext or a token.
var namesOfFields = []string{
	"access_ledger", "access_review_every", "acknowledge", "act", "active", "actor", "approval", "chain", "changed", "condition", "default_policy",
	"disable_upsert", "due", "enabled", "entity", "entity_id", "error", "failures", "first", "founder", "from", "generation", "hash", "health_public",
	"id", "imported", "kek", "key", "keys", "kind", "late", "library", "mode", "name", "needs", "note", "obstacles", "operation", "passes", "policy",
	"problem", "public_jwks", "purpose", "purposes", "reason", "renewed", "request", "request_id", "requester", "require_policy", "retry", "review",
	"review_due", "revision", "rotation", "scrub", "since", "stack", "staged", "state", "subject", "time", "to", "took_ms", "trigger", "type", "version",
	"versions", "where", "why",
}

func TestALineOfTheLogHasKnownFields(t *testing.T) {
	known, lines := map[string]bool{}, 0
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && slices.Contains([]string{"client", "python", "test", "cmd"}, entry.Name()) {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || !logs(call) {
				return true
			}
			lines++
			for i := 1; i < len(call.Args); i += 2 {
				if name, ok := literal(call.Args[i]); ok {
					known[name] = true
				} else {
					require.True(t, call.Ellipsis.IsValid(), "%s: the name of a field is no literal", path)
				}
			}
			return true
		})
		return nil
	}))
	require.Greater(t, lines, 60, "the calls are no longer found")
	for _, name := range []string{"request_id", "entity_id", "approval", "took_ms"} {
		known[name] = true // of every line of an act, see internal/engine/actlog.go
	}
	require.Equal(t, namesOfFields, slices.Sorted(maps.Keys(known)))
}

// logs reports a call that logs a line at INFO, WARN or ERROR.
func logs(call *ast.CallExpr) bool {
	to, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains([]string{"Info", "Warn", "Error"}, to.Sel.Name) || len(call.Args) == 0 {
		return false
	}
	switch of := to.X.(type) {
	case *ast.Ident:
		return of.Name == "log"
	case *ast.SelectorExpr:
		return strings.EqualFold(of.Sel.Name, "log")
	case *ast.CallExpr:
		logger, ok := of.Fun.(*ast.SelectorExpr)
		return ok && logger.Sel.Name == "Logger"
	}
	return false
}

func literal(e ast.Expr) (string, bool) {
	basic, ok := e.(*ast.BasicLit)
	if !ok {
		return "", false
	}
	text, err := strconv.Unquote(basic.Value)
	return text, err == nil
}
