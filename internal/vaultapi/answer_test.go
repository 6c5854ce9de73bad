// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

type person struct {
	name string
	born time.Time
}

var shown = vaultapi.Answer[person]{
	vaultapi.Show(fName, func(p person) string { return p.name }),
	vaultapi.ShowAs(fObject, func(p person) map[string]int { return map[string]int{"letters": len(p.name)} }),
	vaultapi.Show(vaultapi.Text("born", "When."), func(p person) string { return vaultapi.Time(p.born) }),
}

func TestAnAnswerHasTheFieldsThatItDeclares(t *testing.T) {
	p := person{"k", time.Date(2026, 3, 1, 13, 0, 0, 0, time.FixedZone("", 3600))}
	want := map[string]any{"name": "k", "object": map[string]int{"letters": 1}, "born": "2026-03-01T12:00:00Z"}
	require.Equal(t, want, shown.Of(p).Data)
	require.Equal(t, []string{"bool", "born", "name", "object"}, shown.Fields(fBool).Names())
	require.Equal(t, "When.", shown.Fields().Schema()["born"].Description)
	require.Empty(t, vaultapi.Time(time.Time{}))
}

func TestAnAnswerOfSomeValues(t *testing.T) {
	rows := vaultapi.Rows([]person{{name: "a"}, {name: "b"}}, func(p person) map[string]any { return map[string]any{"name": p.name} })
	resp := vaultapi.Data(fName.Is("k"), fList.Is(rows))
	require.Equal(t, map[string]any{"name": "k", "list": []map[string]any{{"name": "a"}, {"name": "b"}}}, resp.Data)
	require.Equal(t, []map[string]any{}, vaultapi.Rows[person](nil, nil), "no rows are an empty list, not null")
}
