// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

// FuzzDecode sends fields with values of any JSON to a path of each mode. What a handler reads is what the SDK would
// read; Strict takes nothing that Transit refuses; the same request has the same answer; no error quotes the secret.
func FuzzDecode(f *testing.F) {
	for _, c := range decoded {
		raw, err := json.Marshal(map[string]any{c.field: c.raw, "secret": "the-marker"})
		require.NoError(f, err)
		f.Add(string(raw))
	}
	f.Add(`{"int":5,"texts":["a",1],"pairs":{"a":null},"list":[{"text":"x","int":1e18}]}`)
	s := newServer(f)
	f.Fuzz(func(t *testing.T, text string) {
		var data map[string]any
		if json.Unmarshal([]byte(text), &data) != nil {
			return
		}
		read := map[string]any{}
		s.handle = func(r *vaultapi.Request) (*logical.Response, error) {
			sdk := framework.FieldData{Raw: r.Logical.Data, Schema: everyType.Schema()}
			for _, name := range everyType.Names() {
				read[name] = valueOf(r, name)
				if _, given := data[name]; given && name != fName.Name && !reflect.DeepEqual(read[name], sdk.Get(name)) {
					t.Errorf("%s: %#v, the SDK reads %#v", name, read[name], sdk.Get(name))
				}
			}
			if items, err := vaultapi.ItemsOf(r, fList, vaultapi.LooseItem); err == nil {
				_ = items.Each(func(_ int, item *vaultapi.Source) { readRow(item) })
			}
			return nil, nil
		}
		_, transit := s.send(logical.UpdateOperation, "transit/k", data)
		_, again := s.send(logical.UpdateOperation, "transit/k", data)
		require.Equal(t, transit, again)
		_, strict := s.send(logical.UpdateOperation, "strict/k", data)
		require.False(t, transit != nil && strict == nil, "%v", transit)
		require.Empty(t, s.panics)
		for _, err := range []error{transit, strict} {
			if err != nil && data["secret"] == "the-marker" && strings.Count(text, "the-marker") == 1 {
				require.NotContains(t, err.Error(), "the-marker")
			}
		}
	})
}
