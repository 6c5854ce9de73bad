// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package engine

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keylife/vault-plugin-keylife/client/internal/refusal"
)

const (
	maxRetryAfter = 10 * time.Second
	maxReason     = 512 // bytes
)

// kind is how an answer that is no success is to be taken.
type kind int

const (
	unavailable kind = iota // Vault did not answer: an outage
	denied                  // Vault refuses the token
	keyState                // the engine refuses
)

// verdict is what an error of a request says.
type verdict struct {
	kind  kind
	text  string
	after time.Duration // Retry-After
	cause error         // where there was no answer
}

// kindOf sorts the statuses of answers.
func kindOf(status int) kind {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return denied
	case status == http.StatusRequestTimeout, // of proxies; Vault says 400, 404, 405 and those below
		status == http.StatusPreconditionFailed, status == http.StatusTooManyRequests, status == 472, status == 473,
		status >= 500:
		return unavailable
	}
	return keyState
}

// verdictOf sorts the error of a request of the API's client. What did not come from Vault as an answer is an outage.
func verdictOf(err error, header http.Header) verdict {
	var answered *api.ResponseError
	switch {
	case errors.As(err, &answered):
		text := http.StatusText(answered.StatusCode)
		if !answered.RawError && len(answered.Errors) > 0 { // else it is a proxy's page, or none
			text = plain(strings.Join(answered.Errors, "; "))
		}
		return verdict{kind: kindOf(answered.StatusCode), text: text, after: retryAfter(header)}
	case err == nil:
		return verdict{text: "vault answered what cannot be read"}
	}
	return verdict{text: plain(err.Error()), cause: err}
}

// error is the error of a verdict that is not about a key: whatever Vault refuses is about the token, or at a login the credential.
func (v verdict) error(attempt string) error {
	if v.kind == unavailable {
		return &outage{text: attempt + ": " + v.text, after: v.after, cause: v.cause}
	}
	return fmt.Errorf("%s: %w: %s", attempt, refusal.ErrAccessDenied, v.text)
}

// outage says that Vault did not answer.
type outage struct {
	text  string
	after time.Duration
	cause error
}

func (o *outage) Error() string { return fmt.Sprintf("%v: %s", refusal.ErrUnavailable, o.text) }

func (o *outage) Unwrap() []error {
	if o.cause == nil {
		return []error{refusal.ErrUnavailable}
	}
	return []error{refusal.ErrUnavailable, o.cause}
}

func unreadable(attempt request) error {
	return &outage{text: attempt.String() + ": vault answered what cannot be read"}
}

// RetryAfter returns how long Vault asked to wait before the next request, at most 10 seconds; 0 if it did not ask.
func RetryAfter(err error) time.Duration {
	var o *outage
	if errors.As(err, &o) {
		return o.after
	}
	return 0
}

func retryAfter(header http.Header) time.Duration {
	text := header.Get("Retry-After")
	wait := time.Duration(0)
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = time.Until(at)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// plain is a text in one line, and of a length that a log can bear. A code at its end stays there.
func plain(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxReason {
		text = text[:maxReason/2] + " ... " + text[len(text)-maxReason/2:]
	}
	return strings.ToValidUTF8(text, "?")
}
