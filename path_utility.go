// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/envelope"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

var (
	fDigest      = vaultapi.Text("algorithm", "Hash: sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384 or sha3-512.").Or("sha2-256")
	fDigestForm  = vaultapi.Text("format", "How the digest is written: hex or base64.").Or("hex")
	fSum         = vaultapi.Text("sum", "The digest.")
	fBytes       = vaultapi.Int("bytes", "How many bytes: 1 to 131072.").Or(32)
	fBytesInPath = vaultapi.Text("urlbytes", "As bytes, in the path. It counts.")
	fSource      = vaultapi.Text("source", "Where they come from: platform, the operating system; seal, the token of config/hsm; all, both, mixed.").Or("platform")
	fBytesForm   = vaultapi.Text("format", "How the bytes are written: base64 or hex.").Or("base64")
	fRandomBytes = vaultapi.Text("random_bytes", "The bytes.").Secret()
)

// maxRandom is how many bytes one request may draw.
const maxRandom = 128 << 10

// utilityAPI serves what needs no key.
type utilityAPI struct{}

func (a utilityAPI) paths() []path { return []path{a.hashPath(), a.randomPath()} }

func (a utilityAPI) hashPath() path {
	return path{
		Pattern: "hash" + framework.OptionalParamRegex(fHashInPath.Name), ID: vaultapi.ID{Suffix: "hash|hash-with-algorithm"},
		Fields: vaultapi.FieldsOf(fHashInPath, fDigest, fInput, fDigestForm),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.hash, Summary: "Make a digest of a text.", Answer: "The digest.", Fields: vaultapi.FieldsOf(fSum),
		}},
		Synopsis:    "Make a digest of a text.",
		Description: "The digest of a base64 text by a hash. No key has a part in it.",
	}
}

func (a utilityAPI) randomPath() path {
	return path{
		Pattern: "random(/" + framework.GenericNameRegex(fSource.Name) + ")?" + framework.OptionalParamRegex(fBytesInPath.Name),
		ID:      vaultapi.ID{Verb: "generate", Suffix: "random|random-with-source|random-with-bytes|random-with-source-and-bytes"},
		Fields:  vaultapi.FieldsOf(fSource, fBytesInPath, fBytes, fBytesForm),
		Operations: operations{logical.UpdateOperation: {
			Handle: a.random, Summary: "Draw random bytes.", Answer: "The bytes.", Fields: vaultapi.FieldsOf(fRandomBytes),
		}},
		Synopsis:    "Draw random bytes.",
		Description: "Random bytes for any use, of the operating system, of the token of config/hsm, or of both.",
	}
}

func (a utilityAPI) hash(_ context.Context, c *request) (*logical.Response, error) {
	name := cmp.Or(fHashInPath.Get(c), fDigest.Get(c))
	if !c.Has(fInput.Name) {
		return nil, vaultapi.Invalidf("input missing")
	}
	input, err := base64.StdEncoding.DecodeString(fInput.Get(c))
	switch {
	case err != nil:
		return nil, vaultapi.Invalidf("input: unable to decode input as base64: %s", err)
	case name == "sha1" || !envelope.MakesHMAC(name):
		return nil, vaultapi.InvalidField(fDigest.Name, name, "unsupported algorithm; must be sha2-224, sha2-256, sha2-384, sha2-512, sha3-224, sha3-256, sha3-384 or sha3-512")
	}
	sum, err := written(envelope.Digest(name, input), fDigestForm.Get(c))
	return vaultapi.Data(fSum.Is(sum)), err
}

// written returns bytes in hex or base64.
func written(raw []byte, format string) (string, error) {
	switch format {
	case "hex":
		return hex.EncodeToString(raw), nil
	case "base64":
		return base64.StdEncoding.EncodeToString(raw), nil
	}
	return "", vaultapi.InvalidField("format", format, `unsupported encoding format; must be "hex" or "base64"`)
}

// sources are where random bytes may come from.
var sources = []string{"platform", "seal", "all"}

// readRandom returns which source to draw how many bytes from. As in Transit, a path of one part names a source or a number.
func readRandom(c *request) (source string, n int, err error) {
	source, n = cmp.Or(fSource.Get(c), "platform"), fBytes.Get(c)
	inPath := fBytesInPath.Get(c)
	if inPath == "" && !slices.Contains(sources, source) {
		source, inPath = "platform", source
	}
	if inPath != "" {
		if n, err = strconv.Atoi(inPath); err != nil {
			return "", 0, vaultapi.InvalidField(fBytes.Name, inPath, "error parsing url-set byte count: must be an integer")
		}
	}
	switch {
	case n < 1:
		err = vaultapi.InvalidField(fBytes.Name, n, "cannot be less than 1")
	case n > maxRandom:
		err = vaultapi.InvalidField(fBytes.Name, n, "cannot be more than 131072")
	case !slices.Contains(sources, source):
		err = vaultapi.InvalidField(fSource.Name, source, `unsupported entropy source; must be "platform", "seal" or "all"`)
	}
	return source, n, err
}

func (a utilityAPI) random(ctx context.Context, c *request) (*logical.Response, error) {
	source, n, err := readRandom(c)
	if err != nil {
		return nil, err
	}
	if _, err := written(nil, fBytesForm.Get(c)); err != nil {
		return nil, err
	}
	raw, onToken, err := a.draw(ctx, c, source, n)
	if err != nil {
		return nil, err
	}
	text, err := written(raw, fBytesForm.Get(c))
	resp := vaultapi.Data(fRandomBytes.Is(text))
	if source == "seal" && !onToken {
		resp.AddWarning("the mount has no HSM that gives random bytes (config/hsm: enabled, random_source), so these are of the operating system")
	}
	return resp, err
}

// draw draws bytes from a source, and reports whether a token had a part in them. Both sources are added without a carry: what
// comes of it is as good as the better one.
func (utilityAPI) draw(ctx context.Context, c *request, source string, n int) (raw []byte, onToken bool, err error) {
	raw = make([]byte, n)
	if source != "platform" {
		if onToken, err = c.hasTokenRandom(ctx); err != nil {
			return nil, false, err
		}
	}
	if onToken {
		token, err := c.Random(ctx, "random")
		if err != nil {
			return nil, false, err
		}
		if _, err := io.ReadFull(token, raw); err != nil {
			return nil, false, err
		}
	}
	if onToken && source == "seal" {
		return raw, true, nil
	}
	platform := make([]byte, n)
	if _, err := io.ReadFull(c.b.plane.Rand, platform); err != nil {
		return nil, false, fmt.Errorf("draw random bytes: %w", err)
	}
	subtle.XORBytes(raw, raw, platform)
	return raw, onToken, nil
}
