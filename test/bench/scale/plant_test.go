// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package scale_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/mounttest"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// plant enables a mount, of a plugin under a name, that has stored what another had: the plugin has to be reloaded then.
func plant(t testing.TB, s *harness.Server, mount, plugin string, stored map[string][]byte) {
	t.Helper()
	s.Mount(t, mount, plugin)
	prefix := "sys/raw/logical/" + s.MountUUID(t, mount) + "/"
	type entry struct {
		path  string
		value []byte
	}
	entries := make(chan entry)
	const clients = 32
	failed := make([]error, clients)
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			for e := range entries {
				failed[i] = errors.Join(failed[i], put(s, prefix+e.path, e.value))
			}
		})
	}
	for path, value := range stored {
		entries <- entry{path, value}
	}
	close(entries)
	all.Wait()
	require.NoError(t, errors.Join(failed...))
}

func put(s *harness.Server, path string, value []byte) error {
	reply, err := s.Send(harness.Request{Method: http.MethodPut, Path: path, Body: map[string]any{"value": base64.StdEncoding.EncodeToString(value), "encoding": "base64"}})
	if err == nil && reply.Status >= 300 {
		err = fmt.Errorf("%s: %d %v", path, reply.Status, reply.Body)
	}
	return err
}

// copied is what a mount has stored that has the key "k", and so many more that are as it is. They have no custody, and but for
// the first usable ones no version: neither is looked at by what is measured.
func copied(m *mounttest.Mount, keys, usable int) map[string][]byte {
	m.T.Helper()
	all := m.Storage.All()
	for path, value := range all {
		before, isDue := strings.CutSuffix(path, "/k")
		isDue = isDue && strings.HasPrefix(path, "schedule/")
		for i := range keys {
			switch {
			case path == "keys/k":
				all["keys/"+nameOf(i)] = value
			case isDue:
				all[before+"/"+nameOf(i)] = value
			case path == "versions/k/1" && i < usable:
				all["versions/"+nameOf(i)+"/1"] = value
			}
		}
	}
	return all
}

func nameOf(i int) string { return fmt.Sprintf("k-%06d", i) }
