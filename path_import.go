// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"context"
	"strconv"
	"time"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/keytype"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
	"github.com/keylife/vault-plugin-keylife/internal/refusal"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fWrappingKey    = vaultapi.Text("public_key", "The public half of the wrapping key, PEM: RSA with 4096 bits.")
	fHashFunction   = vaultapi.Text("hash_function", "Hash of RSA-OAEP, with which the ciphertext was wrapped: SHA1, SHA224, SHA256, SHA384 or SHA512.").Or("SHA256")
	fExportHash     = vaultapi.Text("hash", "Hash of RSA-OAEP, to wrap with: SHA1, SHA224, SHA256, SHA384 or SHA512.").Or("SHA256")
	fWrapped        = vaultapi.Text("ciphertext", "Base64 of the key to import, wrapped with the wrapping key of the mount.").Secret()
	fPublicKey      = vaultapi.Text("public_key", "The public half to import, PEM, where the private one stays elsewhere. Not together with ciphertext.")
	fAllowRotation  = vaultapi.Bool("allow_rotation", "The key may get versions that are made here. Otherwise it gets only those that are imported.")
	fNoConvergent   = vaultapi.Bool("convergent_encryption", "Is refused: a key to import cannot be convergent.")
	fImportVersion  = vaultapi.Int("version", "Number of a version without a private half, which this is. 0: a new version, or the newest one if it lacks this very private half.")
	fDestination    = vaultapi.Text("destination", "Name of the RSA key to wrap for: as a rule the wrapping key of another mount, imported as a public key.")
	fByokSource     = vaultapi.Text("source", "Name of the key to export. It has to be exportable.")
	fByokVersion    = vaultapi.Text("version", "Number of the version to export, which may have a v before it, or latest. Empty: all from min_decryption_version on.")
	fExportedKeys   = vaultapi.Pairs("keys", "Version to the version's key: base64, wrapped for the destination.")
	byokExportNames = vaultapi.FieldsOf(fName, fType, fExportedKeys)
)

// importAPI serves keys that come from elsewhere, and that leave wrapped.
type importAPI struct{}

func (a importAPI) paths() []path {
	return []path{
		a.wrappingKey(), a.importKey(), a.importVersion(),
		a.byokExport("", "wrapped-key"), a.byokExport("/"+framework.GenericNameRegex(fByokVersion.Name), "wrapped-key-version", fByokVersion),
	}
}

func (a importAPI) wrappingKey() path {
	return path{
		Pattern: "wrapping_key", ID: vaultapi.ID{Suffix: "wrapping-key"}, Fields: vaultapi.FieldsOf(),
		Operations: operations{logical.ReadOperation: {
			Handle: a.readWrappingKey, ID: vaultapi.ID{Verb: "read"}, Summary: "Read the public key that keys to import are wrapped with.",
			Answer: "The public key.", Fields: vaultapi.FieldsOf(fWrappingKey),
		}},
		Synopsis:    "The key that keys to import are wrapped with.",
		Description: "The first read makes it. It does not rotate, and its private half never leaves the mount.",
	}
}

func (a importAPI) importKey() path {
	return path{
		Pattern: "keys/" + named + "/import", ID: vaultapi.ID{Verb: "import", Suffix: "key"},
		Fields: vaultapi.FieldsOf(fName, fType, fHashFunction, fWrapped, fPublicKey, fAllowRotation, fDerived, fNoConvergent, fExportable, fPlaintextBackup,
			fAutoRotatePeriod, fParameterSet, fUses, fPolicy, fOwner, fLabels, fCAS, fReason),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.create, Summary: "Make a key of material from elsewhere.", Answer: "The key is made.",
		}},
		Synopsis: "Import a key.",
		Description: "ciphertext is base64 of an AES-256 key wrapped with wrapping_key by RSA-OAEP, and behind it the key to import, wrapped with " +
			"that by AES-KWP (RFC 5649): CKM_RSA_AES_KEY_WRAP of PKCS#11. A symmetric key is wrapped as it is, others in PKCS#8. A policy has to " +
			"admit the key as it admits a new one.",
	}
}

func (a importAPI) importVersion() path {
	return path{
		Pattern: "keys/" + named + "/import_version", ID: vaultapi.ID{Verb: "import", Suffix: "key-version"},
		Fields: vaultapi.FieldsOf(fName, fHashFunction, fWrapped, fPublicKey, fImportVersion, fCAS, fReason),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.createVersion, Summary: "Give an imported key another version from elsewhere, or a version its private half.", Answer: "The version is there.",
		}},
		Synopsis: "Import a version of a key.",
		Description: "A new version is the active one from now on, as after a rotation. A private key that belongs to the public half of the newest " +
			"version, or of the version that is named, completes that one.",
	}
}

func (a importAPI) byokExport(behind, id string, more ...vaultapi.Declared) path {
	return path{
		Pattern: "byok-export/" + framework.GenericNameRegex(fDestination.Name) + "/" + framework.GenericNameRegex(fByokSource.Name) + behind,
		ID:      vaultapi.ID{Suffix: id},
		Fields:  vaultapi.FieldsOf(fDestination, fByokSource, fExportHash.Query(), fReason).With(more...),
		Operations: operations{logical.ReadOperation: {
			Handle: a.export, Summary: "Read a key wrapped with another one, as an import takes it.", Answer: "The versions of the key.", Fields: byokExportNames,
		}},
		Synopsis: "Export a key wrapped with another one.",
		Description: "The wrapping key of another mount, imported here as a public key, is the destination. What comes out is a ciphertext for " +
			"keys/:name/import and keys/:name/import_version there. The key has to be exportable, as for export. Custody keeps that it left, for " +
			"which key, before it leaves.",
	}
}

func (a importAPI) readWrappingKey(ctx context.Context, c *request) (*logical.Response, error) {
	public, err := c.Transfers().WrappingKey(ctx)
	if err != nil {
		return nil, err
	}
	return vaultapi.Data(fWrappingKey.Is(public)), nil
}

// readImport reads what both ways to import have in common.
func readImport(c *request) (in engine.Import, err error) {
	in = engine.Import{Ciphertext: fWrapped.Get(c), Hash: fHashFunction.Get(c), PublicKey: fPublicKey.Get(c), Version: fImportVersion.Get(c)}
	if in.Ciphertext != "" && in.PublicKey != "" {
		return in, vaultapi.Invalidf("only one of ciphertext and public_key can be imported")
	}
	return in, nil
}

func (a importAPI) create(ctx context.Context, c *request) (*logical.Response, error) {
	t, err := keytype.ParseWithSet(fType.Get(c), fParameterSet.Get(c))
	if err != nil {
		return nil, err
	}
	in, err := readImport(c)
	if err != nil {
		return nil, err
	}
	if fNoConvergent.Lookup(c) != nil {
		return nil, refusal.AsFault(vaultapi.Invalidf("convergent_encryption: import cannot be used on keys with convergent encryption enabled"))
	}
	if err := checkOwner(fOwner.Get(c)); err != nil {
		return nil, err
	}
	uses, err := usesGiven(c)
	if err != nil {
		return nil, err
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	return nil, c.Transfers().Import(ctx, engine.Creation{
		Precondition: pre, Uses: uses, Policy: fPolicy.LookupNonNull(c), Owner: fOwner.LookupNonNull(c), Labels: labelsGiven(c),
		Spec: lifecycle.Key{
			Name: fName.Get(c), Type: t, Derived: fDerived.Get(c), Exportable: fExportable.Get(c), AllowPlaintextBackup: fPlaintextBackup.Get(c),
			Origin: lifecycle.Origin{AllowRotation: fAllowRotation.Get(c)}, AutoRotatePeriod: time.Duration(fAutoRotatePeriod.Get(c)) * time.Second,
		},
	}, in)
}

func (a importAPI) createVersion(ctx context.Context, c *request) (*logical.Response, error) {
	in, err := readImport(c)
	if err != nil {
		return nil, err
	}
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	return nil, c.Transfers().ImportVersion(ctx, fName.Get(c), in, pre)
}

func (a importAPI) export(ctx context.Context, c *request) (*logical.Response, error) {
	pre, err := precondition(c)
	if err != nil {
		return nil, err
	}
	out, err := c.Transfers().ExportWrapped(ctx, engine.WrappedExport{
		Source: fByokSource.Get(c), Destination: fDestination.Get(c), Version: fByokVersion.Get(c), Hash: fExportHash.Get(c), Reason: pre.Reason,
	})
	if err != nil {
		return nil, err
	}
	keys := make(map[string]string, len(out.Values))
	for n, value := range out.Values {
		keys[strconv.Itoa(n)], _ = value.(string)
	}
	return vaultapi.Data(fName.Is(out.Key.Name), fType.Is(string(lifecycle.TypesOf(&out.Key).Active())), fExportedKeys.Is(keys)), nil
}
