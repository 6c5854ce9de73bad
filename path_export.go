// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fExportKind    = vaultapi.Text("type", "What to export: "+strings.Join(engine.ExportKinds(), ", ")+".")
	fExportVersion = vaultapi.Text("version", "Number of the version, which may have a v before it, or latest. Absent: all from min_decryption_version on.")
	fFormat        = vaultapi.Text("format", "raw (base64 of the bytes of symmetric, Ed25519 and ML-DSA keys), der (base64 of PKCS#8 and PKIX), pem (of the same) or jwk (a JSON object, RFC 7517). Empty: as in Transit.").Query()

	fExportedType = vaultapi.Text("type", "Type of the key.")
	fExported     = vaultapi.Object("keys", "By version: what was asked for. A text, with format=jwk an object; empty where the version has no private half.").Secret()
	exportFields  = vaultapi.FieldsOf(fName, fExportedType, fExported)
)

// exportAPI serves what leaves the mount in the clear.
type exportAPI struct{}

func (a exportAPI) paths() []path {
	return []path{{
		Pattern: "export/" + framework.GenericNameRegex(fExportKind.Name) + "/" + named + framework.OptionalParamRegex(fExportVersion.Name),
		ID:      vaultapi.ID{Verb: "export", Suffix: "key|key-version"},
		Fields:  vaultapi.FieldsOf(fExportKind, fName, fExportVersion, fFormat, fReason),
		Operations: operations{logical.ReadOperation: {
			Handle: a.export, Summary: "Export material of versions in the clear, or their public halves.", Answer: "What was asked for, by version.",
			Fields: exportFields,
		}},
		Synopsis: "Export a key.",
		Description: "Material leaves where the key is exportable, its policy allows exportable keys, and the version may decrypt or verify. " +
			"Custody keeps that it left, and which: it leaves after the record is written. Public halves and certificate chains are no secret.",
	}}
}

func (a exportAPI) export(ctx context.Context, c *request) (*logical.Response, error) {
	encoding, err := envelope.ParseEncoding(fFormat.Get(c))
	if err != nil {
		return nil, err
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	out, err := c.Transfers().Export(ctx, fName.Get(c), engine.Exporting{
		Kind: engine.ExportKind(fExportKind.Get(c)), Version: fExportVersion.Get(c), Encoding: encoding, Reason: pre.Reason,
	})
	if err != nil {
		return nil, err
	}
	values := make(map[string]any, len(out.Values))
	for n, value := range out.Values {
		values[strconv.Itoa(n)] = value
	}
	return vaultapi.Data(fName.Is(out.Key.Name), fExportedType.Is(string(lifecycle.TypesOf(&out.Key).Active())), fExported.Is(values)), nil
}
