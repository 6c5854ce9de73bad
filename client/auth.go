// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
)

// Certificate logs in with the client certificate of the connection (see [CertificateFiles]), at auth/cert. An empty role lets
// Vault choose one that fits.
func Certificate(role string) api.AuthMethod { return certificate{role} }

type certificate struct{ role string }

func (a certificate) Login(ctx context.Context, c *api.Client) (*api.Secret, error) {
	body := map[string]any{}
	if a.role != "" {
		body["name"] = a.role
	}
	return c.Logical().WriteWithContext(ctx, "auth/cert/login", body)
}

// TokenFile takes the token that another program keeps in a file, as Vault Agent does in its sink. The file is read anew at
// each login, also when Vault refuses the token or it is about to end.
func TokenFile(path string) api.AuthMethod { return tokenFile{path} }

type tokenFile struct{ path string }

func (a tokenFile) Login(ctx context.Context, c *api.Client) (*api.Secret, error) {
	text, err := os.ReadFile(a.path)
	if err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return nil, fmt.Errorf("token file %s: it is empty", a.path)
	}
	return engine.Lookup(ctx, c, token)
}
