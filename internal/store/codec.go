// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
)

// schema is the newest record layout this build reads and writes.
const schema = 1

// ErrNewerSchema reports a record that a newer release wrote. It is refused: writing it back could lose what this
// release does not know.
var ErrNewerSchema error = newerError{}

type newerError struct{}

func (newerError) Error() string {
	return "record was written by a newer release of keylife: run that release, or a later one"
}

// Unreadable tells who does not know this package that there is a record.
func (newerError) Unreadable() bool { return true }

// ErrCorrupt reports a record that is no JSON of its kind.
var ErrCorrupt error = corruptError{}

type corruptError struct{}

func (corruptError) Error() string { return "stored record cannot be read" }

// Corrupt tells who does not know this package.
func (corruptError) Corrupt() bool { return true }

// Unreadable tells who does not know this package that there is a record.
func (corruptError) Unreadable() bool { return true }

// unknown holds the fields of a record that this release does not know. They survive a read-modify-write, so that an
// older release in a cluster being upgraded drops nothing.
type unknown map[string]json.RawMessage

// decode reads a stored record into v and returns the fields v does not have.
func decode[T any](path string, data []byte, v *T) (unknown, error) {
	if decodeKnown(data, v) {
		return unknown{}, nil
	}
	*v = *new(T)
	fields := unknown{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, fmt.Errorf("%s: %w", path, ErrCorrupt) // not the cause: it would quote the record
	}
	var head struct {
		Schema int `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil || head.Schema < 1 {
		return nil, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	if head.Schema > schema {
		return nil, fmt.Errorf("%s: schema %d, this release reads up to %d: %w", path, head.Schema, schema, ErrNewerSchema)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("%s: %w", path, ErrCorrupt)
	}
	known, err := fieldsOf(*v)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(fields, func(name string, _ json.RawMessage) bool {
		_, ok := known[name]
		return ok
	})
	return fields, nil
}

// decodeKnown reads a record as nearly all are, in one pass: of this schema, and without a field that v does not have. Where
// it is another it reports false, and decode finds out what it is.
func decodeKnown[T any](data []byte, v *T) bool {
	if _, itself := any(v).(json.Unmarshaler); itself {
		return false // the decoder does not see its fields
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(v) != nil || reflect.ValueOf(v).Elem().FieldByName("Schema").Int() != schema {
		return false
	}
	_, err := d.Token()
	return errors.Is(err, io.EOF)
}

// encode writes v, with the fields that an earlier decode did not know.
func encode(v any, rest unknown) ([]byte, error) {
	if len(rest) == 0 {
		return json.Marshal(v)
	}
	fields, err := fieldsOf(v)
	if err != nil {
		return nil, err
	}
	maps.Copy(fields, rest)
	return json.Marshal(fields)
}

// fieldsOf splits a record into its fields. Records have no omitempty, so that every field they know is there.
func fieldsOf(v any) (unknown, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode record: %w", err)
	}
	fields := unknown{}
	return fields, json.Unmarshal(data, &fields)
}
