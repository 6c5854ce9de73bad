// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"
	"github.com/stretchr/testify/require"

	"github.com/keylife/vault-plugin-keylife/internal/vaultapi"
)

const (
	mustBeText    = "must be a text"
	numberAsText  = "must be a text; a number is taken for one only if it is an integer below 2^53"
	mustBeInt32   = "must be an integer of at most 32 bits"
	mustBeSafe    = "must be an integer below 2^53"
	mustBeInteger = "must be an integer"
	mustBeDecimal = "must be an integer, in decimal and without leading zeros"
	mustBeBool    = "must be true or false"
	mustBeSpan    = `must be a duration such as "24h" or a whole number of seconds, between 0 and 100 years`
)

// refused is the text of an error.
type refused string

// decoded is what becomes of a value of a field: as Transit reads it, and in strict mode, which is as Transit does where
// nothing is said.
var decoded = []struct {
	field   string
	raw     any
	transit any
	strict  any
}{
	{"text", "x", "x", nil},
	{"text", "", "", nil},
	{"text", nil, "", nil},
	{"text", 7.0, "7", nil},
	{"text", 9007199254740991.0, "9007199254740991", nil},
	{"text", 9007199254740992.0, refused("text: 9007199254740992: " + numberAsText), nil},
	{"text", 12345678901234567890.0, refused("text: 12345678901234567000: " + numberAsText), nil},
	{"text", 1.5, refused("text: 1.5: " + numberAsText), nil},
	{"text", json.Number("7"), "7", nil},
	{"text", json.Number("1e-999"), refused("text: 1e-999: " + numberAsText), nil},
	{"text", true, "1", nil},
	{"text", []any{"x"}, refused("text: " + mustBeText), nil},
	{"text", map[string]any{"a": "x"}, refused("text: " + mustBeText), nil},

	{"bool", true, true, nil},
	{"bool", "true", true, nil},
	{"bool", nil, false, nil},
	{"bool", "", false, refused(`bool: "": ` + mustBeBool)},
	{"bool", "1", true, refused(`bool: "1": ` + mustBeBool)},
	{"bool", 1.0, true, refused("bool: 1: " + mustBeBool)},
	{"bool", 0, false, refused("bool: 0: " + mustBeBool)},
	{"bool", 2.0, refused("bool: 2: " + mustBeBool), nil},
	{"bool", 0.5, refused("bool: 0.5: " + mustBeBool), nil},
	{"bool", "perhaps", refused(`bool: "perhaps": ` + mustBeBool), nil},
	{"bool", []any{true}, refused("bool: " + mustBeBool), nil},

	{"int", 5, 5, nil},
	{"int", 5.0, 5, nil},
	{"int", "5", 5, nil},
	{"int", nil, 0, nil},
	{"int", -5.0, -5, nil},
	{"int", "-0", 0, nil},
	{"int", "", 0, refused(`int: "": ` + mustBeDecimal)},
	{"int", "010", 8, refused(`int: "010": ` + mustBeDecimal)},
	{"int", "0x10", 16, refused(`int: "0x10": ` + mustBeDecimal)},
	{"int", true, 1, refused("int: true: " + mustBeDecimal)},
	{"int", 1.5, refused("int: 1.5: " + mustBeInt32), nil},
	{"int", 2147483648.0, refused("int: 2147483648: " + mustBeInt32), nil},
	{"int", "99999999999999999999", refused(`int: "99999999999999999999": ` + mustBeInt32), nil},
	{"int", json.Number("1e-999"), refused("int: 1e-999: " + mustBeInt32), nil},
	{"int", "one", refused(`int: "one": ` + mustBeInteger), nil},
	{"int", []any{1.0}, refused("int: " + mustBeInteger), nil},
	{"int", map[string]any{}, refused("int: " + mustBeInteger), nil},
	{"first", "", 0, nil},
	{"first", "", 0, 0},

	{"int64", 9007199254740991.0, int64(9007199254740991), nil},
	{"int64", "9007199254740991", int64(9007199254740991), nil},
	{"int64", 9007199254740992.0, refused("int64: 9007199254740992: " + mustBeSafe), nil},
	{"int64", "", int64(0), refused(`int64: "": ` + mustBeDecimal)},
	{"int64", true, int64(1), refused("int64: true: " + mustBeDecimal)},
	{"int64", 0.5, refused("int64: 0.5: " + mustBeSafe), nil},

	{"seconds", "24h", 86400, nil},
	{"seconds", "60", 60, nil},
	{"seconds", 60.0, 60, nil},
	{"seconds", "1d", 86400, nil},
	{"seconds", nil, 0, nil},
	{"seconds", 3153600000.0, 3153600000, nil},
	{"seconds", 3153600001.0, refused("seconds: 3153600001: " + mustBeSpan), nil},
	{"seconds", "876001h", refused(`seconds: "876001h": ` + mustBeSpan), nil},
	{"seconds", 3600.5, refused("seconds: 3600.5: " + mustBeSpan), nil},
	{"seconds", -1.0, refused("seconds: -1: " + mustBeSpan), nil},
	{"seconds", "soon", refused(`seconds: "soon": ` + mustBeSpan), nil},

	{"texts", []any{"a", "b"}, []string{"a", "b"}, nil},
	{"texts", "a, b", []string{"a", "b"}, nil},
	{"texts", "", []string{}, nil},
	{"texts", []any{1.0}, []string{"1"}, nil},
	{"texts", []any{1.5}, refused("texts: " + numberAsText), nil},
	{"texts", []any{map[string]any{}}, refused("texts: must be a list of texts"), nil},

	{"pairs", map[string]any{"a": "b"}, map[string]string{"a": "b"}, nil},
	{"pairs", map[string]any{"a": true}, map[string]string{"a": "1"}, nil},
	{"pairs", []any{"a=b"}, map[string]string{"a": "b"}, nil},
	{"pairs", map[string]any{"a": 1.5}, refused("pairs: " + numberAsText), nil},
	{"pairs", map[string]any{"a": []any{map[string]any{"b": 1.5}}}, refused("pairs: " + numberAsText), nil},
	{"pairs", "a", refused(`pairs: "a": must be an object of texts, or a list of pairs "name=value"`), nil},

	{"list", []any{1.5, "x"}, []any{1.5, "x"}, nil},
	{"list", nil, []any{}, nil},
	{"object", map[string]any{"a": 1.5}, map[string]any{"a": 1.5}, nil},
	{"object", "x", refused(`object: "x": must be an object`), nil},

	{"secret", "x", "x", nil},
	{"secret", 1.5, refused("secret: " + numberAsText), nil},
	{"secret", []any{"x"}, refused("secret: " + mustBeText), nil},
}

func TestAValueOfEachTypeIsReadOrRefusedInEachMode(t *testing.T) {
	s := newServer(t)
	for _, c := range decoded {
		strict := c.strict
		if strict == nil {
			strict = c.transit
		}
		for path, want := range map[string]any{"transit/k": c.transit, "strict/k": strict} {
			got, err := s.read(path, c.field, c.raw)
			where := fmt.Sprintf("%s %s %#v", path, c.field, c.raw)
			if rule, ok := want.(refused); ok {
				require.EqualError(t, err, string(rule), where)
				continue
			}
			require.NoError(t, err, where)
			require.Equal(t, want, got, where)
		}
	}
}

func TestWhatIsNotGivenHasItsDefault(t *testing.T) {
	s := newServer(t)
	s.handle = func(r *vaultapi.Request) (*logical.Response, error) {
		require.Equal(t, "default", fText.Get(r))
		require.Equal(t, 7, fInt.Get(r))
		require.Zero(t, fBool.Get(r))
		require.Nil(t, fText.Lookup(r))
		require.Equal(t, map[string]string{}, fPairs.Get(r))
		require.Equal(t, "k", fName.Get(r), "what stands in the path")
		require.Empty(t, vaultapi.Text("other", "Of another path.").Get(r), "what the path does not declare is absent")
		return nil, nil
	}
	_, err := s.send(logical.UpdateOperation, "transit/k", map[string]any{"other": "x"})
	require.NoError(t, err)
}

func TestNullIsAValueOrNoneAsTheReaderSays(t *testing.T) {
	s := newServer(t)
	s.handle = func(r *vaultapi.Request) (*logical.Response, error) {
		require.Equal(t, new(string), fText.Lookup(r), "Transit takes null for an empty text")
		require.Nil(t, fText.LookupNonNull(r))
		require.True(t, r.Has("text"))
		require.True(t, r.IsNull("text"))
		require.False(t, r.Has("int"))
		require.Nil(t, fInt.LookupNonNull(r))
		require.Equal(t, "k", *fName.LookupNonNull(r))
		require.True(t, r.Declares("int"), "it may be there")
		require.False(t, r.Declares("other"))
		return nil, nil
	}
	_, err := s.send(logical.UpdateOperation, "transit/k", map[string]any{"text": nil})
	require.NoError(t, err)
}

func TestOfSeveralBadFieldsTheFirstByNameIsBlamed(t *testing.T) {
	s := newServer(t)
	for range 50 {
		_, err := s.send(logical.UpdateOperation, "transit/k", map[string]any{"text": 1.5, "int": 1.5, "bool": 5.0, "pairs": 1.5})
		require.EqualError(t, err, "bool: 5: "+mustBeBool)
	}
}

func TestAFieldThatThePathDoesNotHave(t *testing.T) {
	s := newServer(t)
	s.handle = func(*vaultapi.Request) (*logical.Response, error) { return vaultapi.Data(fDone.Is(true)), nil }
	_, err := s.send(logical.UpdateOperation, "strict/k", map[string]any{"zebra": 1, "ape": 2, "text": "x"})
	require.EqualError(t, err, "ape, zebra: this path has no such field")
	resp, err := s.send(logical.UpdateOperation, "transit/k", map[string]any{"zebra": 1, "ape": 2, "text": "x"})
	require.NoError(t, err)
	require.Len(t, resp.Warnings, 1)
}

func TestANameThatStorageDoesNotTakeIsRefusedOnEveryPath(t *testing.T) {
	s := newServer(t)
	for _, path := range []string{"transit/", "strict/"} {
		_, err := s.send(logical.UpdateOperation, path+"a..b", nil)
		require.EqualError(t, err, `name: "a..b": relative paths not supported`)
		_, err = s.send(logical.UpdateOperation, path+strings.Repeat("n", 11), nil)
		require.EqualError(t, err, `name: "nnnnnnnnnnn": must have at most 10 bytes`)
		_, err = s.send(logical.UpdateOperation, path+strings.Repeat("n", 10), nil)
		require.NoError(t, err)
	}
	_, err := s.send(logical.UpdateOperation, "transit/a..b", map[string]any{"int": "one"})
	require.EqualError(t, err, `name: "a..b": relative paths not supported`, "also where the SDK refuses a field first")
}

func TestOneFieldCanBeReadExactlyWhereTheOthersAreNot(t *testing.T) {
	s := newServer(t)
	s.handle = func(r *vaultapi.Request) (*logical.Response, error) { return nil, r.CheckExact(fInt.Name) }
	_, err := s.send(logical.UpdateOperation, "transit/k", map[string]any{"int": "", "int64": ""})
	require.EqualError(t, err, `int: "": `+mustBeDecimal)
	_, err = s.send(logical.UpdateOperation, "transit/k", map[string]any{"int64": ""})
	require.NoError(t, err)
}

// TestNoErrorQuotesASecret puts values of every wrong kind into every field. Texts of errors get into Vault's logs.
func TestNoErrorQuotesASecret(t *testing.T) {
	const marker = "the-marker"
	wrong := []any{
		map[string]any{"a": marker},
		map[string]any{"a": map[string]any{"b": marker}},
		map[string]any{"a": 8675309.25},
		[]any{marker, marker},
		[]any{map[string]any{"a": marker}},
		[]any{[]any{marker}},
		[]any{8675309.25},
	}
	s := newServer(t)
	refusals := 0
	for _, path := range []string{"transit/k", "strict/k"} {
		for _, name := range everyType.Names() {
			values := wrong
			if name == fSecret.Name {
				values = append(values, marker, 8675309.25)
			}
			for _, value := range values {
				_, err := s.read(path, name, value)
				if err == nil {
					continue
				}
				refusals++
				require.NotContains(t, err.Error(), marker, "%s %s", path, name)
				require.NotContains(t, err.Error(), "8675309", "%s %s", path, name)
			}
		}
	}
	require.Greater(t, refusals, 50)
}
