// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// JSON is a value of an answer that appends itself, as [encoding/json] would encode it.
type JSON interface {
	AppendJSON(to []byte) []byte
}

// Encode returns the fields of an answer as JSON. It is false where one of them is none of a text, an int, a truth value and a [JSON].
func Encode(data map[string]any) (json string, ok bool) {
	text := append(make([]byte, 0, sizeOf(data)), '{')
	for name, value := range data {
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = append(AppendText(text, name), ':')
		switch value := value.(type) {
		case string:
			text = AppendText(text, value)
		case int:
			text = strconv.AppendInt(text, int64(value), 10)
		case bool:
			text = strconv.AppendBool(text, value)
		case JSON:
			text = value.AppendJSON(text)
		default:
			return "", false
		}
	}
	text = append(text, '}')
	return unsafe.String(unsafe.SliceData(text), len(text)), true //nolint:gosec // nobody else has the bytes
}

// sizeOf is about how long the JSON of an answer is.
func sizeOf(data map[string]any) int {
	size := 64
	for name, value := range data {
		text, _ := value.(string)
		size += len(name) + len(text) + 16
	}
	return size
}

// AppendText appends a text as JSON.
func AppendText(to []byte, text string) []byte {
	if isBare(text) {
		to = append(to, '"')
		to = append(to, text...)
		return append(to, '"')
	}
	quoted, _ := json.Marshal(text) // a text is always encoded
	return append(to, quoted...)
}

// isBare reports a text that JSON has as it is between its quotes.
func isBare(text string) bool {
	for i := range len(text) {
		if !bare[text[i]] {
			return false
		}
	}
	return true
}

// bare are the bytes of which [encoding/json] escapes none.
var bare = func() (is [256]bool) {
	for c := ' '; c <= '~'; c++ {
		is[c] = !strings.ContainsRune(`"\<>&`, c)
	}
	return is
}()

// Members appends an object of JSON member by member. Names are those of fields.
type Members struct {
	to []byte
}

// AppendList appends a list of so many objects, of each of which members appends the members. size is how long the texts of one are.
func AppendList(to []byte, count int, size func(i int) int, members func(o *Members, i int)) []byte {
	total := 0
	for i := range count {
		total += size(i) + 64
	}
	o := &Members{append(slices.Grow(to, total), '[')}
	for i := range count {
		if i > 0 {
			o.to = append(o.to, ',')
		}
		o.to = append(o.to, '{')
		members(o, i)
		o.to = append(o.to, '}')
	}
	return append(o.to, ']')
}

// Text appends a text.
func (o *Members) Text(name, value string) { o.to = AppendText(o.begin(name), value) }

// TextUnlessEmpty appends a text that is not empty.
func (o *Members) TextUnlessEmpty(name, value string) {
	if value != "" {
		o.Text(name, value)
	}
}

// Base64 appends a text of base64, if after a prefix such as "vault:v1:": JSON has it as it is.
func (o *Members) Base64(name, value string) {
	o.to = append(o.begin(name), '"')
	o.to = append(o.to, value...)
	o.to = append(o.to, '"')
}

// IntUnlessZero appends a number that is not zero.
func (o *Members) IntUnlessZero(name string, value int) {
	if value != 0 {
		o.to = strconv.AppendInt(o.begin(name), int64(value), 10)
	}
}

func (o *Members) begin(name string) []byte {
	if o.to[len(o.to)-1] != '{' {
		o.to = append(o.to, ',')
	}
	o.to = append(o.to, '"')
	o.to = append(o.to, name...)
	return append(o.to, '"', ':')
}
