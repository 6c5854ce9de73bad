// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
)

// maxFile bounds a file of public keys or a checkpoint: 100,000 keys make some 20 MiB.
const maxFile = 256 << 20

// readObject reads the one JSON object in a file, or the "data" of Vault's response with it.
func readObject(path string, into any) error {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // was only read
	raw, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return err
	}
	if len(raw) > maxFile {
		return fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	var response struct{ Data json.RawMessage }
	if err := json.Unmarshal(raw, &response); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if response.Data != nil {
		raw = response.Data
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readPublicKeys(path string) (custody.PublicKeys, error) {
	if path == "" {
		return nil, nil
	}
	var file struct{ Keys custody.PublicKeys }
	if err := readObject(path, &file); err != nil {
		return nil, err
	}
	if len(file.Keys) == 0 {
		return nil, fmt.Errorf(`%s: has no public keys: want {"keys":[...]} or Vault's response`, path)
	}
	return file.Keys, nil
}

func readCheckpoints(paths []string) ([]custody.Signed, error) {
	var out []custody.Signed
	for _, path := range paths {
		var signed custody.Signed
		if err := readObject(path, &signed); err != nil {
			return nil, err
		}
		if signed == (custody.Signed{}) {
			return nil, fmt.Errorf(`%s: is no checkpoint: want {"payload":...} or Vault's response`, path)
		}
		out = append(out, signed)
	}
	return out, nil
}

// recordLines returns an export as lines, whichever of its two forms it has. A record begins with
// {"format": and nothing in a response of Vault does.
func recordLines(in io.Reader) (io.Reader, error) {
	buffered := bufio.NewReader(in)
	start, err := buffered.Peek(buffered.Size())
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !isResponse(string(start)) {
		return buffered, nil
	}
	return &responses{in: json.NewDecoder(buffered)}, nil
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

// responses reads Vault's responses and gives out their records as lines. It holds one response.
type responses struct {
	in   *json.Decoder
	rest strings.Reader
}

func (r *responses) Read(p []byte) (int, error) {
	for r.rest.Len() == 0 {
		var response struct {
			Data struct{ Records *[]string }
		}
		if err := r.in.Decode(&response); err != nil {
			return 0, err // io.EOF between two responses, io.ErrUnexpectedEOF inside one
		}
		if response.Data.Records == nil {
			return 0, errors.New(`a response has no "records"`)
		}
		r.rest.Reset(strings.Join(*response.Data.Records, "\n") + "\n")
	}
	return r.rest.Read(p)
}
