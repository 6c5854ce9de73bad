// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package migrate_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/migrate"
)

func TestAReportGoesOnBehindWhatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report")
	require.NoError(t, os.WriteFile(path, []byte(`{"key":"cut sho`), 0o600))
	file, err := migrate.OpenFile(path)
	require.NoError(t, err)
	require.NoError(t, file.Line(migrate.Entry{Key: "k", Outcome: migrate.Moved, Proof: migrate.Proof{Sample: migrate.Versions{1, 2, 3, 5, 7, 8}}}))
	require.NoError(t, file.Close())
	file, err = migrate.OpenFile(path)
	require.NoError(t, err)
	require.NoError(t, file.Line(migrate.Entry{Key: "l", Outcome: migrate.Failed, Reason: "why"}))
	require.NoError(t, file.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, `{"key":"cut sho
{"time":"0001-01-01T00:00:00Z","key":"k","outcome":"moved","proof":{"sample":"1-3,5,7-8"},"requests":0}
{"time":"0001-01-01T00:00:00Z","key":"l","outcome":"failed","reason":"why","requests":0}
`, string(text))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

// answer is an engine that always says the same.
type answer migrate.Reply

func (a answer) Send(context.Context, migrate.Request) (migrate.Reply, error) {
	return migrate.Reply(a), nil
}

func TestWhatIsNoEngineOfKeysIsRefused(t *testing.T) {
	for want, a := range map[string]answer{
		"is neither Transit nor keylife":             {Status: 404, Errors: []string{`no handler for route "x/config/clock". route entry not found.`}},
		"cannot be told without the capability read": {Status: 403, Errors: []string{"permission denied"}},
		"Vault is sealed":                            {Status: 503, Errors: []string{"Vault is sealed"}},
	} {
		_, err := migrate.Run(t.Context(), a, a, migrate.Options{})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "source: config/clock")
	}
}
