// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/hsm/hsmtest"
	"github.com/keylife/vault-plugin-keylife/test/chaos/fault"
	"github.com/keylife/vault-plugin-keylife/test/chaos/link"
	"github.com/keylife/vault-plugin-keylife/test/chaos/work"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

const nodes = 3

// Field is a cluster that many seeds are played on, each with a mount of its own.
type Field struct {
	Cluster *harness.Cluster
	Network *link.Network

	people *work.People
	token  map[string]any // what config/hsm takes; nil: there is no token
}

// NewField starts a cluster whose plugins' time can be moved and whose nodes reach each other through proxies. With a token, the plugin
// is the one that speaks PKCS#11, and the nodes share a token of SoftHSM.
func NewField(t testing.TB, token bool) *Field {
	t.Helper()
	o := &origins{}
	f := &Field{Network: link.New(o.of)}
	t.Cleanup(f.Network.Close)
	options := harness.Options{Clock: true, Between: func(folder, listens string) (string, error) { return f.Network.Join(o.add(folder), listens) }}
	if token {
		f.share(t, hsmtest.SoftHSMElsewhere(t), &options)
	}
	f.Cluster = harness.StartCluster(t, nodes, options)
	require.Len(t, f.Cluster.Nodes, nodes)
	return f
}

// share has the nodes use a token.
func (f *Field) share(t testing.TB, token hsmtest.Fixture, o *harness.Options) {
	t.Helper()
	o.PKCS11 = true
	o.Env = append([]string{"KEYLIFE_PKCS11_LIBS=softhsm=" + token.Library, "KEYLIFE_PIN_DIR=" + t.TempDir()}, token.Environment...)
	f.token = map[string]any{"library": "softhsm", "token_label": token.Label, "pin": token.PIN}
}

// origins knows which node a connection comes from: by the folder in the command line of the process that has it.
type origins struct {
	mu      sync.Mutex
	folders []string // of the nodes in order of their start
}

// add takes down the node of a folder, and returns its name.
func (o *origins) add(folder string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.folders = append(o.folders, folder)
	return fault.NodeName(len(o.folders) - 1)
}

func (o *origins) of(from net.Conn) string {
	command := link.CommandOf(from)
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, folder := range o.folders {
		if strings.Contains(command, folder+string(filepath.Separator)) {
			return fault.NodeName(i)
		}
	}
	return ""
}
