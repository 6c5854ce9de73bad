// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/keylife/vault-plugin-keylife/internal/custody"
	"github.com/keylife/vault-plugin-keylife/internal/migrate"
)

// reportSource is a mount that is asked for a report.
type reportSource struct{ mount }

// read asks for a path, and reads the data of the answer.
func (s reportSource) read(ctx context.Context, path string, query map[string]any, into any) error {
	reply, err := s.Send(ctx, migrate.Request{Operation: migrate.Read, Path: path, Data: query})
	if err == nil && reply.Status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", reply.Status, strings.Join(reply.Errors, "; "))
	}
	if err == nil {
		err = json.Unmarshal(reply.Data, into)
	}
	if err != nil {
		return fmt.Errorf("read %s/%s: %w", s.path, path, err)
	}
	return nil
}

func (s reportSource) publicKeys(ctx context.Context) (custody.PublicKeys, error) {
	var answer struct {
		Keys custody.PublicKeys `json:"keys"`
	}
	err := s.read(ctx, "custody/public-key", nil, &answer)
	return answer.Keys, err
}

// pages asks for all pages of a report. The first one sets the period of all.
func (s reportSource) pages(ctx context.Context, tag, from, to string) (signed []custody.Signed, err error) {
	query := map[string]any{"tag": tag}
	for name, text := range map[string]string{"from": from, "to": to} {
		if text != "" {
			query[name] = text
		}
	}
	for last := ""; ; {
		var page struct {
			custody.Signed
			From string `json:"from"`
			To   string `json:"to"`
			Next string `json:"next_after"`
		}
		if err := s.read(ctx, "compliance/report", query, &page); err != nil {
			return nil, err
		}
		signed = append(signed, page.Signed)
		switch {
		case page.Next == "":
			return signed, nil
		case page.Next <= last:
			return nil, errors.New("the pages do not go on")
		}
		last = page.Next
		query["from"], query["to"], query["after"] = page.From, page.To, page.Next
	}
}

// readPages reads pages: those that savePages wrote, or Vault's responses, one after the other.
func readPages(path string) (signed []custody.Signed, err error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // was only read
	in := decoder(file, maxFile)
	for in.More() {
		var page custody.Signed
		fields := fieldsOf(in, map[string]any{"payload": &page.Payload, "key_id": &page.KeyID, "signature": &page.Signature})
		seen := names{}
		err := seen.object(in, func(name string) error {
			if name == "data" {
				return seen.object(in, fields)
			}
			return fields(name)
		})
		if err == nil && page == (custody.Signed{}) {
			err = errors.New(`is no page: want {"payload":...} or Vault's response`)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: page %d: %w", path, len(signed)+1, err)
		}
		signed = append(signed, page)
	}
	if err := end(in); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return signed, nil
}

func savePages(path string, signed []custody.Signed) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	to := json.NewEncoder(file)
	for _, page := range signed {
		if err := to.Encode(page); err != nil {
			return err
		}
	}
	return nil
}
