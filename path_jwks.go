// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// publicJWKS is where anybody may ask, without a token. Which keys are answered is a setting: Vault takes the list of such paths
// from a mount once, and cannot know its keys.
const publicJWKS = "jwks/"

var fJWKs = vaultapi.List("keys", "The public keys, RFC 7517: kty, use, kid, key_version, alg, and crv, x and y, or n and e, or pub.")

// jwksAPI serves the public halves of keys as JSON Web Key Sets.
type jwksAPI struct{}

func (a jwksAPI) paths() []path {
	const about = "The public keys with which signatures of the key are verified: of the staged version, so that verifiers know it before it signs, of the " +
		"active one and of those before it. The kid of a key is its thumbprint by RFC 7638 with SHA-256. Versions that are suspended, archived, " +
		"compromised, retired or destroyed are left out."
	return []path{
		{
			Pattern: "keys/" + named + "/jwks", ID: vaultapi.ID{Suffix: "key-jwks"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fName),
			Operations: operations{logical.ReadOperation: {
				Handle: a.read, Summary: "Read the public keys of a key as a JSON Web Key Set.", Answer: "The public keys, the newest first.", Fields: vaultapi.FieldsOf(fJWKs),
			}},
			Synopsis:    "The public keys of a key as a JSON Web Key Set.",
			Description: about,
		},
		{
			Pattern: publicJWKS + named, ID: vaultapi.ID{Suffix: "public-jwks"}, Mode: vaultapi.Strict,
			Fields: vaultapi.FieldsOf(fName),
			Operations: operations{logical.ReadOperation: {
				Handle: a.readPublic, Summary: "Read the public keys of a key as a JSON Web Key Set, without a token.",
				Answer: "The set itself, as application/jwk-set+json.", Fields: vaultapi.FieldsOf(fJWKs),
			}},
			Synopsis:    "The public keys of a key as a JSON Web Key Set, for anybody.",
			Description: about + " Only the keys that public_jwks in config/keys names are answered; for all others it is 404, whether they exist or not.",
		},
	}
}

func (jwksAPI) read(ctx context.Context, c *request) (*logical.Response, error) {
	keys, err := c.PublicHalves().JWKS(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	set := make([]any, len(keys))
	for i, key := range keys {
		set[i] = key
	}
	return vaultapi.Data(fJWKs.Is(set)), nil
}

func (jwksAPI) readPublic(ctx context.Context, c *request) (*logical.Response, error) {
	keys, err := c.PublicHalves().PublicJWKS(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string][]engine.PublishedKey{fJWKs.Name: keys})
	if err != nil {
		return nil, err
	}
	return &logical.Response{Data: map[string]any{
		logical.HTTPStatusCode: http.StatusOK, logical.HTTPContentType: "application/jwk-set+json", logical.HTTPRawBody: string(body),
	}}, nil
}
