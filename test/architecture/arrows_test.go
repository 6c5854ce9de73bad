// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package architecture_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mayImport is every arrow between the packages of this module: what is not here must not be imported.
var mayImport = map[string][]string{
	".": {
		"hsm", "hsm/token", "internal/acts", "internal/clock", "internal/consent", "internal/custody", "internal/dataplane", "internal/engine", "internal/envelope",
		"internal/keks", "internal/keyring", "internal/keytype", "internal/ledger", "internal/lifecycle", "internal/metrics", "internal/observe", "internal/policy",
		"internal/refusal", "internal/report", "internal/schedule", "internal/scheduler", "internal/store", "internal/tokens", "internal/uses", "internal/vaultapi",
	},
	"cmd/vault-plugin-keylife": {".", "internal/custody", "internal/front", "internal/migrate", "internal/report"},
	"internal/acts":            nil,
	"internal/census":          {"internal/lifecycle", "internal/observe", "internal/policy"},
	"internal/clock":           nil,
	"internal/consent":         {"internal/acts", "internal/refusal"},
	"internal/custody":         nil,
	"hsm":                      {"hsm/cryptoki"},
	"internal/cache":           nil,
	"internal/dataplane":       {"internal/cache", "internal/envelope", "internal/keytype", "internal/lifecycle", "internal/observe", "internal/policy", "internal/refusal"},
	"internal/engine":          {"internal/acts", "internal/consent", "internal/dataplane", "internal/envelope", "internal/keytype", "internal/lifecycle", "internal/observe", "internal/policy", "internal/refusal", "internal/report", "internal/transitformat"},
	"internal/enginetest": {
		"internal/acts", "internal/census", "internal/consent", "internal/dataplane", "internal/engine", "internal/envelope", "internal/keytype", "internal/lifecycle",
		"internal/observe", "internal/policy", "internal/refusal", "internal/scheduler",
	},
	"internal/scheduler": {"internal/census", "internal/dataplane", "internal/engine", "internal/envelope", "internal/lifecycle", "internal/observe", "internal/policy", "internal/refusal"},
	"internal/keks": {
		"hsm", "hsm/cryptoki", "hsm/token", "internal/acts", "internal/envelope", "internal/keyring", "internal/lifecycle", "internal/refusal",
		"internal/observe", "internal/schedule", "internal/tokens",
	},
	"internal/keyring":   {"hsm", "hsm/token", "internal/cache", "internal/envelope", "internal/observe", "internal/tokens"},
	"internal/tokens":    {"hsm", "hsm/cryptoki", "hsm/p11", "hsm/token"},
	"internal/envelope":  nil,
	"internal/keytype":   {"internal/refusal"},
	"internal/front":     {"internal/vaultapi"},
	"internal/ledger":    {"internal/acts", "internal/custody", "internal/envelope", "internal/lifecycle", "internal/observe", "internal/refusal", "internal/report"},
	"internal/lifecycle": {"internal/acts", "internal/consent", "internal/keytype", "internal/policy", "internal/refusal", "internal/schedule"},
	"internal/policy":    {"internal/acts", "internal/consent", "internal/keytype", "internal/refusal", "internal/schedule"},
	"internal/refusal":   nil,
	"internal/report":    nil,
	"internal/schedule":  nil,
	"internal/store": {
		"hsm", "hsm/cryptoki", "internal/tokens",
		"internal/acts", "internal/cache", "internal/census", "internal/consent", "internal/custody", "internal/keyring", "internal/keytype", "internal/lifecycle",
		"internal/observe", "internal/policy", "internal/refusal", "internal/uses",
	},
	"internal/metrics":       {"internal/observe"},
	"internal/observe":       nil,
	"internal/uses":          {"internal/lifecycle"},
	"hsm/cryptoki":           nil,
	"hsm/hsmtest":            {"hsm", "hsm/cryptoki"},
	"hsm/hsmtest/faketoken":  {"hsm/cryptoki"},
	"hsm/p11":                {"hsm/cryptoki"},
	"hsm/token":              {"hsm", "hsm/cryptoki"},
	"internal/migrate":       nil,
	"internal/mounttest":     {".", "internal/custody", "internal/envelope", "internal/front", "internal/lifecycle", "internal/storagetest", "internal/store"},
	"internal/racetest":      nil,
	"internal/storagetest":   nil,
	"internal/transitformat": {"internal/envelope", "internal/keytype", "internal/lifecycle", "internal/refusal"},
	"internal/vaultapi":      nil,
	"test/chaos":             {"hsm/hsmtest", "test/chaos/check", "test/chaos/fault", "test/chaos/history", "test/chaos/link", "test/chaos/schedule", "test/chaos/work", "test/harness"},
	"test/chaos/check":       {"test/chaos/history"},
	"test/chaos/fault":       {"test/chaos/history", "test/chaos/link", "test/chaos/schedule", "test/harness"},
	"test/chaos/history":     nil,
	"test/chaos/link":        nil,
	"test/chaos/schedule":    nil,
	"test/chaos/work":        {"test/chaos/history", "test/harness"},
	"test/badclients/names":  nil,
	"test/bench":             {"test/bench/load", "test/bench/plot", "test/bench/result", "test/harness"},
	"test/bench/inprocess":   {"test/bench/result"},
	"test/bench/load":        nil,
	"test/bench/noop":        nil,
	"test/bench/page":        {"test/bench/result"},
	"test/bench/plot":        {"test/bench/result"},
	"test/bench/result":      nil,
	"test/harness":           nil,
	"test/upgrade/fixture":   nil,
	"test/wycheproof":        nil,

	"internal/schedule/scheduletest": nil,

	"test/bench/massrotation": {"test/bench/result", "test/harness"},
	"test/soak":               {"test/bench/result", "test/harness", "test/soak/trend"},
	"test/soak/cmd":           {"test/bench/result", "test/harness", "test/soak"},
	"test/soak/trend":         {"test/bench/result"},
}

// mustNotImport are the arrows out of the module that would carry a concern into the wrong room.
var mustNotImport = map[string][]string{
	"hsm":                {"github.com/hashicorp/vault"},
	"internal/cache":     {"github.com/hashicorp/vault"},
	"internal/census":    {"github.com/hashicorp/vault"},
	"internal/dataplane": {"github.com/hashicorp/vault"},
	"internal/engine":    {"github.com/hashicorp/vault"},
	"internal/keks":      {"github.com/hashicorp/vault"},
	"internal/keyring":   {"github.com/hashicorp/vault"},
	"internal/tokens":    {"github.com/hashicorp/vault"},
	"internal/ledger":    {"github.com/hashicorp/vault"},
	"internal/scheduler": {"github.com/hashicorp/vault"},
	"internal/uses":      {"github.com/hashicorp/vault"},
	"internal/envelope":  {"github.com/hashicorp/vault/sdk/logical", "github.com/hashicorp/vault/sdk/framework"},
	"internal/consent":   {"."},
	"internal/custody":   {"."},
	"internal/lifecycle": {"."}, // a dot: nothing but the standard library, and what is in exempt
	"internal/metrics":   {"github.com/hashicorp/vault"},
	"internal/observe":   {"."},
	"internal/policy":    {"."},
	"internal/report":    {"."},
	"internal/schedule":  {"."},
	"internal/migrate":   {"github.com/hashicorp/vault"},
	"internal/store":     {"github.com/hashicorp/vault/sdk/framework"},
}

// pure are packages of this module that decide and do nothing else.
var pure = []string{
	module + "/internal/acts", module + "/internal/consent", module + "/internal/keytype", module + "/internal/policy", module + "/internal/refusal", module + "/internal/schedule",
}

// exempt are libraries that a package may import all the same; each has a record in docs/adr.
var exempt = map[string][]string{
	"internal/consent":   pure,
	"internal/lifecycle": pure,
	"internal/policy":    pure,
	"internal/schedule":  {"github.com/hashicorp/cronexpr"}, // ADR 0016
}

func TestArrowsBetweenPackagesPointOneWay(t *testing.T) {
	seen := map[string]bool{}
	for dir, imports := range importsByFolder(t) {
		allowed, known := mayImport[dir]
		require.True(t, known, "package %s has no arrows in mayImport", dir)
		seen[dir] = true
		for _, path := range imports {
			if own, ok := ownPackage(path); ok {
				require.Contains(t, allowed, own, "%s imports %s", dir, own)
			}
			if slices.Contains(exempt[dir], path) {
				continue
			}
			for _, forbidden := range mustNotImport[dir] {
				require.NotContains(t, path, forbidden, "%s imports %s", dir, path)
			}
		}
	}
	require.Len(t, seen, len(mayImport), "mayImport names packages that do not exist")
}

func ownPackage(path string) (string, bool) {
	if path == module {
		return ".", true
	}
	return strings.CutPrefix(path, module+"/")
}

// importsByFolder returns the direct imports of all files that are no tests.
func importsByFolder(t *testing.T) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	for _, file := range parsed(t) {
		if len(file.Imports) > 0 {
			imports[file.folder] = append(imports[file.folder], importsOf(t, file.File)...)
		}
	}
	return imports
}
