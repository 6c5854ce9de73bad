// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/dataplane"
	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// A request to the data plane is one item in the fields of the request, or a batch in batch_input.

var (
	fBatch     = vaultapi.List("batch_input", "List of items, each with the fields of a single request; those at the top level are ignored, but for key_version, which items without one have. Results keep the order.")
	fTexts     = vaultapi.List("batch_input", "List of items, each with the fields of a single request; those at the top level are ignored, but for key_version and the hash of OAEP, which items without one have. Results keep the order.")
	fPartial   = vaultapi.Int("partial_failure_response_code", "Status for a batch of which some items fail and some succeed, in place of 400 or 500. 200 to 599.")
	fReference = vaultapi.Text("reference", "Returned with the item's result.")
	fResults   = vaultapi.List("batch_results", "Results of the items: what a single request returns, or error; and reference.")
)

// batchOf is what a data plane request asks for.
type batchOf[I any] struct {
	items      []I
	references []string
	single     bool // the item came in the fields of the request
}

type batch = batchOf[dataplane.Item]

// readBatch reads the items of encrypt and decrypt.
func readBatch(c *request, read func(from *vaultapi.Source) dataplane.Item) (batch, error) {
	if code := fPartial.LookupNonNull(c); code != nil && !c.IsNull(fBatch.Name) && (*code < 200 || *code > 599) {
		return batch{}, vaultapi.InvalidField(fPartial.Name, *code, "must be a status from 200 to 599")
	}
	return readTexts(c, vaultapi.Item, dataplane.Item{Version: fKeyVersion.Get(c), Hash: fPaddingHash.Get(c)}, read)
}

// readTexts reads items with a version to encrypt with, and hashes. Those that name none have that of their batch; that of the version
// Transit ignores (hashicorp/vault#10232).
func readTexts(c *request, mode vaultapi.Mode, of dataplane.Item, read func(from *vaultapi.Source) dataplane.Item) (batch, error) {
	return readItems(c, mode, func(from *vaultapi.Source) dataplane.Item {
		item := read(from)
		if from.IsNull(fKeyVersion.Name) {
			item.Version = of.Version
		}
		item.Hash, item.NewHash = cmp.Or(item.Hash, of.Hash), cmp.Or(item.NewHash, of.NewHash)
		return item
	})
}

func readItems[I any](c *request, mode vaultapi.Mode, read func(from *vaultapi.Source) I) (batchOf[I], error) {
	items, err := vaultapi.ItemsOf(c, fBatch, mode)
	if err != nil {
		return batchOf[I]{}, err
	}
	b := batchOf[I]{items: make([]I, items.Len()), references: make([]string, items.Len()), single: items.Single}
	err = items.Each(func(n int, from *vaultapi.Source) { b.items[n], b.references[n] = read(from), fReference.Get(from) })
	return b, err
}

// missing reports the absence of a field. In a batch it is, as in Transit, an error of the whole call.
func missing(from *vaultapi.Source, field vaultapi.Field[string], purpose string) {
	if from.IsItem() {
		from.Fail(fmt.Errorf("%s: missing %s to %s", field.Name, field.Name, purpose))
	} else {
		from.Fail(vaultapi.Invalidf("missing %s to %s", field.Name, purpose))
	}
}

func mustNotBeNull(field vaultapi.Field[string]) error {
	return fmt.Errorf("%s: must be a string, not null", field.Name)
}

// results are those of a batch, in Transit's words.
type results struct {
	batch
	outcomes []dataplane.Outcome
	answer   func(o *vaultapi.Members, of *dataplane.Outcome) // appends what a single request returns
}

// AppendJSON is [vaultapi.JSON]'s.
func (r results) AppendJSON(to []byte) []byte {
	size := func(i int) int { return len(r.outcomes[i].Text) + len(r.references[i]) }
	return vaultapi.AppendList(to, len(r.outcomes), size, func(o *vaultapi.Members, i int) {
		r.answer(o, &r.outcomes[i])
		o.TextUnlessEmpty("error", errorText(r.outcomes[i].Err))
		o.Text("reference", r.references[i])
	})
}

// MarshalJSON is for answers that the SDK encodes.
func (r results) MarshalJSON() ([]byte, error) { return r.AppendJSON(nil), nil }

func appendProtected(o *vaultapi.Members, of *dataplane.Outcome) {
	if of.Text != "" {
		o.Base64("ciphertext", of.Text)
	}
	o.IntUnlessZero("key_version", of.Version)
}

func appendOpened(o *vaultapi.Members, of *dataplane.Outcome) { o.Base64("plaintext", of.Text) }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// protected answers a request whose single result is a ciphertext.
func protected(b batch, outcomes []dataplane.Outcome) (*logical.Response, error) {
	if !b.single {
		return vaultapi.Data(fResults.Is(results{b, outcomes, appendProtected})), nil
	}
	o := outcomes[0]
	return vaultapi.Data(fCiphertext.Is(o.Text), fKeyVersion.Is(o.Version)), o.Err
}

// opened answers a request whose single result is a plaintext.
func opened(b batch, outcomes []dataplane.Outcome) (*logical.Response, error) {
	if !b.single {
		return vaultapi.Data(fResults.Is(results{b, outcomes, appendOpened})), nil
	}
	return vaultapi.Data(fPlaintext.Is(outcomes[0].Text)), outcomes[0].Err
}

// batchStatus gives a batch with failed items its status: 400 if one failed by the caller's fault, 500 if only by
// ours, and the caller's own status instead if another item succeeded. What keys of the type do
// not take counts as no failure, as in Transit.
func batchStatus(c *request, b batch, outcomes []dataplane.Outcome, resp *logical.Response) (*logical.Response, error) {
	status := statusOf(outcomes)
	if b.single || status == http.StatusOK {
		return resp, nil
	}
	if code := fPartial.Lookup(c); code != nil && anySucceeded(outcomes) {
		if *code != 0 {
			status = *code
		} else { // null; as Transit takes it
			resp.AddWarning(fmt.Sprintf("partial_failure_response_code: null: must be between 200 and 599; using %d", status))
		}
	}
	return logical.RespondWithStatusCode(resp, c.Logical, status)
}

func statusOf(outcomes []dataplane.Outcome) int {
	status := http.StatusOK
	for _, o := range outcomes {
		switch {
		case o.Err == nil || errors.Is(o.Err, dataplane.ErrExtra):
		case errors.Is(o.Err, dataplane.ErrFault):
			status = http.StatusInternalServerError
		default:
			return http.StatusBadRequest
		}
	}
	return status
}

func anySucceeded(outcomes []dataplane.Outcome) bool {
	for _, o := range outcomes {
		if o.Err == nil {
			return true
		}
	}
	return false
}
