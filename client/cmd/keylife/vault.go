// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/vault/api"
	"github.com/hashicorp/vault/api/auth/approle"
	"github.com/hashicorp/vault/api/cliconfig"

	"github.com/keylife/vault-plugin-keylife/client"
)

// key is what commands do with a key of the engine: a [client.Key].
type key interface {
	Encrypt(ctx context.Context, plaintext []byte, c client.Context) ([]byte, error)
	EncryptText(ctx context.Context, plaintext []byte, c client.Context) (string, error)
	Decrypt(ctx context.Context, message []byte, c client.Context) ([]byte, error)
	EncryptStream(ctx context.Context, w io.Writer, c client.Context) (io.WriteCloser, error)
	DecryptStream(ctx context.Context, r io.Reader, c client.Context) (io.Reader, error)
	Rewrap(ctx context.Context, messages [][]byte) ([][]byte, error)
}

var _ key = (*client.Key)(nil)

// session is the engine that a command works with.
type session struct {
	key key
	// remote encrypts in Vault: what bench compares with.
	remote func(ctx context.Context, plaintext []byte) error
	close  func() error
}

// vaultFlags say where the key is and how to log in.
type vaultFlags struct {
	mount, key           string
	roleID, secretIDFile string
	authMount            string
}

func (v *vaultFlags) register(flags *flag.FlagSet) {
	flags.StringVar(&v.key, "key", "", "`name` of the key; required")
	flags.StringVar(&v.mount, "mount", "keylife", "`path` where the engine is mounted; a Transit engine does too")
	flags.StringVar(&v.roleID, "role-id", "", "log in by AppRole with this role `ID`, and not with a token")
	flags.StringVar(&v.secretIDFile, "secret-id-file", "", "`file` with the secret ID of -role-id")
	flags.StringVar(&v.authMount, "auth-mount", "approle", "`path` where the AppRole method is mounted")
}

func (v *vaultFlags) check() error {
	switch {
	case v.key == "":
		return usagef("-key is required")
	case (v.roleID == "") != (v.secretIDFile == ""):
		return usagef("-role-id and -secret-id-file go together")
	}
	return nil
}

// open is the session of the flags.
func (a *app) open(v vaultFlags) (session, error) {
	if err := v.check(); err != nil {
		return session{}, err
	}
	return a.connect(v)
}

// connect asks nobody: the first use does.
func connect(v vaultFlags) (session, error) {
	vault, err := api.NewClient(nil) // reads VAULT_*
	if err != nil {
		return session{}, fmt.Errorf("settings of Vault: %w", err)
	}
	auth, err := v.auth(vault)
	if err != nil {
		return session{}, err
	}
	kl, err := client.New(client.Config{Vault: vault, Auth: auth, Mount: v.mount, Consumer: "keylife-command"})
	if err != nil {
		return session{}, err
	}
	return session{key: kl.Key(v.key), close: kl.Close, remote: remote(vault, v)}, nil
}

// auth is nil where a token is used as it is, which vault has then.
func (v *vaultFlags) auth(vault *api.Client) (api.AuthMethod, error) {
	if v.roleID != "" {
		return approle.NewAppRoleAuth(v.roleID, &approle.SecretID{FromFile: v.secretIDFile}, approle.WithMountPath(v.authMount))
	}
	return nil, useToken(vault, ", or give -role-id and -secret-id-file")
}

// useToken gives the client the token of VAULT_TOKEN, which it has already, or that of the last login. Otherwise is what else
// people could do where there is none.
func useToken(vault *api.Client, otherwise string) error {
	if vault.Token() != "" {
		return nil
	}
	helper, err := cliconfig.DefaultTokenHelper()
	if err != nil {
		return fmt.Errorf("token of Vault's command: %w", err)
	}
	token, err := helper.Get()
	if err != nil {
		return fmt.Errorf("token of Vault's command: %w", err)
	}
	if token == "" {
		return usagef("no token: set VAULT_TOKEN or run vault login%s", otherwise)
	}
	vault.SetToken(token)
	return nil
}

// contextFlag collects name=value, once or more.
type contextFlag client.Context

func (c contextFlag) String() string { return "" }

func (c contextFlag) Set(pair string) error {
	name, value, ok := strings.Cut(pair, "=")
	if !ok || name == "" {
		return fmt.Errorf("want name=value")
	}
	if _, twice := c[name]; twice {
		return fmt.Errorf("%s is given twice", name)
	}
	c[name] = value
	return nil
}

func registerContext(flags *flag.FlagSet) client.Context {
	c := client.Context{}
	flags.Var(contextFlag(c), "context", "`name=value` that the message is bound to and does not hold; may be repeated")
	return c
}
