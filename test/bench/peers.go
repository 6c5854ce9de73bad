// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/test/bench/load"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// peer is an engine with the paths of Transit, on a mount of its own in the one server.
type peer struct {
	name   string   // of its mount, and of the plugin
	title  string   // as in "1.4 × the no-op plugin"
	binary string   // the variable that names its executable, or its path; "": it is Vault's own Transit
	env    []string // what the plugin is registered with for its environment, as NAME=value
}

// peers are all engines that are known by name.
var peers = []peer{
	{name: "keylife", title: "keylife", binary: "KEYLIFE_PLUGIN"},
	{name: "noop", title: "the no-op plugin", binary: "BENCH_NOOP"},
	{name: "transit-plugin", title: "Transit as a plugin", binary: "BENCH_TRANSIT"},
	{name: "builtin", title: "built-in Transit"},
}

// chosenPeers reads a list of names. One of the form name=path is a plugin that is at hand, such as another build of keylife.
func chosenPeers(list string) (chosen []peer, err error) {
	for name := range strings.SplitSeq(list, ",") {
		name, path, given := strings.Cut(name, "=")
		at := slices.IndexFunc(peers, func(p peer) bool { return p.name == name })
		switch {
		case given && name != "" && filepath.IsAbs(path):
			chosen = append(chosen, peer{name: name, title: name, binary: path})
		case !given && at >= 0:
			chosen = append(chosen, peers[at])
		default:
			return nil, fmt.Errorf("peer %q is none of %s, nor NAME=/PATH", name, strings.Join(each(peers, func(p peer) string { return p.name }), ", "))
		}
	}
	return chosen, nil
}

// each is what f says of all of them, in their order.
func each[T, R any](all []T, f func(T) R) []R {
	said := make([]R, len(all))
	for i, one := range all {
		said[i] = f(one)
	}
	return said
}

// path is where the executable lies.
func (p peer) path() (string, error) {
	if filepath.IsAbs(p.binary) {
		return p.binary, nil
	}
	if path := os.Getenv(p.binary); filepath.IsAbs(path) {
		return path, nil
	}
	return "", fmt.Errorf("%s is not the absolute path of an executable: scripts/bench.sh builds all", p.binary)
}

// mounted is a peer that serves.
type mounted struct {
	peer
	server  *harness.Server
	process int // of the plugin; 0: it runs in the server
}

// start runs a server with all peers, each with a key of every kind. The caller closes it, also where there is an error.
func start(dir string, chosen []peer) (*harness.Server, []mounted, error) {
	server, err := harness.Launch(dir, harness.Options{LogLevel: "warn"})
	if err != nil {
		return server, nil, err
	}
	var all []mounted
	for _, p := range chosen {
		m, err := p.mount(server)
		if err != nil {
			return server, nil, fmt.Errorf("peer %s: %w", p.name, err)
		}
		all = append(all, m)
	}
	return server, all, nil
}

func (p peer) mount(server *harness.Server) (m mounted, err error) {
	m = mounted{peer: p, server: server}
	kind := "transit"
	if p.binary != "" {
		kind = p.name
		path, err := p.path()
		if err != nil {
			return m, err
		}
		if err := server.Register(harness.Plugin{Name: p.name, Binary: path, Env: p.env}); err != nil {
			return m, err
		}
	}
	if err := server.Enable(p.name, kind); err != nil {
		return m, err
	}
	for key, of := range keys {
		if _, err := m.ask("keys/"+key, map[string]any{"type": of}); err != nil {
			return m, err
		}
	}
	if p.binary != "" {
		m.process, err = server.PluginPID(p.name)
	}
	return m, err
}

// ask writes to a path of the mount and returns the data of the answer. What is no success is an error.
func (m mounted) ask(path string, body any) (map[string]any, error) {
	reply, err := m.server.Send(harness.Request{Method: http.MethodPut, Path: m.name + "/" + path, Body: body})
	if err == nil && reply.Status > 299 {
		err = fmt.Errorf("%s answers %d: %v", path, reply.Status, reply.Body["errors"])
	}
	return reply.Data(), err
}

// request makes the bytes of a request to the mount.
func (m mounted) request(path string, body []byte) load.Request {
	return load.NewRequest(http.MethodPut, host(m.server), "/v1/"+m.name+"/"+path, m.server.Client().Token(), body)
}

// host is the address of a server without its scheme.
func host(s *harness.Server) string { return strings.TrimPrefix(s.Address(), "http://") }
