// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/zclconf/go-cty/cty"
)

// CheckTexts refuses values of some fields that the SDK would turn into another type, so that what is read is what was
// written: a number or a boolean for a text, or inside a list or a map.
func (s *Source) CheckTexts(fields Fields) error {
	for _, name := range fields.names {
		raw, _ := s.get(name)
		if raw == nil {
			continue
		}
		if rule := textRule(fields.byName[name], raw); rule != "" {
			return InvalidField(name, raw, rule)
		}
	}
	return nil
}

func textRule(d *declaration, raw any) string {
	if d.rule != nil {
		if rule := d.rule(raw); rule != "" {
			return rule
		}
	}
	switch d.schema.Type {
	case framework.TypeString:
		return oneTextRule(d, raw)
	case framework.TypeCommaStringSlice, framework.TypeKVPairs:
		return manyTextsRule(raw)
	default:
		return ""
	}
}

func oneTextRule(d *declaration, raw any) string {
	if text, ok := raw.(string); ok {
		return Normal(text)
	}
	if !d.orSeconds {
		return "must be a text"
	}
	if _, ok := toNumber(raw); !ok {
		return "must be a text or a number of seconds"
	}
	return ""
}

// manyTextsRule is for a list or an object of texts. The SDK takes spaces off the elements of lists.
func manyTextsRule(raw any) string {
	switch given := raw.(type) {
	case string:
		return Normal(given)
	case []any:
		return firstRule(given, elementRule)
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(given)) {
			if rule := firstRule([]any{name, given[name]}, valueRule); rule != "" {
				return rule
			}
		}
		return ""
	default:
		return "must hold texts"
	}
}

func firstRule(values []any, ruleOf func(any) string) string {
	for _, value := range values {
		if rule := ruleOf(value); rule != "" {
			return rule
		}
	}
	return ""
}

func elementRule(element any) string {
	if text, ok := element.(string); ok && text != strings.TrimSpace(text) {
		return "must hold texts without spaces around them"
	}
	return valueRule(element)
}

func valueRule(value any) string {
	text, ok := value.(string)
	if !ok {
		return "must hold texts only"
	}
	return Normal(text)
}

// Normal is the rule of the form that the parser of HCL gives to all texts. In another one, what looks the same would
// have another hash by fields than by HCL.
func Normal(text string) string {
	if cty.NormalizeString(text) != text {
		return "must be in Unicode normal form C (NFC)"
	}
	return ""
}
