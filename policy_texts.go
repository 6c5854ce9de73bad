// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package keylife

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/zclconf/go-cty/cty"

	"github.com/keylife/vault-plugin-keylife/internal/lifecycle"
)

// checkContent refuses values that the SDK would turn into another type, so that what is read is what was written: a
// number or a boolean for a text, or inside a list or a map.
func (c *request) checkContent() error {
	for _, name := range sorted(contentFields) {
		raw := c.Raw[name]
		if raw == nil {
			continue
		}
		var rule string
		switch contentFields[name].Type {
		case framework.TypeString:
			rule = checkText(name, raw)
		case framework.TypeCommaStringSlice, framework.TypeKVPairs:
			rule = checkTexts(raw)
		default:
		}
		if rule != "" {
			return lifecycle.InvalidField(name, raw, rule)
		}
	}
	return nil
}

// checkText returns the rule that a value for a text breaks. A length of time may be a number.
func checkText(name string, raw any) string {
	if name == fRotationWindow.name && isLength(raw) {
		return "must be a cron expression of five fields: when the window opens; how long it is open is " + fWindowLength.name
	}
	if text, ok := raw.(string); ok {
		return checkNormal(text)
	}
	if !slices.Contains(sorted(spans(&lifecycle.Document{})), name) && name != fRotationJitter.name {
		return "must be a text"
	}
	if _, ok := toNumber(raw); !ok {
		return "must be a text or a number of seconds"
	}
	return ""
}

// isLength reports a length of time, which is what a field named window holds in other engines of Vault.
func isLength(raw any) bool {
	_, err := lifecycle.ParseSpan("", fmt.Sprint(raw))
	return err == nil
}

// checkTexts does it for a list or a map of texts. The SDK takes spaces off the elements of lists.
func checkTexts(raw any) string {
	var values []any
	isList := false
	switch given := raw.(type) {
	case string:
		return checkNormal(given)
	case []any:
		values, isList = given, true
	case map[string]any:
		for name, value := range given {
			values = append(values, name, value)
		}
	default:
		return "must hold texts"
	}
	for _, value := range values {
		text, ok := value.(string)
		if !ok {
			return "must hold texts only"
		}
		if isList && text != strings.TrimSpace(text) {
			return "must hold texts without spaces around them"
		}
		if rule := checkNormal(text); rule != "" {
			return rule
		}
	}
	return ""
}

// checkNormal holds a text to the form that the parser of HCL gives to all texts. In another one, what looks the same
// would have another hash by fields than by HCL.
func checkNormal(text string) string {
	if cty.NormalizeString(text) != text {
		return "must be in Unicode normal form C (NFC)"
	}
	return ""
}
