// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policies_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
)

// FuzzDocument holds that a policy written as HCL is taken or refused, that what is refused is not stored, and that what is
// taken can be read.
func FuzzDocument(f *testing.F) {
	for _, text := range []string{
		"owner = \"o\"\nrotation_period = \"30d\" /* a month */\nmax_encryptions = -1\n", "labels = {\n  team = \"a\"\n  \"cost center\" = \"4711\"\n}\n",
		"allowed_types = [\n  \"aes256-gcm96\",\n]\n", "description = <<-EOT\n  Two lines,\n  without interpolation: $${x}\nEOT\n",
		"owner = \"o\"\nowner = \"p\"", "policy \"p\" {\n  owner = \"o\"\n}\n", "owner = upper(\"o\")", "owner = \"%{ if true }a%{ endif }\"",
		"min_versions_kept = true ? 1 : 2", "min_versions_kept = -(1)", "exportable = !false", "allowed_types = [for t in [\"aes256-gcm96\"] : t]",
		"labels = { a = { b = \"c\" } }", "labels = { (x) = \"c\" }", "labels = { a = null }", "{\"owner\": \"o\"}", "owner = \"\\xff\"", "owner={ } ",
		"owner = \"o\"\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m := mounttest.New(t)
		written := m.Write("policies/p", "document", text)
		if written.Status == 400 {
			require.Empty(t, m.Storage.All())
			return
		}
		require.Equal(t, 200, written.Status, written.Err)
		require.Equal(t, written.Data["hash"], m.Must(m.Read("policies/p")).Data["hash"])
	})
}
