// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package custody

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// What an attestation is: a Statement of in-toto, version 1, whose predicate tells how a version of a key was made.
const (
	statementPayload = "application/vnd.in-toto+json"
	statementType    = "https://in-toto.io/Statement/v1"
	rotationType     = "urn:keylife:rotation:v1"
)

// Statement is what the mount says of how a version was made. Its subject is the custody record that begins the act:
//
//	{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"8f14…/orders/4","digest":{"sha256":"51ab…"}}],
//	 "predicateType":"urn:keylife:rotation:v1","predicate":{"instance":"8f14…","key":"orders","keyId":"6f72…","version":4,
//	 "type":"aes256-gcm96","fingerprint":"…","predecessor":{"version":3,"fingerprint":"…"},"act":"rotate","trigger":"operator",
//	 "created":"2026-03-01T12:00:00Z","activated":"2026-03-01T12:00:00Z","policy":{"name":"pci","revision":2,"hash":"…"},
//	 "checks":{"clock_sane":"passed"},"approval":{"id":"ap-…","approvers":"bob (3f2b…)"},
//	 "record":7,"chain":{"count":8,"hash":"51ab…"}}}
//
// A change to this form is a new predicate type.
type Statement struct {
	Type          string    `json:"_type"` // set by [SignStatement], as are Subject's name and PredicateType
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Making    `json:"predicate"`
}

// Subject is what a statement is about.
type Subject struct {
	Name   string `json:"name"` // <instance>/<key>/<version>
	Digest Digest `json:"digest"`
}

// Digest is that of the line of the custody record.
type Digest struct {
	SHA256 string `json:"sha256"`
}

// Making is how a version of a key was made, and by when that is said.
type Making struct {
	Instance    string            `json:"instance"`
	Key         string            `json:"key"`
	KeyID       string            `json:"keyId"`
	Version     int               `json:"version"`
	Type        string            `json:"type"`
	Fingerprint string            `json:"fingerprint,omitempty"`
	Predecessor *Predecessor      `json:"predecessor,omitempty"` // the version that it was made to follow
	Act         string            `json:"act"`
	Trigger     string            `json:"trigger,omitempty"`
	Created     time.Time         `json:"created,omitzero"`
	Activated   time.Time         `json:"activated,omitzero"` // of one that never was active, missing
	Policy      *PolicyName       `json:"policy,omitempty"`
	Checks      map[string]string `json:"checks,omitempty"` // before the promotion, by name: passed, failed, skipped or not_run
	Approval    *Approval         `json:"approval,omitempty"`
	BreakGlass  bool              `json:"breakGlass,omitempty"`
	Record      int               `json:"record"` // number of the custody record
	Chain       ChainHead         `json:"chain"`  // of the key, when this was signed
}

// Predecessor is the version before.
type Predecessor struct {
	Version     int    `json:"version"`
	Fingerprint string `json:"fingerprint,omitempty"`
}

// PolicyName is a revision of a policy.
type PolicyName struct {
	Name     string `json:"name"`
	Revision int    `json:"revision"`
	Hash     string `json:"hash,omitempty"`
}

// Approval is whose consent the act had.
type Approval struct {
	ID        string `json:"id"`
	Approvers string `json:"approvers"`
}

// ChainHead is where a chain stood.
type ChainHead struct {
	Count int    `json:"count"`
	Hash  string `json:"hash"`
}

// SignStatement signs what is said of the record in line. The error matches [ErrInvalid].
func SignStatement(m Making, line []byte, key SigningKey) (Envelope, error) {
	m.Created, m.Activated = m.Created.Round(0).UTC(), m.Activated.Round(0).UTC()
	s := Statement{
		Type: statementType, PredicateType: rotationType, Predicate: m,
		Subject: []Subject{{Name: m.subject(), Digest: Digest{Hash(line)}}},
	}
	if err := s.check(); err != nil {
		return Envelope{}, fmt.Errorf("%w attestation: %w", ErrInvalid, err)
	}
	payload, err := canonical(s)
	if err != nil {
		return Envelope{}, fmt.Errorf("%w attestation: %w", ErrInvalid, err)
	}
	sealed, err := seal(statementPayload, payload, key)
	if err != nil {
		return Envelope{}, fmt.Errorf("sign attestation: %w", err)
	}
	return sealed, nil
}

// Statement returns what the envelope holds if one of keys signed it. Call [PublicKeys.Check] on keys first. The error
// matches [ErrSignature], [ErrMalformed] or [ErrNewer].
func (e Envelope) Statement(keys PublicKeys) (Statement, error) {
	payload, err := e.open(statementPayload, keys)
	if err != nil {
		return Statement{}, err
	}
	return decodeStatement(payload)
}

// decodeStatement demands the one JSON text of the statement.
func decodeStatement(payload []byte) (Statement, error) {
	var s Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return Statement{}, fmt.Errorf("%w: not the statement expected", ErrMalformed) // the cause would quote the text
	}
	if s.PredicateType != rotationType {
		return Statement{}, fmt.Errorf("predicateType %.99q, this release reads %q: %w", s.PredicateType, rotationType, ErrNewer)
	}
	again, err := canonical(s)
	if err != nil || !bytes.Equal(payload, again) {
		return Statement{}, fmt.Errorf("%w: not in the form it was written in", ErrMalformed)
	}
	if err := s.check(); err != nil {
		return Statement{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return s, nil
}

func (m Making) subject() string { return m.Instance + "/" + m.Key + "/" + strconv.Itoa(m.Version) }

func (s Statement) check() error {
	switch {
	case s.Type != statementType:
		return errors.New("_type must be " + statementType)
	case len(s.Subject) != 1 || s.Subject[0].Name != s.Predicate.subject() || !isHash(s.Subject[0].Digest.SHA256):
		return errors.New("subject must be the version, with the digest of one record")
	}
	return s.Predicate.check()
}

func (m Making) check() error {
	switch {
	case slices.Contains([]string{m.Instance, m.Key, m.KeyID, m.Type, m.Act}, ""):
		return errors.New("instance, key, keyId, type and act are needed")
	case m.Version < 1 || m.Predecessor != nil && m.Predecessor.Version < 1:
		return errors.New("versions count from 1")
	}
	if m.Record < 1 || m.Chain.Count <= m.Record || m.Chain.Count > MaxSeq || !isHash(m.Chain.Hash) {
		return errors.New("the chain must go beyond the record")
	}
	return checkText("key", m.Key, maxKeyName)
}
