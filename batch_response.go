// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/keylife/vault-plugin-keylife/internal/engine"
)

// protectedRow and openedRow are the results of a batch, in Transit's words.
type protectedRow struct {
	Ciphertext string `json:"ciphertext,omitempty"`
	KeyVersion int    `json:"key_version,omitempty"`
	Error      string `json:"error,omitempty"`
	Reference  string `json:"reference"`
}

type openedRow struct {
	Plaintext string `json:"plaintext"`
	Error     string `json:"error,omitempty"`
	Reference string `json:"reference"`
}

func protectedRows(b batch, outcomes []engine.Outcome) any {
	rows := make([]protectedRow, len(outcomes))
	for i, o := range outcomes {
		rows[i] = protectedRow{o.Text, o.Version, errorText(o.Err), b.references[i]}
	}
	return rows
}

func openedRows(b batch, outcomes []engine.Outcome) any {
	rows := make([]openedRow, len(outcomes))
	for i, o := range outcomes {
		rows[i] = openedRow{o.Text, errorText(o.Err), b.references[i]}
	}
	return rows
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// protectedFields and openedFields describe the answers.
var (
	protectedFields = fields(fCiphertext, fKeyVersion, fResults)
	openedFields    = fields(fPlaintext, fResults)
)

// protected answers a request whose single result is a ciphertext.
func protected(b batch, outcomes []engine.Outcome) (*logical.Response, error) {
	if !b.single {
		return data(fResults.name, protectedRows(b, outcomes)), nil
	}
	o := outcomes[0]
	return &logical.Response{Data: map[string]any{"ciphertext": o.Text, "key_version": o.Version}}, o.Err
}

// opened answers a request whose single result is a plaintext.
func opened(b batch, outcomes []engine.Outcome) (*logical.Response, error) {
	if !b.single {
		return data(fResults.name, openedRows(b, outcomes)), nil
	}
	return data("plaintext", outcomes[0].Text), outcomes[0].Err
}

func data(name string, value any) *logical.Response {
	return &logical.Response{Data: map[string]any{name: value}}
}

// batchStatus gives a batch with failed items its status: 400 if one failed by the caller's fault, 500 if only by
// ours, and the caller's own status instead if another item succeeded. A padding scheme that does not fit counts as
// no failure, as in Transit.
func batchStatus(c *request, b batch, outcomes []engine.Outcome, resp *logical.Response) (*logical.Response, error) {
	status := statusOf(outcomes)
	if b.single || status == http.StatusOK {
		return resp, nil
	}
	if code := fPartial.lookup(c); code != nil && anySucceeded(outcomes) {
		if *code != 0 {
			status = *code
		} else { // null; as Transit takes it
			resp.AddWarning(fmt.Sprintf("partial_failure_response_code: null: must be between 200 and 599; using %d", status))
		}
	}
	return logical.RespondWithStatusCode(resp, c.req, status)
}

func statusOf(outcomes []engine.Outcome) int {
	status := http.StatusOK
	for _, o := range outcomes {
		switch {
		case o.Err == nil || errors.Is(o.Err, engine.ErrPadding):
		case errors.Is(o.Err, engine.ErrFault):
			status = http.StatusInternalServerError
		default:
			return http.StatusBadRequest
		}
	}
	return status
}

func anySucceeded(outcomes []engine.Outcome) bool {
	for _, o := range outcomes {
		if o.Err == nil {
			return true
		}
	}
	return false
}

// cipherPath makes a path of the data plane.
func cipherPath(verb string, extra []declared, op *framework.PathOperation, help string) *framework.Path {
	op.Summary = help
	return &framework.Path{
		Pattern:      verb + "/" + framework.GenericNameRegex(fName.name),
		DisplayAttrs: &framework.DisplayAttributes{OperationPrefix: prefix, OperationVerb: verb},
		Fields:       with(fields(fName, fContext, fNonce, fAAD, fBatch), extra...),
		Operations:   map[logical.Operation]framework.OperationHandler{logical.UpdateOperation: op},
		HelpSynopsis: help,
		HelpDescription: help + " One item in the fields of the request, or many in batch_input, which is one call and " +
			"one look at the key. All texts but ciphertexts are standard base64.",
	}
}
