// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

// maxAnswer is far more than a batch of data keys has.
const maxAnswer = 8 << 20

// request is one to the engine, for a key.
type request struct {
	op, path, key string
	body          any
}

func (r request) String() string { return fmt.Sprintf("%s of key %q", r.op, r.key) }

// answer is what the engine said, of a request that it did not refuse as a whole.
type answer struct {
	of   request
	Data struct {
		Ciphertext string   `json:"ciphertext"`
		Plaintext  []byte   `json:"plaintext"`
		Results    []result `json:"batch_results"`
	} `json:"data"`
}

type result struct {
	Ciphertext string `json:"ciphertext"`
	Plaintext  []byte `json:"plaintext"` // nil: there is none
	Error      string `json:"error"`
}

func (r request) send(ctx context.Context, vault *api.Client, mount string) (answer, error) {
	body, err := json.Marshal(r.body)
	if err != nil {
		return answer{}, fmt.Errorf("%v: %w", r, err)
	}
	attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	response, err := vault.Logical().WriteRawWithContext(attempt, strings.Join([]string{mount, r.path, r.key}, "/"), body)
	if response != nil {
		defer response.Body.Close() //nolint:errcheck // was read
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return answer{}, fmt.Errorf("%v: %w", r, context.Cause(ctx))
	}
	if response == nil || (response.StatusCode != http.StatusOK && response.StatusCode != http.StatusBadRequest) {
		return answer{}, r.refused(response, err)
	}
	a, readable := r.read(response)
	switch {
	case response.StatusCode == http.StatusBadRequest && len(a.Data.Results) == 0:
		return answer{}, r.refused(response, err)
	case !readable:
		return answer{}, unreadable(r)
	}
	return a, nil
}

// read takes an answer apart, also one of 400, which is that of a batch of which all items failed.
func (r request) read(response *api.Response) (answer, bool) {
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	defer clear(text)
	a := answer{of: r}
	return a, err == nil && json.Unmarshal(text, &a) == nil
}

// refused is the error of a request that failed as a whole.
func (r request) refused(response *api.Response, err error) error {
	var header http.Header
	if response != nil {
		header = response.Header
	}
	v := verdictOf(err, header)
	if v.kind == keyState {
		_, state := code(v.text)
		return &refusal.KeyStateError{Key: r.key, State: state, Reason: v.text}
	}
	return v.error(r.String())
}

func (a answer) made() (Made, error) {
	if _, ok := kle1.Version(a.Data.Ciphertext); !ok || len(a.Data.Plaintext) != kle1.KeySize {
		return Made{}, unreadable(a.of)
	}
	return Made{EDK: a.Data.Ciphertext, Key: a.Data.Plaintext}, nil
}

func (a answer) items(op string, edks []string) ([]Item, error) {
	if len(a.Data.Results) != len(edks) {
		return nil, unreadable(a.of)
	}
	items := make([]Item, len(edks))
	for i, r := range a.Data.Results {
		version, rewrapped := kle1.Version(r.Ciphertext)
		switch {
		case r.Error != "":
			items[i].Err = itemRefused(a.of.key, edks[i], r.Error)
		case op == "rewrap" && rewrapped && version > 0:
			items[i].EDK = r.Ciphertext
		case op == "rewrap" || r.Plaintext == nil:
			return nil, unreadable(a.of)
		case len(r.Plaintext) != kle1.KeySize: // what the engine encrypted there is no data key
			items[i].Err = kle1.ErrInvalidMessage
		default:
			items[i].Key = r.Plaintext
		}
	}
	return items, nil
}

// itemRefused sorts what a batch says of an encrypted data key that did not decrypt.
func itemRefused(key, edk, text string) error {
	text = plain(text)
	of, state := code(text)
	if state == "" && (strings.Contains(text, "invalid ciphertext") || strings.Contains(text, "message authentication failed")) {
		return kle1.ErrInvalidMessage
	}
	e := &refusal.KeyStateError{Key: key, State: state, Reason: text}
	if of == "version" {
		e.Version, _ = kle1.Version(edk)
	}
	return e
}

var codeAtEnd = regexp.MustCompile(`\[(version|key)_([a-z_]+)\]$`)

// code reads what the engine's denials end in: of what, version or key, and its state. Transit's have none.
func code(text string) (of, state string) {
	found := codeAtEnd.FindStringSubmatch(text)
	if found == nil {
		return "", ""
	}
	return found[1], found[2]
}
