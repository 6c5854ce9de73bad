// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/policy"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

func FuzzDocument(f *testing.F) {
	for _, text := range []string{
		"owner = \"o\"\nrotation_period = \"30d\" /* a month */\nmax_encryptions = -1\n", "labels = {\n  team = \"a\"\n  \"cost center\" = \"4711\"\n}\n",
		"allowed_types = [\n  \"aes256-gcm96\",\n]\n", "description = <<-EOT\n  Two lines,\n  without interpolation: $${x}\nEOT\n",
		"owner = \"o\"\nowner = \"p\"", "policy \"p\" {\n  owner = \"o\"\n}\n", "owner = upper(\"o\")", "owner = \"%{ if true }a%{ endif }\"",
		"min_versions_kept = true ? 1 : 2", "min_versions_kept = -(1)", "exportable = !false", "allowed_types = [for t in [\"aes256-gcm96\"] : t]",
		"labels = { a = { b = \"c\" } }", "labels = { (x) = \"c\" }", "labels = { a = null }", "{\"owner\": \"o\"}", "owner = \"\\xff\"", "owner={ } ",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := policyHCL.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, vaultapi.ErrInvalid)
			return
		}
		if doc, err := editFields(c, policy.DefaultDocument()); err == nil {
			_, _ = policy.New("p", 1, doc, time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC))
		}
	})
}
