// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

//go:build acceptance

package test_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// superset are the members that keylife may add to a view of a key.
var superset = []string{
	"policy", "labels", "owner", "next_rotation_time", "rotation_status", "revision",
	"keys", // of keys that make MACs, whose versions Transit does not show (hashicorp/vault#31656)
	"state", "legal_hold", "primary_version", "staged_version", "destroy_time", "soft_deleted", "protection", "allowed_uses", "public_jwks",
}

// custodys are the members of a view of a key that keylife does not have: custody says when a key was backed up and restored.
var custodys = []string{"backup_info", "restore_info"}

// comparison holds what is known about the request whose answers are compared.
type comparison struct {
	keyView bool // the answer may show a key, or the settings of all, where keylife shows more
	list    bool // the answer lists keys, of which keylife shows a table beside the names
	random  bool // the plaintext is a fresh data key
	found   []string
}

// compare returns how keylife's answer differs from Transit's; nothing when a client could not tell them apart.
func compare(s step, transit, keylife harness.Reply) []string {
	c := comparison{
		keyView: strings.HasPrefix(s.path, "keys/") || s.path == "config/keys",
		list:    strings.TrimSuffix(strings.TrimSuffix(s.path, "?list=true"), "/") == "keys",
		random:  strings.HasPrefix(s.path, "datakey/"),
	}
	switch {
	case transit.Status != keylife.Status:
		c.differ("status", fmt.Sprint(transit.Status, transit.Body["errors"]), fmt.Sprint(keylife.Status, keylife.Body["errors"]))
	case transit.Body == nil && keylife.Body == nil:
	case transit.Body == nil || keylife.Body == nil:
		c.differ("body", transit.Body, keylife.Body)
	default:
		c.object("", transit.Body, keylife.Body)
	}
	return c.found
}

func (c *comparison) differ(at string, transit, keylife any) {
	c.found = append(c.found, fmt.Sprintf("%s: transit %s, keylife %s", strings.TrimPrefix(at, "."), show(transit), show(keylife)))
}

func (c *comparison) object(at string, transit, keylife map[string]any) {
	names := make([]string, 0, len(transit)+len(keylife))
	for name := range transit {
		names = append(names, name)
	}
	for name := range keylife {
		if _, both := transit[name]; !both {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		a, inTransit := transit[name]
		b, inKeylife := keylife[name]
		switch {
		case inTransit && inKeylife:
			c.member(at+"."+name, name, a, b)
		case inKeylife && c.keyView && at == ".data" && slices.Contains(superset, name):
		case inKeylife && c.list && at == ".data" && name == "key_info":
		case inTransit && c.keyView && at == ".data" && slices.Contains(custodys, name):
		case inKeylife:
			c.differ(at+"."+name, absent{}, b)
		default:
			c.differ(at+"."+name, a, absent{})
		}
	}
}

// member compares two values by the name they go by.
func (c *comparison) member(at, name string, transit, keylife any) {
	switch {
	case kindOf(transit) != kindOf(keylife):
		c.differ(at, transit, keylife)
	case name == "request_id", name == "mount_type", name == "error":
	case name == "errors", name == "warnings": // their texts are free
		if length(transit) != length(keylife) {
			c.differ(at, transit, keylife)
		}
	case name == "backup": // material, of each engine's own; what is in it is for the tests of backups
	case name == "ciphertext", name == "hmac":
		if outline(transit) != outline(keylife) {
			c.differ(at, transit, keylife)
		}
	case name == "signature":
		if !sameSignature(transit, keylife) {
			c.differ(at, transit, keylife)
		}
	case name == "public_key", name == "publickey": // another key's
		if length(transit) != length(keylife) {
			c.differ(at, transit, keylife)
		}
	case name == "plaintext" && c.random, name == "random_bytes":
		if length(transit) != length(keylife) {
			c.differ(at, transit, keylife)
		}
	case name == "keys" && kindOf(transit) == "object": // version to creation time
		c.times(at, transit.(map[string]any), keylife.(map[string]any))
	default:
		c.value(at, transit, keylife)
	}
}

func (c *comparison) value(at string, transit, keylife any) {
	if kindOf(transit) != kindOf(keylife) {
		c.differ(at, transit, keylife)
		return
	}
	switch a := transit.(type) {
	case map[string]any:
		c.object(at, a, keylife.(map[string]any))
	case []any:
		b := keylife.([]any)
		if len(a) != len(b) {
			c.differ(at, a, b)
			return
		}
		for i := range a {
			c.value(fmt.Sprintf("%s.%d", at, i), a[i], b[i])
		}
	default:
		if transit != keylife {
			c.differ(at, transit, keylife)
		}
	}
}

// times compares maps whose values are moments: the same versions, told in the same type.
func (c *comparison) times(at string, transit, keylife map[string]any) {
	kinds := func(m map[string]any) map[string]any {
		k := make(map[string]any, len(m))
		for name, value := range m {
			k[name] = kindOf(value)
		}
		return k
	}
	c.object(at, kinds(transit), kinds(keylife))
}

// absent stands for a member that is not there.
type absent struct{}

func kindOf(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case json.Number:
		return "number"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	default:
		return fmt.Sprintf("%T", value)
	}
}

func length(value any) int {
	switch v := value.(type) {
	case string:
		return len(v)
	case []any:
		return len(v)
	default:
		return 0
	}
}

// outline is what a ciphertext shows without its key: the prefix with the version, and the length of the payload.
func outline(value any) string {
	text, _ := value.(string)
	prefix, payload, _ := cutLast(text, ":")
	return fmt.Sprintf("%s:%d", prefix, len(payload))
}

// sameSignature reports whether signatures differ by their keys alone. The length of one of ECDSA in ASN.1 is not always the same.
func sameSignature(transit, keylife any) bool {
	a, _ := transit.(string)
	b, _ := keylife.(string)
	prefix, payload, _ := cutLast(a, ":")
	otherPrefix, otherPayload, _ := cutLast(b, ":")
	asn1 := strings.HasPrefix(payload, "M") && strings.HasPrefix(otherPayload, "M") && max(len(payload), len(otherPayload)) < 200
	return prefix == otherPrefix && (asn1 || len(payload) == len(otherPayload))
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", text, false
	}
	return text[:i], text[i+len(separator):], true
}

func show(value any) string {
	if _, missing := value.(absent); missing {
		return "nothing"
	}
	const most = 300
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprintf("%v", value)
	}
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
