// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fInput         = vaultapi.Text("input", "Base64 text. An empty one is a text, too.").Secret()
	fHash          = vaultapi.Text("algorithm", "Hash: sha1, sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384 or sha3-512.").Or("sha2-256")
	fHashInPath    = vaultapi.Text("urlalgorithm", "As algorithm, in the path. It counts.")
	fMACVersion    = vaultapi.Int("key_version", "Version to make it with, also for batch_input. 0: the active one. Others only for keys without a policy, from min_encryption_version on.")
	fMACSize       = vaultapi.Int("mac_length", "Length in bytes: 4 to 16. 0: 16.")
	fMACSizeInPath = vaultapi.Int("url_mac_length", "As mac_length, in the path. It counts.")
	fHMAC          = vaultapi.Text("hmac", "HMAC: vault:v<version>:<base64>.").Secret()
	fCMAC          = vaultapi.Text("cmac", "CMAC: vault:v<version>:<base64>.").Secret()
)

// macAPI serves what makes message authentication codes. What verifies them reads them with [readMAC].
type macAPI struct{}

func (a macAPI) paths() []path { return []path{a.hmacPath(), a.cmacPath()} }

func (a macAPI) hmacPath() path {
	return path{
		Pattern: "hmac/" + named + framework.OptionalParamRegex(fHashInPath.Name), ID: vaultapi.ID{Verb: "generate", Suffix: "hmac|hmac-with-algorithm"},
		Direct: []string{fName.Name},
		Fields: vaultapi.FieldsOf(fName, fHashInPath, fHash, fInput, fMACVersion, fBatch),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.hmac, Summary: "Make an HMAC of a text.", Answer: "The HMAC, or batch_results.", Fields: vaultapi.FieldsOf(fHMAC, fResults),
		}},
		Synopsis: "Make an HMAC of a text.",
		Description: "Every version of a key, whatever its type, has a key of its own for HMACs, but those that make CMACs and those on a token. " +
			"One text in the fields of the request, or many in batch_input. verify tells whether an HMAC is one of the key.",
	}
}

func (a macAPI) cmacPath() path {
	return path{
		Pattern: "cmac/" + named + framework.OptionalParamRegex(fMACSizeInPath.Name), ID: vaultapi.ID{Verb: "generate", Suffix: "cmac|cmac-with-mac-length"},
		Fields: vaultapi.FieldsOf(fName, fMACSizeInPath, fMACSize, fInput, fMACVersion, fBatch),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.cmac, Summary: "Make a CMAC of a text.", Answer: "The CMAC, or batch_results.", Fields: vaultapi.FieldsOf(fCMAC, fResults),
		}},
		Synopsis: "Make a CMAC of a text.",
		Description: "For keys of the types aes128-cmac, aes192-cmac and aes256-cmac. One text in the fields of the request, or many in " +
			"batch_input, each with its mac_length. verify tells whether a CMAC is one of the key.",
	}
}

func (a macAPI) hmac(ctx context.Context, c *request) (*logical.Response, error) {
	hash := hashOf(c)
	return a.make(ctx, c, fHMAC, func(from *vaultapi.Source) dataplane.MACItem {
		return dataplane.MACItem{Kind: dataplane.HMAC, Input: inputOf(from), Hash: hash}
	})
}

func (a macAPI) cmac(ctx context.Context, c *request) (*logical.Response, error) {
	return a.make(ctx, c, fCMAC, func(from *vaultapi.Source) dataplane.MACItem {
		return dataplane.MACItem{Kind: dataplane.CMAC, Input: inputOf(from), Length: macSizeOf(c, from)}
	})
}

// hashOf returns the hash that a request names.
func hashOf(c *request) string { return cmp.Or(fHashInPath.Get(c), fHash.Get(c)) }

// macSizeOf returns the length of an item's CMAC: its own, or that of the request.
func macSizeOf(c *request, from *vaultapi.Source) int {
	if size := fMACSize.LookupNonNull(from); from.IsItem() && size != nil {
		return *size
	}
	return cmp.Or(fMACSizeInPath.Get(c), fMACSize.Get(c))
}

func inputOf(from *vaultapi.Source) *string {
	if !from.Has(fInput.Name) {
		return nil
	}
	input := fInput.Get(from)
	return &input
}

// readMAC reads a MAC to verify. A request of one item without an input is about the empty text.
func readMAC(from *vaultapi.Source, kind dataplane.MACKind, hash string, length int) dataplane.MACItem {
	if from.IsItem() {
		from.CheckAllTexts()
	}
	item := dataplane.MACItem{Kind: kind, Input: inputOf(from), Hash: hash, Length: length}
	if item.Input == nil && !from.IsItem() {
		item.Input = new(string)
	}
	item.MAC = fHMAC.Get(from)
	if kind == dataplane.CMAC {
		item.MAC = fCMAC.Get(from)
	}
	return item
}

// make answers 200 whatever becomes of the items of a batch, unless one failed by our fault: then the request did.
func (a macAPI) make(ctx context.Context, c *request, field vaultapi.Field[string], read func(*vaultapi.Source) dataplane.MACItem) (*logical.Response, error) {
	in, err := readItems(c, vaultapi.TextItem, func(from *vaultapi.Source) dataplane.MACItem {
		if from.IsItem() {
			from.CheckAllTexts() // key_version, say, counts beside batch_input only, and must not seem to count here
		}
		return read(from)
	})
	if err != nil {
		return nil, err
	}
	outcomes, err := c.MACs().Make(ctx, fName.Get(c), fMACVersion.Get(c), in.items)
	switch {
	case err != nil:
		return nil, err
	case in.single:
		return vaultapi.Data(field.Is(outcomes[0].Text)), outcomes[0].Err
	}
	rows := make([]macRow, len(outcomes))
	for i, o := range outcomes {
		if errors.Is(o.Err, dataplane.ErrFault) {
			return nil, o.Err
		}
		rows[i] = macRow{Error: errorText(o.Err), Reference: in.references[i]}
		if field.Name == fCMAC.Name {
			rows[i].CMAC = o.Text
		} else {
			rows[i].HMAC, rows[i].Valid = o.Text, new(bool)
		}
	}
	return vaultapi.Data(fResults.Is(rows)), nil
}

// macRow is a result of a batch, in Transit's words. Those of HMACs have a valid that is always false.
type macRow struct {
	HMAC      string `json:"hmac,omitempty"`
	CMAC      string `json:"cmac,omitempty"`
	Valid     *bool  `json:"valid,omitempty"`
	Error     string `json:"error,omitempty"`
	Reference string `json:"reference"`
}
