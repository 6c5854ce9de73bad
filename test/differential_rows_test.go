// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shownBy says what holds each row of "Differences from Transit" in docs/transit.md: intended differences, by how their names
// begin, or tests of what no request to both engines shows.
var shownBy = []struct {
	row string // how it begins
	by  []string
}{
	{"`import_version` takes versions", []string{"a version is imported after a rotation"}},
	{"`keys/:name/import` with both", []string{"an import of two keys"}},
	{"`keys/:name/import` with an `auto_rotate_period`", []string{"an import with a short period"}},
	{"`set-certificate` on an RSA version", []string{"TestAPublicHalfMayHaveACertificateAndMakesNoRequest"}},
	{"`rewrap` takes `associated_data`", []string{"rewrap takes associated_data", "a rewrap item takes associated_data"}},
	{"`datakey` takes `associated_data`", []string{"datakey takes associated_data"}},
	{"With an RSA key, `associated_data`", []string{"no associated_data with RSA"}},
	{"`encrypt`, `decrypt`, `datakey` and `datakeys` take `hash_algorithm`", []string{
		"encrypt takes hash_algorithm", "datakey takes hash_algorithm", "rewrap takes encrypt_hash_algorithm", "decrypt takes hash_algorithm", "hash_algorithm is for",
	}},
	{"A signature of ECDSA has one encoding", []string{"a signature has nothing more", "the numbers of a signature for JWS"}},
	{"An item of `verify` whose fields", []string{"a boolean that is no text: verify item"}},
	{"`verify` of an `hmac` with", []string{"verify of an HMAC by no hash"}},
	{"`hmac` with `algorithm=none`", []string{"TestWhatTransitPanicsOfIsRefused"}},
	{"`cmac/`, and keys", []string{"there are CMACs", "keys of type aes"}},
	{"`datakeys/`", []string{"several data keys"}},
	{"Keys of type `ml-dsa`", []string{"ML-DSA"}},
	{"Keys of type `xchacha20-poly1305`", []string{"keys of type xchacha20-poly1305"}},
	{"A key is shown with", []string{"a key is shown with what is ours"}},
	{"`cas`, `reason`, and on creation", []string{"a rotation with stage, cas and reason"}},
	{"409", []string{"another revision is 409"}},
	{"A key with `allowed_uses`", []string{"a key of some uses"}},
	{"`config/keys` takes and shows", []string{"config/keys has public_jwks"}},
	{"Paths below `keys/:name/`", []string{"paths below a key"}},
	{"`keys/` takes `after`", []string{"TestListsComeInPages"}},
	{"`byok-export` takes `reason`", []string{"a wrapped export with a reason"}},
	{"`export` takes `format`", []string{"an export as JWK"}},
	{"`restore` takes `policy`", []string{"a backup says what Transit does not know"}},
	{"`export` of material", []string{"what leaves is kept by custody"}},
	{"With `associated_data`, a convergent key", []string{"a convergent nonce is of the associated data too"}},
	{"Creating a key that exists", []string{"creating an existing key warns"}},
	{"An `encrypt` that fails", []string{"an upsert that fails makes no key"}},
	{"`auto_rotate_period` is acted on", []string{"TestTransitsOwnPeriodIsKeptToTheMinute"}},
	{"`auto_rotate_period` is at most", []string{"nobody rotates after 292 years"}},
	{"A `key_version` beside", []string{"encrypt items have the key_version", "rewrap items have the key_version", "a batch with a key_version that"}},
	{"Setting a one-way flag", []string{"unsetting a one-way flag warns"}},
	{"A ciphertext that does not authenticate", []string{"a ciphertext that does not authenticate"}},
	{"A token without the capability", []string{"TestWhoMayOnlyUpdateIsToldWhatIsWrong"}},
	{"A number for a text", []string{"a number that is no text", "2.0 is 2", "1e4 is 10000"}},
	{"An integer of more than 32 bits", []string{"a cache of 4294967296"}},
	{"`random/` with what is no number", []string{"random/"}},
	{"Keys of type `managed_key`", []string{"no keys of type"}},
	{"Names of keys", []string{"a name of more than 1024 bytes"}},
	{"A batch with a `partial_failure_response_code`", []string{"no batch has the status"}},
	{"`restore` of a backup with material", []string{
		"restore a type that", "restore a key of the wrong length", "restore convergent keys", "restore derived keys", "restore to a name that",
	}},
	{"`restore` of a backup without `policy`", []string{"a backup without a policy"}},
	{"`restore` with `force`", []string{"no force under a policy"}},
	{"`restore` of a backup of a type", []string{"TestAKeyOfEveryTypeComesBackFromItsBackup"}},
	{"`restore` drops the `auto_rotate_period`", []string{"restore an imported key with a period"}},
	{"`backup` leaves", []string{"a backup leaves the key as it is"}},
	{"`export/cmac-key`", []string{"cmac-key of a missing key"}},
	{"`LIST keys` answers", []string{"the list of keys is a table"}},
	{"`LIST` with response wrapping", []string{"a wrapped list"}},
	{"Under a policy: no encryption", []string{"TestAGovernedKeyEncryptsWithItsActiveVersionOnly", "TestAGovernedKeyIsNotDeletedAtOnce"}},
	{"Under a policy: `rotate`", []string{"TestAPolicyAsksForReasons"}},
	{"Under a policy without `exportable`", []string{"TestAPolicyForbidsAnExport"}},
	{"Under a legal hold", []string{"TestALegalHoldKeepsEverything"}},
	{"A key or version in a state of ours", []string{"TestAStateSaysWhatAVersionMayDo"}},
}

func TestTheDocumentedDifferencesAreThoseThatAreTested(t *testing.T) {
	text, err := os.ReadFile("../docs/transit.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## Differences from Transit\n")
	require.True(t, found)
	var names []string
	for _, d := range intendedDifferences() {
		names = append(names, d.name)
	}
	tests := testNames(t)
	rows := regexp.MustCompile(`(?m)^\| (.*) \|$`).FindAllStringSubmatch(section, -1)
	next := 0
	for _, row := range rows {
		if strings.HasPrefix(row[1], "Difference |") {
			continue
		}
		require.Less(t, next, len(shownBy), "nothing shows: %s", row[1])
		require.True(t, strings.HasPrefix(row[1], shownBy[next].row), "the next row is %q, and of those that are shown %q", row[1], shownBy[next].row)
		for _, by := range shownBy[next].by {
			before := len(names)
			names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, by) })
			require.True(t, len(names) < before || tests[by], "nothing is called %q", by)
		}
		next++
	}
	require.Len(t, shownBy, next, "no row of docs/transit.md")
	require.Empty(t, names, "intended differences that docs/transit.md does not have, or that stand in another order than their rows")
}

// testNames are the names of all tests of the project.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range declared.FindAllStringSubmatch(string(text), -1) {
			names[match[1]] = true
		}
		return err
	}))
	return names
}
