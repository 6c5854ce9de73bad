// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// A request to the data plane is one item in the fields of the request, or a batch in batch_input. The rules are
// Transit's, down to the statuses; clients branch on them.

var (
	fNonce      = newField[string]("nonce", framework.TypeString, "Accepted for old Transit clients. Every key here makes its own nonces; a given one is refused.").secret()
	fAAD        = newField[string]("associated_data", framework.TypeString, "Base64 data that is authenticated with the ciphertext and not kept in it.").secret()
	fKeyVersion = newField[int]("key_version", framework.TypeInt, "Version to encrypt with. 0: the active one. Others only for keys without a policy, from min_encryption_version on.")
	fIV         = newField[string]("iv", framework.TypeString, "Base64 initialisation vector of AES-CBC keys. No key type of this release takes one.").secret()
	fPadding    = newField[string]("padding_scheme", framework.TypeString, "Padding scheme of RSA keys. No key type of this release takes one.")
	fBatch      = newField[[]any]("batch_input", framework.TypeSlice, "List of items, each with the fields of a single request; those at the top level are ignored. Results keep the order.")
	fPartial    = newField[int]("partial_failure_response_code", framework.TypeInt, "Status for a batch of which some items fail and some succeed, in place of 400 or 500. 200 to 599.")
	fReference  = newField[string]("reference", framework.TypeString, "Returned with the item's result.")
	fResults    = newField[[]any]("batch_results", framework.TypeSlice, "Results of the items: what a single request returns, or error; and reference.")
	fCiphertext = newField[string]("ciphertext", framework.TypeString, "Ciphertext: vault:v<version>:<base64>.").secret()
	fPlaintext  = newField[string]("plaintext", framework.TypeString, "Base64 plaintext.").secret()
)

// batch is what a data plane request asks for.
type batch struct {
	items      []engine.Item
	references []string
	single     bool // the item came in the fields of the request
}

// readBatch returns the batch of a request that has one, or else one's item. A batch of the wrong shape is, as in
// Transit, no bad request but an error of the whole call.
func readBatch(c *request, one func() (engine.Item, error), read func(f *itemFields) engine.Item) (batch, error) {
	if code := fPartial.lookupNonNull(c); fBatch.lookupNonNull(c) != nil && code != nil && (*code < 200 || *code > 599) {
		return batch{}, lifecycle.InvalidField(fPartial.name, *code, "must be a status from 200 to 599")
	}
	return readItems(c, one, read, false)
}

// readItems is readBatch for both of Transit's ways to read an item. The lenient one takes names of fields in any case.
func readItems(c *request, one func() (engine.Item, error), read func(f *itemFields) engine.Item, lenient bool) (batch, error) {
	raw := c.Raw[fBatch.name]
	if raw == nil {
		item, err := one()
		return batch{items: []engine.Item{item}, references: []string{""}, single: true}, err
	}
	list, ok := raw.([]any)
	if !ok {
		return batch{}, fmt.Errorf("failed to parse batch input: batch_input: must be a list, not %T", raw)
	}
	b := batch{items: make([]engine.Item, len(list)), references: make([]string, len(list))}
	for i, element := range list {
		object, ok := element.(map[string]any)
		if !ok && element != nil {
			return batch{}, fmt.Errorf("failed to parse batch input: [%d]: must be an object, not %T", i, element)
		}
		if lenient {
			object = folded(object)
		}
		f := &itemFields{object: object, lenient: lenient}
		b.items[i], b.references[i] = read(f), f.text(fReference.name)
		if f.err != nil {
			return batch{}, fmt.Errorf("failed to parse batch input: [%d].%w", i, f.err)
		}
	}
	return b, nil
}

// folded returns an object with its names in lower case. Of two that are one then, that which was so before counts: it
// comes last.
func folded(object map[string]any) map[string]any {
	lower := make(map[string]any, len(object))
	for _, name := range sorted(object) {
		lower[strings.ToLower(name)] = object[name]
	}
	return lower
}

// itemFields reads the fields of one item. Unlike those of a request they are not converted: the JSON type must be
// right. The first error stays; it quotes no text, which may be a secret.
type itemFields struct {
	object  map[string]any
	lenient bool // numbers are texts too
	err     error
}

// required reports the absence of a field.
func (f *itemFields) required(name, purpose string) {
	if _, ok := f.object[name]; !ok {
		f.fail("%s: missing %s to %s", name, name, purpose)
	}
}

func (f *itemFields) text(name string) string {
	switch value := f.object[name].(type) {
	case nil:
		return ""
	case string:
		return value
	case float64:
		switch {
		case !f.lenient:
			f.fail("%s: must be a string, not a number", name)
		case !isSafe(value):
			f.fail("%w", lifecycle.Invalidf("%s: %s", name, numberAsText))
		}
		return strconv.FormatFloat(value, 'f', -1, 64)
	default:
		f.fail("%s: must be a string, not %T", name, value)
		return ""
	}
}

// padding reads the padding scheme, which unlike the other fields must not be null.
func (f *itemFields) padding() string {
	if value, ok := f.object[fPadding.name]; ok && value == nil {
		f.fail("%s: must be a string, not null", fPadding.name)
	}
	return f.text(fPadding.name)
}

// integer reads a whole number of up to 64 bits, as Transit does: that no key has such a version is for the item to say.
func (f *itemFields) integer(name string) int {
	raw := f.object[name]
	if raw == nil {
		return 0
	}
	number, ok := toNumber(raw)
	switch {
	case !ok:
		f.fail("%s: must be an integer, not %T", name, raw)
	case number != math.Trunc(number) || math.Abs(number) >= math.MaxInt64:
		f.fail("%s: %v: must be an integer of at most 64 bits", name, number)
	}
	return int(max(math.MinInt32, min(number, math.MaxInt32))) // no version is beyond
}

func (f *itemFields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}
