// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
)

// toNumber returns the value of a JSON number, in whichever of Go's types it came; NaN, if it would pass for an integer
// and is none as it is written. A float64 came rounded already.
func toNumber(raw any) (float64, bool) {
	switch value := raw.(type) {
	case float64:
		return value, true
	case int:
		return float64(value), true
	case int64:
		return float64(value), true
	case json.Number:
		number, err := value.Float64()
		if isSafe(number) && !isWhole(value.String()) {
			return math.NaN(), true
		}
		return number, err == nil
	default:
		return 0, false
	}
}

// numberOf returns the integer that the SDK reads from a text, and the nearest to one that does not fit.
func numberOf(text string) (float64, bool) {
	number, err := strconv.ParseInt(text, 0, 64)
	return float64(number), err == nil || errors.Is(err, strconv.ErrRange)
}

func isInt32(number float64) bool {
	return number == math.Trunc(number) && math.Abs(number) <= math.MaxInt32
}

// isSafe reports an integer that JSON carries without loss.
func isSafe(number float64) bool {
	return number == math.Trunc(number) && math.Abs(number) < 1<<53
}

// isExactNumber reports whether the numbers in a value, which stand for texts, are still what the caller wrote.
func isExactNumber(raw any) bool {
	switch value := raw.(type) {
	case []any:
		return !slices.ContainsFunc(value, func(element any) bool { return !isExactNumber(element) })
	case map[string]any:
		return isExactNumber(slices.Collect(maps.Values(value)))
	default:
		number, ok := toNumber(raw)
		return !ok || isSafe(number)
	}
}

// numeral is how JSON and HCL write a number, of a length that can be held exactly.
var numeral = regexp.MustCompile(`^-?[0-9]{1,64}(\.[0-9]{1,64})?([eE][+-]?[0-9]{1,2})?$`)

// isWhole reports whether a number is an integer as it is written. A float64 takes 1e-999 for 0, which may mean no limit.
func isWhole(text string) bool {
	if !numeral.MatchString(text) {
		return false
	}
	number, ok := new(big.Rat).SetString(text)
	return ok && number.IsInt()
}

// digits are how an integer is written as a text.
var digits = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// isInteger reports a number, of which bent refuses fractions, or the text of an integer.
func isInteger(raw any) bool {
	if text, ok := raw.(string); ok {
		return digits.MatchString(text)
	}
	_, ok := toNumber(raw)
	return ok
}

// inFull shows a number with all its digits.
func inFull(raw any) any {
	if number, ok := raw.(float64); ok {
		return json.Number(strconv.FormatFloat(number, 'f', -1, 64))
	}
	return raw
}
