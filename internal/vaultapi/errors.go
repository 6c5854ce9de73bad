// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"
)

// ErrInvalid is the kind of every error about what a caller sent. Its status is 400.
var ErrInvalid = errors.New("invalid request")

// inputError prints its message alone: the kind is for code, the message for people.
type inputError string

func (e inputError) Error() string        { return string(e) }
func (e inputError) Is(target error) bool { return target == ErrInvalid }

// Invalidf reports input that breaks a rule; the error is [ErrInvalid].
func Invalidf(format string, args ...any) error {
	return inputError(fmt.Sprintf(format, args...))
}

// InvalidField reports the value of one field that breaks a rule; the error is [ErrInvalid].
func InvalidField(name string, value any, rule string) error {
	return Invalidf("%s: %s: %s", name, printable(value), rule)
}

// printable quotes texts and shortens what a caller may have made long.
func printable(value any) string {
	const longest = 120
	text, quoted := value.(string)
	if !quoted {
		text = fmt.Sprint(value)
	}
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "..."
	}
	if quoted {
		return strconv.Quote(text)
	}
	return text
}

// Status is the HTTP status of a kind of error. StatusNotFound is for reading and listing; a write to what is not there
// has StatusBadRequest, as in Transit.
type Status struct {
	Kind error
	Code int
}

// answerOf maps an error to Vault's answer. It has to be the very last step: an error type survives the way to Vault only
// if nothing wraps it. The first kind that an error has counts; an error of no kind is Vault's 500.
func answerOf(op logical.Operation, err error, statuses []Status) (*logical.Response, error) {
	if errors.Is(err, logical.ErrReadOnly) {
		return nil, logical.ErrReadOnly // Vault forwards the request to a node that may write
	}
	switch code := statusOf(err, statuses); {
	case code == http.StatusNotFound && (op == logical.ReadOperation || op == logical.ListOperation):
		return nil, nil //nolint:nilnil // Vault's 404
	case code == http.StatusNotFound, code == http.StatusBadRequest:
		return logical.ErrorResponse(err.Error()), logical.ErrInvalidRequest
	case code == http.StatusInternalServerError:
		return nil, err
	default:
		return nil, logical.CodedError(code, err.Error())
	}
}

func statusOf(err error, statuses []Status) int {
	for _, status := range statuses {
		if errors.Is(err, status.Kind) {
			return status.Code
		}
	}
	if errors.Is(err, ErrInvalid) {
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}
