// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package mount

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// timeout is what a request may take: a page waits for the slowest.
const timeout = 30 * time.Second

// Mount is a keylife mount. Its methods may be called from many goroutines.
type Mount struct {
	vault *api.Client
	path  string
}

// New returns the mount at the path, as the client's token sees it. The client's retries and timeout are set.
func New(vault *api.Client, path string) *Mount {
	vault.SetMaxRetries(0)
	vault.SetClientTimeout(timeout)
	return &Mount{vault: vault, path: strings.Trim(path, "/")}
}

// Path is where the engine is mounted, without slashes at its ends.
func (m *Mount) Path() string { return m.path }

// Address is that of Vault, as people gave it.
func (m *Mount) Address() string { return m.vault.Address() }

// Missing is why there is no answer. Status is Vault's; 0: there was none.
type Missing struct {
	Path   string
	Status int
	Text   string
	data   any // of the answer that said so
}

// Denied reports whether the token may not do it.
func (m *Missing) Denied() bool { return m.Status == http.StatusForbidden }

// Absent reports whether there is nothing of the name, or the mount has no such path.
func (m *Missing) Absent() bool {
	return m.Status == http.StatusNotFound || strings.Contains(m.Text, "unsupported path")
}

// Part is an answer of the mount, or why there is none.
type Part[T any] struct {
	Value   T
	Missing *Missing
}

// send sends a request that the table has, and returns the data of the answer. A request that it does not have is a fault of the
// caller's, and is not sent.
func (m *Mount) send(ctx context.Context, op operation, path string, fields Fields, body any) (any, *Missing) {
	missing := &Missing{Path: path}
	if !isAllowed(op, path) {
		missing.Status, missing.Text = http.StatusNotFound, fmt.Sprintf("no page asks to %s %q", op, path)
		return nil, missing
	}
	answer, err := m.ask(ctx, op, m.path+"/"+path, fields, body)
	var refused *api.ResponseError
	if errors.As(err, &refused) {
		missing.Status, missing.Text, missing.data = refused.StatusCode, Visible(strings.Join(refused.Errors, "; ")), answer
		return nil, missing
	}
	if err != nil {
		missing.Text = Visible(err.Error())
		return nil, missing
	}
	return answer, nil
}

// ask returns the data of the answer, which a refusal may have, too.
func (m *Mount) ask(ctx context.Context, op operation, path string, fields Fields, body any) (any, error) {
	var response *api.Response
	var err error
	if op == update {
		var text []byte
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
		response, err = m.vault.Logical().WriteRawWithContext(ctx, path, text)
	} else {
		asked := Fields{}
		maps.Copy(asked, fields)
		if op == list {
			asked["list"] = []string{"true"}
		}
		response, err = m.vault.Logical().ReadRawWithDataWithContext(ctx, path, asked)
	}
	if response == nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	var answer struct{ Data any }
	if parsed := response.DecodeJSON(&answer); err == nil && parsed != nil {
		return nil, fmt.Errorf("the answer is no JSON: %w", parsed)
	}
	return answer.Data, err
}

// Fields are those of a query.
type Fields = map[string][]string

// get reads a path. An answer that is not of the type is Missing, too. All its texts are made visible.
func get[T any](ctx context.Context, m *Mount, op operation, path string, fields Fields, body any) Part[T] {
	data, missing := m.send(ctx, op, path, fields, body)
	if missing != nil {
		return Part[T]{Missing: missing}
	}
	return partOf[T](path, visibleIn(data))
}

// exact reads a path whose texts have to be as they are: they are compared, hashed or sent back.
func exact[T any](ctx context.Context, m *Mount, path string, fields Fields) Part[T] {
	data, missing := m.send(ctx, read, path, fields, nil)
	if missing != nil {
		return Part[T]{Missing: missing}
	}
	return partOf[T](path, data)
}

func partOf[T any](path string, data any) (part Part[T]) {
	text, err := json.Marshal(data)
	if err == nil {
		err = json.Unmarshal(text, &part.Value)
	}
	if err != nil {
		part.Missing = &Missing{Path: path, Text: "the answer is not of the form that this command knows: " + err.Error()}
	}
	return part
}

// Table is the answer of a list.
type Table[T any] struct {
	Keys []string     `json:"keys"`
	Info map[string]T `json:"key_info"`
	Next string       `json:"next"`
}

// Row is a line of a table.
type Row[T any] struct {
	Name string
	Info T
}

// Rows are those of names that are described, in their order.
func (t Table[T]) Rows() []Row[T] {
	rows := make([]Row[T], 0, len(t.Keys))
	for _, name := range t.Keys {
		if info, ok := t.Info[name]; ok {
			rows = append(rows, Row[T]{name, info})
		}
	}
	return rows
}

// orEmpty makes an empty table of a list that is 404 because it has nothing to show.
func orEmpty[T any](p Part[Table[T]]) Part[Table[T]] {
	if p.Missing != nil && p.Missing.Status == http.StatusNotFound {
		return Part[Table[T]]{}
	}
	return p
}
