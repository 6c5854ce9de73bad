// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

const (
	prefix    = "vault:v1:"
	signature = prefix + "MEUCIQDQ0c5cW0b1yJ5x0m9J0cXl2Jm0y3m6w6mJr0m2n0q1FAIgUe8h5Yk1w0c9b4x3v2u1t0s9r8q7p6o5n4m3l2k1j0g="
	dataKey   = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
)

func factory(ctx context.Context, config *logical.BackendConfig) (logical.Backend, error) {
	b := &framework.Backend{
		BackendType: logical.TypeLogical,
		Paths: []*framework.Path{
			path("encrypt/"+framework.GenericNameRegex("name"), echo(encrypted)),
			path("decrypt/"+framework.GenericNameRegex("name"), echo(decrypted)),
			path("sign/"+framework.GenericNameRegex("name"), constant(map[string]any{"signature": signature, "key_version": 1})),
			path("verify/"+framework.GenericNameRegex("name"), constant(map[string]any{"valid": true})),
			path("datakey/plaintext/"+framework.GenericNameRegex("name"), constant(map[string]any{
				"ciphertext": prefix + dataKey, "plaintext": dataKey, "key_version": 1,
			})),
			path("keys/"+framework.GenericNameRegex("name"), constant(map[string]any{})),
		},
	}
	return b, b.Setup(ctx, config)
}

// path answers a write. As Transit's, it can be told from one that creates: Vault asks the plugin first whether the key exists.
func path(pattern string, answer framework.OperationFunc) *framework.Path {
	handler := &framework.PathOperation{Callback: answer}
	return &framework.Path{
		Pattern: pattern,
		Fields: map[string]*framework.FieldSchema{
			"name":        {Type: framework.TypeString},
			"plaintext":   {Type: framework.TypeString},
			"ciphertext":  {Type: framework.TypeString},
			"batch_input": {Type: framework.TypeSlice},
		},
		Operations:     map[logical.Operation]framework.OperationHandler{logical.CreateOperation: handler, logical.UpdateOperation: handler},
		ExistenceCheck: func(context.Context, *logical.Request, *framework.FieldData) (bool, error) { return true, nil },
	}
}

func constant(data map[string]any) framework.OperationFunc {
	return func(context.Context, *logical.Request, *framework.FieldData) (*logical.Response, error) {
		return &logical.Response{Data: data}, nil
	}
}

// result is an item of an answer to a batch, with the members of Transit's.
type result struct {
	Ciphertext string `json:"ciphertext,omitempty"`
	Plaintext  string `json:"plaintext,omitempty"`
	KeyVersion int    `json:"key_version,omitempty"`
}

func encrypted(in map[string]any) result {
	plaintext, _ := in["plaintext"].(string)
	return result{Ciphertext: prefix + plaintext, KeyVersion: 1}
}

func decrypted(in map[string]any) result {
	ciphertext, _ := in["ciphertext"].(string)
	return result{Plaintext: strings.TrimPrefix(ciphertext, prefix)}
}

// echo answers one item, or a batch of them.
func echo(one func(map[string]any) result) framework.OperationFunc {
	return func(_ context.Context, req *logical.Request, _ *framework.FieldData) (*logical.Response, error) {
		items, batch := req.Data["batch_input"].([]any)
		if !batch {
			return &logical.Response{Data: one(req.Data).data()}, nil
		}
		results := make([]result, len(items))
		for i, item := range items {
			fields, _ := item.(map[string]any)
			results[i] = one(fields)
		}
		return &logical.Response{Data: map[string]any{"batch_results": results}}, nil
	}
}

func (r result) data() map[string]any {
	if r.Plaintext != "" {
		return map[string]any{"plaintext": r.Plaintext}
	}
	return map[string]any{"ciphertext": r.Ciphertext, "key_version": r.KeyVersion}
}
