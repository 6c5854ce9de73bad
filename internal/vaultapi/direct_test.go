// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

func TestWhatIsAnsweredDirectly(t *testing.T) {
	s := newServer(t)
	for path, direct := range map[string]bool{
		"transit/k": true, "transit/_k.1-K": true,
		"transit/": false, "transit": false, "transit/k/x": false, "transit/.k": false, "transit/k-": false, "transit/k k": false, "transit/ü": false,
		"strict/k": false, "": false,
	} {
		_, ok, err := s.mount.Direct(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: path}, `{}`)
		require.Equal(t, direct, ok, path)
		require.NoError(t, err)
	}
	for body, direct := range map[string]bool{
		`{"int":1,"list":[{"a":"b"}],"text":"x"}`: true,
		`{"text":1}`:     false, // the SDK makes a text of it
		`{"int":"1"}`:    false,
		`{"texts":"a"}`:  false, // the SDK makes a list of it
		`{"object":[]}`:  false,
		`{"name":"k"}`:   false, // the SDK warns of it
		`{"other":"x"}`:  false, // and of that
		`{"bool":true}`:  false,
		`{"seconds":60}`: false,
	} {
		_, ok, err := s.mount.Direct(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: "transit/k"}, body)
		require.Equal(t, direct, ok, body)
		require.NoError(t, err)
	}
	s.addPath(vaultapi.Path[*vaultapi.Request]{
		Pattern: "optional/" + framework.GenericNameRegex("name") + framework.OptionalParamRegex("text"), Direct: []string{fName.Name}, Fields: everyType,
		Operations: map[logical.Operation]vaultapi.Operation[*vaultapi.Request]{logical.UpdateOperation: {Handle: s.answer}},
	})
	for body, direct := range map[string]bool{`{"secret":"x"}`: true, `{"text":"x"}`: false /* the SDK takes that of the path, which is empty */} {
		_, ok, err := s.mount.Direct(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: "optional/k"}, body)
		require.Equal(t, direct, ok, body)
		require.NoError(t, err)
	}
	_, ok, err := s.mount.Direct(t.Context(), &logical.Request{Operation: logical.DeleteOperation, Path: "transit/k"}, `{}`)
	require.NoError(t, err)
	require.False(t, ok, "the path has no such operation")
}

func TestNamesAreTheSDKs(t *testing.T) {
	pattern := (&framework.Backend{Paths: []*framework.Path{{Pattern: "transit/" + framework.GenericNameRegex("name") + "$"}}})
	s := newServer(t)
	for _, name := range []string{"k", "K-1", "a.b", "a..b", "-a", "a-", ".", "_", "__", "a_", "1", "ä", "a b", "a\n", "a/b"} {
		_, ok, _ := s.mount.Direct(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: "transit/" + name}, `{}`)
		require.Equal(t, pattern.Route("transit/"+name) != nil, ok, "%q", name)
	}
}

func TestAPanicOfADirectAnswerIsKeptIn(t *testing.T) {
	s := newServer(t)
	s.handle = func(*vaultapi.Request) (*logical.Response, error) { panic("a test") }
	_, ok, err := s.mount.Direct(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: "transit/k"}, `{}`)
	require.True(t, ok)
	require.Error(t, err)
	require.Equal(t, []string{"update transit/k"}, s.panics)
}

func TestExistenceIsAnsweredDirectly(t *testing.T) {
	s := newServer(t)
	var why error
	operations := map[logical.Operation]vaultapi.Operation[*vaultapi.Request]{logical.UpdateOperation: {Handle: s.answer}}
	s.addPath(vaultapi.Path[*vaultapi.Request]{
		Pattern: "made/" + framework.GenericNameRegex("name"), Direct: []string{fName.Name}, Fields: everyType, Operations: operations,
		Exists: func(_ context.Context, r *vaultapi.Request) error {
			require.Equal(t, "k", fName.Get(r))
			return why
		},
	})
	for _, c := range []struct {
		path          string
		why           error
		found, exists bool
		ok            bool
	}{
		{"made/k", nil, true, true, true},
		{"made/k", errMissing, true, false, true},
		{"made/a..b", nil, true, false, true}, // no name of anything
		{"made/k", errors.New("storage fails"), true, false, false},
		{"transit/k", nil, false, false, true}, // it has no such check
		{"strict/k", nil, false, false, false},
	} {
		why = c.why
		found, exists, ok := s.mount.DirectExists(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: c.path})
		require.Equal(t, c.ok, ok, "%s %v", c.path, c.why)
		require.Equal(t, []bool{c.found, c.exists}, []bool{found, exists}, "%s %v", c.path, c.why)
	}
	_, _, ok := s.mount.DirectExists(t.Context(), &logical.Request{Operation: logical.ReadOperation, Path: "made/k"})
	require.False(t, ok, "the SDK refuses it")
}

// FuzzDirect sends a body both ways: what a handler reads, and what a client is told, is the same.
func FuzzDirect(f *testing.F) {
	f.Add("k", `{"int":1,"list":[{"int":2,"text":"a"},{"text":7},{}],"text":"x"}`)
	f.Add("a..b", `{"secret":"x"}`)
	f.Fuzz(func(t *testing.T, name, body string) {
		s := newServer(t)
		var data map[string]any
		if json.Unmarshal([]byte(body), &data) != nil {
			return
		}
		var read []any
		s.handle = func(r *vaultapi.Request) (*logical.Response, error) {
			for _, field := range everyType.Names() {
				read = append(read, valueOf(r, field), r.Has(field), r.IsNull(field))
			}
			for _, mode := range []vaultapi.Mode{vaultapi.Item, vaultapi.LooseItem, vaultapi.TextItem} {
				items, err := vaultapi.ItemsOf(r, fList, mode)
				if err != nil {
					read = append(read, err.Error())
					continue
				}
				err = items.Each(func(n int, item *vaultapi.Source) {
					read = append(read, n, fText.Get(item), fInt.Get(item), item.Has(fText.Name), item.IsNull(fInt.Name))
					item.CheckAllTexts()
				})
				read = append(read, items.Len(), items.Single, err)
			}
			return nil, r.Err()
		}
		direct, ok, directErr := s.mount.Direct(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: "transit/" + name}, body)
		if !ok {
			require.Empty(t, read)
			return
		}
		readDirectly := read
		read = nil
		around, aroundErr := s.mount.HandleRequest(t.Context(), s.sdk, &logical.Request{Operation: logical.UpdateOperation, Path: "transit/" + name, Data: data})
		require.Equal(t, read, readDirectly)
		require.Equal(t, around, direct)
		require.Equal(t, aroundErr, directErr)
	})
}
