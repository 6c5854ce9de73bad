// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package harness

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
)

// PluginName is the name the plugin is registered under, and its file name in the plugin directory.
const PluginName = "keylife"

const configTemplate = `
ui                   = false
disable_mlock        = true
disable_cache        = %[6]t
raw_storage_endpoint = true
log_level            = %[1]q
default_max_request_duration = "%[7]s"
plugin_directory     = %[2]q
api_addr             = "http://%[3]s"
cluster_addr         = "http://%[10]s"

storage "raft" {
  path                   = %[5]q
  node_id                = "acceptance%[8]s"
  performance_multiplier = 1
%[9]s}

listener "tcp" {
  address         = %[3]q
  cluster_address = %[4]q
  tls_disable     = true
}
`

// joining has a node that has joined noticed within a second.
const joining = `
  autopilot_reconcile_interval = "1s"
  autopilot_update_interval    = "500ms"
`

const tlsListener = `
listener "tcp" {
  address                            = %[1]q
  cluster_address                    = %[2]q
  tls_cert_file                      = %[3]q
  tls_key_file                       = %[4]q
  tls_client_ca_file                 = %[5]q
  tls_require_and_verify_client_cert = true
}
`

// files are the places one server reads and writes.
type files struct {
	config, log, data, plugins, clock string
}

func layOut(dir string) (files, error) {
	f := files{
		config:  filepath.Join(dir, "vault.hcl"),
		log:     filepath.Join(dir, "vault.log"),
		data:    filepath.Join(dir, "raft"),
		plugins: filepath.Join(dir, "plugins"),
		clock:   filepath.Join(dir, "clock"),
	}
	for _, d := range []string{f.data, f.plugins} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return f, err
		}
	}
	return f, nil
}

// writeConfig takes an address and one of the cluster for each of the two listeners.
func (f files) writeConfig(o Options, addresses []string) error {
	node, raft, reached := "", "", addresses[1]
	if o.member > 0 {
		node, raft = fmt.Sprintf("-%d", o.member), joining
	}
	if o.Between != nil {
		var err error
		if reached, err = o.Between(filepath.Dir(f.config), addresses[1]); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(configTemplate, o.LogLevel, f.plugins, addresses[0], addresses[1], f.data, o.Uncached, requestTimeout, node, raft, reached)
	if o.TLS != nil {
		text += fmt.Sprintf(tlsListener, addresses[2], addresses[3], o.TLS.Certificate, o.TLS.Key, o.TLS.ClientCA)
	}
	return os.WriteFile(f.config, []byte(text+o.Seal), 0o600)
}

// binary reads the path of an executable from an environment variable; the error says which command makes it.
func binary(variable, remedy string) (string, error) {
	path := os.Getenv(variable)
	if path == "" {
		return "", fmt.Errorf("%s is not set: run the acceptance tests with `make test`, or %s", variable, remedy)
	}
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("%s=%q is not an absolute path", variable, path)
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s: %w: %s", variable, err, remedy)
	}
	return path, nil
}

// installPlugin copies the plugin under a name, because Vault refuses a symbolic link, and returns the SHA-256 to register.
func (f files) installPlugin(from, name string) (string, error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(f.plugins, name), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, sum), in); err != nil {
		_ = out.Close()
		return "", fmt.Errorf("copy plugin: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), out.Close()
}

// freeAddresses finds n loopback addresses. All are held until the last is found, so that they differ.
func freeAddresses(n int) ([]string, error) {
	found := make([]string, n)
	for i := range found {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		found[i] = l.Addr().String()
	}
	return found, nil
}
