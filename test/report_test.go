// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAReportIsWrittenFromAMountAndFromAFile: more keys than a page has, by the plugin's own binary.
func TestAReportIsWrittenFromAMountAndFromAFile(t *testing.T) {
	t.Parallel()
	s := server(t)
	mount := freshMount(t, s, "keylife")
	s.Must(t, http.MethodPost, mount+"/policies/pci", map[string]any{"owner": "<b>payments</b>", "compliance": []string{"pci-dss-4.0.1/3.7.4"}, "reason": "CHG-4711: new"})
	const keys = 53
	for i := range keys {
		s.Must(t, http.MethodPost, fmt.Sprintf("%s/keys/cards-%d", mount, i), map[string]any{"policy": "pci"})
	}
	run := func(args ...string) (out string, code int) {
		var stdout, stderr strings.Builder
		cmd := exec.CommandContext(t.Context(), os.Getenv("KEYLIFE_PLUGIN"), append([]string{"report"}, args...)...)
		cmd.Env = append(os.Environ(), "VAULT_ADDR="+s.Address(), "VAULT_TOKEN="+s.Client().Token())
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			require.IsType(t, &exec.ExitError{}, err)
		}
		t.Log(stderr.String())
		return stdout.String(), cmd.ProcessState.ExitCode()
	}
	public := s.Must(t, http.MethodGet, mount+"/custody/public-key", nil)
	file, saved := asFile(t, public), filepath.Join(t.TempDir(), "pages.json")
	md, code := run("-mount", mount, "-tag", "pci-dss-4.0.1", "-keys", file, "-save", saved)
	require.Equal(t, 0, code)
	require.Contains(t, md, fmt.Sprintf("| Keys | %d |", keys))
	require.Contains(t, md, "| Pages | 2, signed by ")
	require.Contains(t, md, "| pci-dss-4.0.1/3.6.1.2 | secret and private keys are stored in a permitted form | partly |")
	again, code := run("-from-file", saved, "-keys", file)
	require.Equal(t, 0, code)
	require.Equal(t, md, again)
	html, code := run("-from-file", saved, "-keys", file, "-format", "html")
	require.Equal(t, 0, code)
	require.Contains(t, html, "&lt;b&gt;payments&lt;/b&gt;")

	pages, err := os.ReadFile(saved)
	require.NoError(t, err)
	tampered := asTextFile(t, strings.Replace(string(pages), `\"verdict\":\"partly\"`, `\"verdict\":\"met\"`, 1))
	out, code := run("-from-file", tampered, "-keys", file)
	require.Equal(t, 1, code)
	require.Empty(t, out)
}
