// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// maxFile bounds a value in a file of public keys or a checkpoint: 100,000 keys make some 20 MiB.
const maxFile = 256 << 20

// readObject reads the one JSON object in a file, or the "data" of Vault's response with it.
func readObject(path string, member func(in *json.Decoder, name string) error) error {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // was only read
	in, seen := decoder(file, maxFile), names{}
	err = seen.object(in, func(name string) error {
		if name == "data" {
			return seen.object(in, func(name string) error { return member(in, name) })
		}
		return member(in, name)
	})
	if err == nil {
		err = end(in)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readPublicKeys(path string) (custody.PublicKeys, error) {
	if path == "" {
		return nil, nil
	}
	var keys custody.PublicKeys
	err := readObject(path, func(in *json.Decoder, name string) error {
		if name != "keys" {
			return skip(in)
		}
		return list(in, func() error {
			var k custody.PublicKey
			err := names{}.object(in, fieldsOf(in, map[string]any{
				"id": &k.ID, "generation": &k.Generation, "key": &k.Key, "created": &k.Created,
				"signed_by": &k.SignedBy, "signature": &k.Signature,
			}))
			keys = append(keys, k)
			return err
		})
	})
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf(`%s: has no public keys: want {"keys":[...]} or Vault's response`, path)
	}
	return keys, err
}

func readCheckpoints(paths []string) ([]custody.Signed, error) {
	var out []custody.Signed
	for _, path := range paths {
		var signed custody.Signed
		targets := map[string]any{"payload": &signed.Payload, "key_id": &signed.KeyID, "signature": &signed.Signature}
		err := readObject(path, func(in *json.Decoder, name string) error { return fieldsOf(in, targets)(name) })
		if err != nil {
			return nil, err
		}
		if signed == (custody.Signed{}) {
			return nil, fmt.Errorf(`%s: is no checkpoint: want {"payload":...} or Vault's response`, path)
		}
		out = append(out, signed)
	}
	return out, nil
}

func readAttestation(path string) (custody.Envelope, error) {
	var e custody.Envelope
	err := readObject(path, func(in *json.Decoder, name string) error {
		if name != "signatures" {
			return fieldsOf(in, map[string]any{"payload": &e.Payload, "payloadType": &e.PayloadType})(name)
		}
		return list(in, func() error {
			var s custody.EnvelopeSignature
			err := names{}.object(in, fieldsOf(in, map[string]any{"keyid": &s.KeyID, "sig": &s.Signature}))
			e.Signatures = append(e.Signatures, s)
			return err
		})
	})
	if err == nil && (e.Payload == "" || len(e.Signatures) == 0) {
		err = fmt.Errorf(`%s: is no attestation: want {"payload":...} with signatures, or Vault's response`, path)
	}
	return e, err
}

// recordLines returns the records of an export, whichever of its two forms it has. A record begins with
// {"format": and nothing in a response of Vault does.
func recordLines(in io.Reader) (iter.Seq2[[]byte, error], error) {
	buffered := bufio.NewReader(in)
	start, err := buffered.Peek(buffered.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !isResponse(string(start)) {
		return custody.Lines(buffered), nil
	}
	return responses(buffered), nil
}

// isResponse looks at the first field, so that of a record that was tampered with a problem is made,
// and not an answer that the file cannot be read.
func isResponse(start string) bool {
	rest, found := strings.CutPrefix(strings.TrimSpace(start), "{")
	if !found {
		return false
	}
	rest = strings.TrimSpace(rest)
	for _, field := range []string{"request_id", "lease_id", "lease_duration", "renewable", "data", "warnings", "auth", "wrap_info", "mount_type"} {
		if strings.HasPrefix(rest, `"`+field+`"`) {
			return true
		}
	}
	return false
}

// maxValue bounds a value in a response, and with it the memory that reading takes: the largest record is of 64 KiB,
// and JSON may write each byte as six.
const maxValue = 1 << 20

// responses returns the records of Vault's responses, one response after the other.
func responses(from io.Reader) iter.Seq2[[]byte, error] {
	in := decoder(from, maxValue)
	return func(yield func([]byte, error) bool) {
		stop := errors.New("stop")
		for in.More() {
			err := readResponse(in, func(record string) error {
				if !yield([]byte(record), nil) {
					return stop
				}
				return nil
			})
			if err != nil {
				_ = errors.Is(err, stop) || yield(nil, err)
				return
			}
		}
		if err := end(in); err != nil {
			yield(nil, err)
		}
	}
}

// readResponse calls each with every record of a response.
func readResponse(in *json.Decoder, each func(record string) error) error {
	found := false
	err := names{}.object(in, func(name string) error {
		if name != "data" {
			return skip(in)
		}
		return names{}.object(in, func(name string) error {
			if name != "records" {
				return skip(in)
			}
			found = true
			return list(in, func() error {
				var record string
				if err := value(in, &record); err != nil {
					return err
				}
				return each(record)
			})
		})
	})
	if err == nil && !found {
		err = errors.New(`a response has no "records"`)
	}
	return err
}
