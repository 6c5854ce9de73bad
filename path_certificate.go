// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fRequest          = vaultapi.Text("csr", "A certificate request, PEM: the request that is answered has its subject and extensions. Its own key is of no account.")
	fChain            = vaultapi.Text("certificate_chain", "The certificate of the version and those that vouch for it, PEM, the leaf first.")
	fChainSet         = vaultapi.Text("certificate-chain", "The certificate chain of the version, PEM.")
	fVersionOrNewest  = vaultapi.Int("version", "Number of the version. 0: the newest one.")
	fVersionOrActive  = vaultapi.Int("version", "Number of the version. 0: the active one.")
	requestFields     = vaultapi.FieldsOf(fName, fType, fRequest)
	certificateFields = vaultapi.FieldsOf(fName, fType, fChainSet)
)

// certificateAPI serves certificates of keys that sign.
type certificateAPI struct{}

func (a certificateAPI) paths() []path {
	return []path{
		{
			Pattern: "keys/" + named + "/csr", ID: vaultapi.ID{Verb: "generate", Suffix: "csr-for-key"}, Fields: vaultapi.FieldsOf(fName, fVersionOrActive, fRequest),
			Operations: operations{logical.UpdateOperation: {
				Handle: a.request, Summary: "Make a certificate request for a version of a key.", Answer: "The request.", Fields: requestFields,
			}},
			Synopsis:    "A certificate request for a key.",
			Description: "The request is signed with the version, which is a use of the key as a signature is. Keys of types that sign have one, but derived ones.",
		},
		{
			Pattern: "keys/" + named + "/set-certificate", ID: vaultapi.ID{Verb: "set-certificate", Suffix: "for-key"},
			Fields: vaultapi.FieldsOf(fName, fVersionOrNewest, fChain, fCAS, fReason),
			Operations: operations{logical.UpdateOperation: {
				Handle: a.set, Summary: "Give a version of a key its certificate.", Answer: "The certificate.", Fields: certificateFields,
			}},
			Synopsis:    "The certificate of a key.",
			Description: "The leaf has to be a certificate of the version's public half. The view of the key shows the chain. Nothing else depends on it, and it is not verified.",
		},
	}
}

func (a certificateAPI) request(ctx context.Context, c *request) (*logical.Response, error) {
	k, err := c.Data().Key(ctx, fName.Get(c))
	if err != nil {
		return nil, err
	}
	text, err := dataplane.CertificateRequest(ctx, c.Data(), k.Name, fVersionOrActive.Get(c), fRequest.Get(c))
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fName.Is(k.Name), fType.Is(string(lifecycle.TypesOf(k).Named(fVersionOrActive.Get(c)))), fRequest.Is(text)), nil
}

func (a certificateAPI) set(ctx context.Context, c *request) (*logical.Response, error) {
	chain, err := envelope.ParseChain(fChain.Get(c))
	if err != nil {
		return nil, err
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	k, err := c.Versions().SetCertificate(ctx, fName.Get(c), fVersionOrNewest.Get(c), chain, pre)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fName.Is(k.Name), fType.Is(string(lifecycle.TypesOf(&k).Of(cmp.Or(fVersionOrNewest.Get(c), k.Latest)))), fChainSet.Is(envelope.FormatChain(chain.DER)+"\n")), nil
}
