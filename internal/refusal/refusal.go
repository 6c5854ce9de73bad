// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package refusal holds the kinds of refusal that all packages share: what is wrong with what a caller asks for, in words for
// people and in a kind for code. It decides nothing; statuses of the API are the edge's.
package refusal

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The kinds of refusal. Callers match them with [errors.Is]; the text of the wrapping error says what was refused.
var (
	ErrInvalid  = errors.New("invalid request")   // the caller's input breaks a rule
	ErrNotFound = errors.New("not found")         // no such key, version or policy
	ErrExists   = errors.New("already exists")    // create-only met something there
	ErrConflict = errors.New("revision conflict") // check-and-set met another revision
	ErrRefused  = errors.New("refused")           // state or policy forbids it
	ErrDenied   = errors.New("denied use")        // refused, and counted; it is an ErrRefused too
	ErrRepeated = errors.New("repeated request")  // a request that was carried out already: it is answered, not carried out again

	// ErrConsent is a refusal that ends when people consent: what was asked for is filed.
	ErrConsent = errors.New("consent needed")

	// ErrAsFault is beside the kind of a refusal that Transit answers as if the server were at fault, with 500. Clients branch on that.
	ErrAsFault = errors.New("refused as a fault")

	// ErrReadBack is no refusal: storage does not give back what it took. See Commit in package lifecycle.
	ErrReadBack = errors.New("what was written does not come back")

	// ErrUnreadable is no refusal: what is stored of a policy, or of a request for consent, cannot be read, or not be understood.
	ErrUnreadable = errors.New("unreadable record")
)

// kindError is a message of one kind. It prints the message alone: the kind is for code, the message for people.
type kindError struct {
	kind error
	text string
}

func (e kindError) Error() string        { return e.text }
func (e kindError) Is(target error) bool { return target == e.kind }

// Invalidf reports input that breaks a rule; the error is [ErrInvalid].
func Invalidf(format string, args ...any) error {
	return kindError{ErrInvalid, fmt.Sprintf(format, args...)}
}

// InvalidField reports the value of one field that breaks a rule; the error is [ErrInvalid].
func InvalidField(field string, value any, rule string) error {
	return fieldError{kindError{ErrInvalid, fmt.Sprintf("%s: %s: %s", field, printable(value), rule)}, field}
}

type fieldError struct {
	kindError
	field string
}

// FieldOf returns the name of the field that an error of [InvalidField] is about, without its value; empty: it is none.
func FieldOf(err error) string {
	var e fieldError
	_ = errors.As(err, &e)
	return e.field
}

// printable quotes strings and shortens what a caller may have made long.
func printable(value any) string {
	const longest = 120
	s, quoted := value.(string)
	if !quoted {
		s = fmt.Sprint(value)
	}
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	if quoted {
		return strconv.Quote(s)
	}
	return s
}

// NoKey reports that no key has the name; the error is [ErrNotFound].
func NoKey(name string) error {
	return kindError{ErrNotFound, fmt.Sprintf("encryption key not found: no key is named %q", name)}
}

// NoVersion reports that a key has no version of the number; the error is [ErrNotFound].
func NoVersion(name string, number int) error {
	return kindError{ErrNotFound, fmt.Sprintf("version not found: key %q has no version %d", name, number)}
}

// NoPolicy reports that no policy has the name; the error is [ErrNotFound].
func NoPolicy(name string) error {
	return kindError{ErrNotFound, fmt.Sprintf("policy not found: no policy is named %q", name)}
}

// NotFoundf reports that what was asked for is not there; the error is [ErrNotFound].
func NotFoundf(format string, args ...any) error {
	return kindError{ErrNotFound, fmt.Sprintf(format, args...)}
}

// UnreadablePolicy reports that what is stored of a policy says nothing, and why; the error is [ErrUnreadable] and its cause.
func UnreadablePolicy(name string, cause error) error {
	return unreadableError{fmt.Sprintf("policy %q", name), cause}
}

// UnreadableRequest is [UnreadablePolicy] for a request for consent.
func UnreadableRequest(id string, cause error) error {
	return unreadableError{fmt.Sprintf("request %q", id), cause}
}

// UnreadableApprovers is [ErrUnreadable] about the record of who has enrolled as an approver.
func UnreadableApprovers(cause error) error {
	return unreadableError{"the record of approvers", cause}
}

type unreadableError struct {
	what  string
	cause error
}

func (e unreadableError) Error() string        { return fmt.Sprintf("%s cannot be read: %v", e.what, e.cause) }
func (e unreadableError) Unwrap() error        { return e.cause }
func (e unreadableError) Is(target error) bool { return target == ErrUnreadable }

// Existsf reports that something is there already; the error is [ErrExists].
func Existsf(format string, args ...any) error {
	return kindError{ErrExists, fmt.Sprintf(format, args...)}
}

// Refusedf reports that a state or a policy forbids the act; the error is [ErrRefused].
func Refusedf(format string, args ...any) error {
	return kindError{ErrRefused, fmt.Sprintf(format, args...)}
}

// Deniedf reports a refused use that counts against retiring the version; the error is [ErrDenied] and [ErrRefused].
func Deniedf(format string, args ...any) error {
	return deniedError{kindError{ErrRefused, fmt.Sprintf(format, args...)}}
}

type deniedError struct{ kindError }

func (e deniedError) Is(target error) bool { return target == ErrDenied || e.kindError.Is(target) }

// AsFault adds [ErrAsFault] to a refusal, whose text and kind it keeps.
func AsFault(err error) error { return asFault{err} }

type asFault struct{ error }

func (e asFault) Unwrap() error        { return e.error }
func (e asFault) Is(target error) bool { return target == ErrAsFault }

// CheckRevision compares the revision a caller expects (its "cas" field) with the one in force. A nil want always
// passes. The error is [ErrConflict].
func CheckRevision(want *int, have int) error {
	if want == nil || *want == have {
		return nil
	}
	return kindError{ErrConflict, fmt.Sprintf("cas: %d: the current revision is %d", *want, have)}
}
