// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const (
	observability = "../observability/"
	// alertAfter is how long an alert may take whose cause is on the board: a scrape, and two evaluations.
	alertAfter = 30 * time.Second
)

// patience is what the tests shorten in the rules: for how long it has to be so before an alert fires.
var patience = regexp.MustCompile(`(?m)^( +for:) .*$`)

// watch is a Prometheus that scrapes mounts of a server every second, each by two targets, and has the rules of the tree.
type watch struct{ *harness.Prometheus }

func startWatch(t *testing.T, s *harness.Server, mounts ...string) watch {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"rules.yaml", "alerts.yaml"} {
		text, err := os.ReadFile(observability + "prometheus/" + name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), patience.ReplaceAll(text, []byte("$1 1s")), 0o600))
	}
	token := filepath.Join(dir, "token")
	require.NoError(t, os.WriteFile(token, []byte(scrapeToken(t, s, mounts)), 0o600))
	config := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [%s/rules.yaml, %[1]s/alerts.yaml]\nscrape_configs:\n", dir)
	for _, mount := range mounts {
		config += fmt.Sprintf("  - job_name: %s\n    metrics_path: /v1/%[1]s/metrics\n    authorization: {credentials_file: %s}\n    static_configs: [{targets: [%s]}]\n",
			mount, token, strings.Join(targets(t, s), ", "))
	}
	w := watch{harness.StartPrometheus(t, config)}
	harness.Eventually(t, alertAfter, func() error {
		if down := w.Query(t, "up == 0"); len(down) > 0 || len(w.Query(t, "up")) != 2*len(mounts) {
			return fmt.Errorf("targets that do not answer: %v", down)
		}
		return nil
	})
	return w
}

// targets are two names of the server, as two nodes are of which one forwards to the other.
func targets(t *testing.T, s *harness.Server) []string {
	t.Helper()
	address, err := url.Parse(s.Address())
	require.NoError(t, err)
	return []string{address.Host, "localhost:" + address.Port()}
}

// scrapeToken is a token that may read metrics and nothing else.
func scrapeToken(t *testing.T, s *harness.Server, mounts []string) string {
	t.Helper()
	rules := ""
	for _, mount := range mounts {
		rules += fmt.Sprintf("path %q { capabilities = [\"read\"] }\n", mount+"/metrics")
	}
	require.NoError(t, s.Client().Sys().PutPolicy("scrape", rules))
	secret, err := s.Client().Auth().Token().Create(&api.TokenCreateRequest{Policies: []string{"scrape"}, NoDefaultPolicy: true})
	require.NoError(t, err)
	return secret.Auth.ClientToken
}

// fires waits until an alert of a mount fires, and returns what it says.
func (w watch) fires(t *testing.T, alert, mount string) (description string) {
	t.Helper()
	harness.Eventually(t, alertAfter, func() error {
		found := w.of(t, alert, mount)
		if len(found) == 0 {
			return fmt.Errorf("%s of %s does not fire; firing: %v", alert, mount, w.names(t))
		}
		require.Len(t, found, 1, "two targets of one node are one alert")
		description = found[0].Annotations["description"]
		return nil
	})
	require.NotContains(t, description, "error expanding template")
	return description
}

// ends waits until an alert of a mount does not fire any more.
func (w watch) ends(t *testing.T, alert, mount string) {
	t.Helper()
	harness.Eventually(t, alertAfter, func() error {
		if found := w.of(t, alert, mount); len(found) > 0 {
			return fmt.Errorf("%s of %s still fires: %v", alert, mount, found)
		}
		return nil
	})
}

func (w watch) of(t *testing.T, alert, mount string) (found []harness.Firing) {
	t.Helper()
	for _, a := range w.Firing(t) {
		if a.Labels["alertname"] == alert && a.Labels["mount"] == mount {
			found = append(found, a)
		}
	}
	return found
}

func (w watch) names(t *testing.T) (names []string) {
	t.Helper()
	for _, a := range w.Firing(t) {
		names = append(names, a.Labels["alertname"]+" "+a.Labels["mount"])
	}
	return names
}
