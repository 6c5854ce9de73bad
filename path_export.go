// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
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

var (
	fBackup = vaultapi.Text("backup", "The backup: base64 of JSON, with the material of all versions in the clear.").Secret()
	fForce  = vaultapi.Bool("force", "Restore also where a key of the name exists: it is deleted first, with all its versions. Not under a policy or a legal hold.")
)

// backupAPI serves backups of keys, and keys of backups.
type backupAPI struct{}

func (a backupAPI) paths() []path {
	return []path{
		{
			Pattern: "backup/" + named, ID: vaultapi.ID{Verb: "back-up", Suffix: "key"},
			Fields: vaultapi.FieldsOf(fName, fReason),
			Operations: operations{logical.ReadOperation: {
				Handle: a.backup, Summary: "Back up a key with the material of all its versions, in the clear.", Answer: "The backup.",
				Fields: vaultapi.FieldsOf(fBackup),
			}},
			Synopsis: "Back up a key.",
			Description: "The key has to be exportable and to have allow_plaintext_backup, and its policy has to allow both. The backup is Transit's: " +
				"either engine restores it. Custody keeps that it was made, before it leaves.",
		},
		{
			Pattern: "restore" + framework.OptionalParamRegex(fName.Name), ID: vaultapi.ID{Verb: "restore", Suffix: "backup|backup-and-rename-key"},
			Fields: vaultapi.FieldsOf(fName, fBackup, fForce, fPolicy, fReason),
			Operations: operations{logical.UpdateOperation: {
				Handle: a.restore, Summary: "Restore a key from a backup of Transit or keylife.", Answer: "The key is there.",
			}},
			Synopsis: "Restore a key.",
			Description: "The key gets the name in the path, else that of the backup. It comes under policy, else under the policy that the backup names, " +
				"else under the mount's default. Old ciphertexts open.",
		},
	}
}

func (a backupAPI) backup(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	text, err := c.Transfers().Backup(ctx, fName.Get(c), pre.Reason)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fBackup.Is(text)), nil
}

func (a backupAPI) restore(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	in := engine.Restoring{
		Backup: fBackup.Get(c), Name: fName.Get(c), CheckName: checkName, Policy: fPolicy.LookupNonNull(c), Force: fForce.Get(c), Reason: pre.Reason,
	}
	if in.Backup == "" {
		return nil, refusal.Invalidf("'backup' must be supplied")
	}
	if in.Name != "" {
		if err := checkName(in.Name); err != nil {
			return nil, err
		}
	}
	return nil, c.Transfers().Restore(ctx, in)
}

var wholeName = regexp.MustCompile("^" + named + "$")

// checkName refuses a name that no path leads to.
func checkName(name string) error {
	switch {
	case strings.Contains(name, "/"): // as in Transit
		return refusal.AsFault(refusal.Invalidf("key names cannot be paths: %.64q", name))
	case !wholeName.MatchString(name), strings.Contains(name, ".."), len(name) > maxName:
		return refusal.InvalidField(fName.Name, name, "must begin and end with a letter, a digit or _; inside, - and . are allowed, but not ..; at most 1024 bytes")
	}
	return nil
}
