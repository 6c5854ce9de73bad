// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// folderOf has messages of three forms and two versions, and other things.
func folderOf(t *testing.T, k *kit) string {
	t.Helper()
	folder := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(folder, "sub"), 0o700))
	field, err := k.Encrypt(t.Context(), []byte("x"), nil)
	require.NoError(t, err)
	file(t, folder, "a", string(field))
	file(t, folder, "b", k.ok("x", "encrypt", "-key", "orders", "-text"))
	k.newest = 2
	file(t, folder, "sub/c", k.ok("x", "encrypt", "-key", "orders"))
	file(t, folder, "d", "no message at all")
	file(t, folder, "e", "")
	require.NoError(t, os.Symlink("a", filepath.Join(folder, "f")))
	file(t, folder, "g", strings.Replace(string(field), "orders", "cards1", 1))
	return folder
}

func TestInspectTellsKeyAndVersion(t *testing.T) {
	k := newKit(t)
	folder := folderOf(t, k)
	out := strings.ReplaceAll(k.ok("", "inspect", folder), folder+"/", "")
	require.Equal(t, "a\torders\tversion 1\tfield\nb\torders\tversion 1\ttext\nd\tno message\ne\tno message\nf\ta link: not followed\n"+
		"g\tcards1\tversion 1\tfield\nsub/c\torders\tversion 2\tstream\n", out)
	var lines []line
	decoder := json.NewDecoder(strings.NewReader(k.ok("", "inspect", "-json", folder)))
	for decoder.More() {
		var l line
		require.NoError(t, decoder.Decode(&l))
		lines = append(lines, l)
	}
	require.Len(t, lines, 7)
	require.Equal(t, line{Path: folder + "/sub/c", Key: "orders", Version: 2, Form: "stream"}, lines[6])
}

func TestACensusCountsByKeyAndVersion(t *testing.T) {
	k := newKit(t)
	folder := folderOf(t, k)
	require.Equal(t, "cards1\tversion 1\t1\norders\tversion 1\t2\norders\tversion 2\t1\nunreadable\t\t3\n", k.ok("", "inspect", "-census", folder))
	require.JSONEq(t, `{"keys":{"cards1":{"1":1},"orders":{"1":2,"2":1}},"unreadable":3}`, k.ok("", "inspect", "-census", "-json", folder))
}

func TestInspectOfStandardInput(t *testing.T) {
	k := newKit(t)
	require.Equal(t, "-\torders\tversion 1\ttext\n", k.ok(k.ok("x", "encrypt", "-key", "orders", "-text"), "inspect"))
	require.Equal(t, "-\torders\tversion 1\tstream\n", k.ok(k.ok("x", "encrypt", "-key", "orders"), "inspect", "-"))
}

func TestWhatWasNamedAndIsNoMessageIsAFailure(t *testing.T) {
	k := newKit(t)
	folder := folderOf(t, k)
	for _, path := range []string{folder + "/d", folder + "/f", folder + "/none"} {
		r := k.run("", "inspect", path, folder+"/a")
		require.Equal(t, exitFailed, r.code)
		require.Contains(t, r.stdout, path)
		require.Contains(t, r.stdout, "/a\torders")
	}
	require.Equal(t, exitFailed, k.run("x", "inspect").code)
}
