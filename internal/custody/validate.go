// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unicode/utf8"
)

// MaxSeq is the highest number of a record. An act takes the numbers of ActRecords of them.
const (
	MaxSeq     = math.MaxInt32
	ActRecords = 2
)

const (
	format       = 1
	maxLine      = 64 << 10 // of a record's line, without the line break
	maxText      = 512      // of every text of a record but the two names, in bytes
	maxKeyName   = 8 << 10  // of the names of the key and of its policy, which Vault does not bound
	maxName      = 64       // of the name of a detail
	maxDetails   = 32
	maxVersions  = 64
	clippedTrail = "…"
)

// Clip makes a text fit a record: valid UTF-8 and not too long. Use it on what the caller did not
// choose, such as the text of an error: the end of an act must not go unrecorded for its length.
func Clip(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	cut := maxText - len(clippedTrail)
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + clippedTrail
}

// check is the same for what is written and for what is read. Its errors name fields, not contents.
func (r Record) check() error {
	switch {
	case r.Instance == "" || r.Key == "":
		return errors.New("instance and key are needed")
	case r.Seq < 1 || r.Seq > MaxSeq:
		return fmt.Errorf("seq must be between 1 and %d", MaxSeq)
	case !isHash(r.Prev):
		return errors.New("prev must be 64 lower-case hex digits")
	case (r.Seq == 1) != (r.Prev == genesisHash):
		return errors.New("the first record, and no other, has 64 zeros for prev")
	case r.Time.IsZero():
		return errors.New("time is needed")
	}
	if err := r.checkTexts(); err != nil {
		return err
	}
	switch r.Kind {
	case Begin:
		return r.checkBegin()
	case End:
		return r.checkEnd()
	default:
		return errors.New(`kind must be "begin" or "end"`)
	}
}

func (r Record) checkTexts() error {
	if err := errors.Join(checkText("key", r.Key, maxKeyName), checkText("policy", r.Policy, maxKeyName)); err != nil {
		return err
	}
	for _, field := range []struct{ name, text string }{
		{"instance", r.Instance},
		{"key_id", r.KeyID},
		{"act", r.Act},
		{"from", r.From},
		{"to", r.To},
		{"entity_id", r.Actor.EntityID},
		{"display_name", r.Actor.DisplayName},
		{"token_accessor_hmac", r.Actor.TokenAccessorHMAC},
		{"client_address", r.Actor.Address},
		{"reason", r.Reason},
		{"request_id", r.RequestID},
		{"note", r.Note},
	} {
		if err := checkText(field.name, field.text, maxText); err != nil {
			return err
		}
	}
	return nil
}

func checkText(name, text string, longest int) error {
	if len(text) > longest {
		return fmt.Errorf("%s has %d bytes, at most %d are kept", name, len(text), longest)
	}
	if !utf8.ValidString(text) {
		return fmt.Errorf("%s is not UTF-8", name)
	}
	return nil
}

func (r Record) checkBegin() error {
	switch {
	case r.Act == "":
		return errors.New("a begin record needs an act")
	case r.Of != 0 || r.Outcome != "" || r.Note != "" || r.Recovered:
		return errors.New("a begin record has no outcome")
	case r.PolicyRevision < 0:
		return errors.New("policy_revision must not be negative")
	case len(r.Versions) > maxVersions:
		return fmt.Errorf("%d versions, at most %d are listed", len(r.Versions), maxVersions)
	}
	for _, version := range r.Versions {
		if version < 1 {
			return errors.New("versions count from 1")
		}
	}
	return r.checkDetails()
}

func (r Record) checkDetails() error {
	if len(r.Details) > maxDetails {
		return fmt.Errorf("%d details, at most %d are kept", len(r.Details), maxDetails)
	}
	for name, text := range r.Details {
		if name == "" {
			return errors.New("a detail needs a name")
		}
		if err := errors.Join(checkText("name of a detail", name, maxName), checkText("a detail", text, maxText)); err != nil {
			return err
		}
	}
	return nil
}

func (r Record) checkEnd() error {
	switch {
	case r.Of < 1 || r.Of >= r.Seq:
		return errors.New("an end record needs the seq of an earlier begin record")
	case r.Outcome != Done && r.Outcome != Failed:
		return errors.New(`outcome must be "done" or "failed"`)
	}
	bare := Record{
		Format: r.Format, Instance: r.Instance, Key: r.Key, Seq: r.Seq, Prev: r.Prev, Time: r.Time, Kind: r.Kind,
		Of: r.Of, Outcome: r.Outcome, Note: r.Note, Recovered: r.Recovered,
	}
	if !reflect.DeepEqual(bare, r) {
		return errors.New("an end record has nothing but of, outcome, note and recovered")
	}
	return nil
}

func isHash(text string) bool {
	return len(text) == 64 && strings.Trim(text, "0123456789abcdef") == ""
}
