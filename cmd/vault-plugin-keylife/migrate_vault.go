// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/internal/migrate"
)

// vaultClient is a client of the Vault that the environment names, as the Vault CLI has it.
func vaultClient() (*api.Client, error) {
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, config.Error
	}
	config.CheckRetry = mayRetry
	client, err := api.NewClient(config)
	if err != nil {
		return nil, err
	}
	if client.Token() == "" {
		client.SetToken(tokenOfCLI())
	}
	if client.Token() == "" {
		return nil, errors.New("no token: set VAULT_TOKEN, or log in with vault login")
	}
	return client, nil
}

// mayRetry sends a request again that was not done, or was not answered. Transit's 500 is an answer: it means no.
func mayRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if resp != nil && resp.StatusCode == http.StatusInternalServerError {
		return false, nil
	}
	return api.DefaultRetryPolicy(ctx, resp, err)
}

// tokenOfCLI is the token that vault login has left.
func tokenOfCLI() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(home, ".vault-token")) //nolint:gosec // it is the CLI's own place
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// mount is an engine behind a Vault.
type mount struct {
	client *api.Client
	path   string
}

// Send is [migrate.Mount]'s.
func (m mount) Send(ctx context.Context, r migrate.Request) (reply migrate.Reply, err error) {
	request := m.client.NewRequest(http.MethodGet, "/v1/"+m.path+"/"+r.Path)
	switch r.Operation {
	case migrate.Write:
		request.Method = http.MethodPost
		if err := request.SetJSONBody(r.Data); err != nil {
			return reply, err
		}
	default:
		for name, value := range r.Data {
			request.Params.Set(name, fmt.Sprint(value))
		}
		if r.Operation == migrate.List {
			request.Params.Set("list", "true")
		}
	}
	// The methods that replace this one leave out the results of a batch that was refused.
	response, err := m.client.RawRequestWithContext(ctx, request) //nolint:staticcheck // see above
	if response == nil {
		return reply, err
	}
	defer func() { _ = response.Body.Close() }() // was read
	var body struct {
		Data   json.RawMessage `json:"data"`
		Errors []string        `json:"errors"`
	}
	reply.Status = response.StatusCode
	if reply.Status != http.StatusNoContent {
		if wrong := json.NewDecoder(response.Body).Decode(&body); wrong != nil && err == nil {
			return reply, errors.New("the answer is not that of Vault")
		}
	}
	reply.Data, reply.Errors = body.Data, body.Errors
	return reply, nil
}
