// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Items are what a request asks for: one item in the fields of the request, or those of a batch.
type Items struct {
	Single bool // the item came in the fields of the request
	list   []any
	plain  *plain // that has the list, where list is nil
	mode   Mode
	from   *Source
}

// ItemsOf returns the items of a request that has a batch in a field, or else its one. A batch of the wrong shape is, as
// in Transit, no bad request but an error of the whole call.
func ItemsOf(from From, batch Field[[]any], mode Mode) (Items, error) {
	s := from.source()
	if s.isBatch(batch.Name) {
		return Items{plain: s.batch, mode: mode}, nil
	}
	raw, _ := s.get(batch.Name)
	if raw == nil {
		return Items{Single: true, from: s}, nil
	}
	list, ok := raw.([]any)
	if !ok {
		return Items{}, fmt.Errorf("failed to parse batch input: %s: must be a list, not %T", batch.Name, raw)
	}
	return Items{list: list, mode: mode}, nil
}

// Len is the number of items.
func (i Items) Len() int {
	if i.Single {
		return 1
	}
	if i.plain != nil {
		return len(i.plain.ends)
	}
	return len(i.list)
}

// Each calls read for one item after the other; n is the item's place. The first error of reading ends it. The source is
// for the call alone.
func (i Items) Each(read func(n int, item *Source)) error {
	if i.Single {
		read(0, i.from)
		return i.from.err
	}
	item := &Source{mode: i.mode}
	for n := range i.Len() {
		if err := i.open(n, item); err != nil {
			return err
		}
		if read(n, item); item.err != nil {
			return fmt.Errorf("failed to parse batch input: [%d].%w", n, item.err)
		}
	}
	return nil
}

// open makes a source that of an item.
func (i Items) open(n int, item *Source) error {
	if i.plain != nil {
		item.members = i.plain.item(n)
		return nil
	}
	object, ok := i.list[n].(map[string]any)
	if !ok && i.list[n] != nil {
		return fmt.Errorf("failed to parse batch input: [%d]: must be an object, not %T", n, i.list[n])
	}
	if i.mode == LooseItem {
		object = folded(object)
	}
	item.raw = object
	return nil
}

// folded returns an object with its names in lower case. Of two that are one then, that which was so before counts: it
// comes last.
func folded(object map[string]any) map[string]any {
	lower := make(map[string]any, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		lower[strings.ToLower(name)] = object[name]
	}
	return lower
}

// itemValue reads a field of an item. An error quotes no text, which may be a secret.
func itemValue[T any](s *Source, name string, raw any) (value T) {
	if raw == nil {
		return value
	}
	switch target := any(&value).(type) {
	case *string:
		*target = s.itemText(name, raw)
	case *int:
		*target = s.itemInteger(name, raw)
	default:
		var ok bool
		if value, ok = raw.(T); !ok {
			s.Fail(fmt.Errorf("%s: must be %s, not %T", name, jsonType[fmt.Sprintf("%T", value)], raw))
		}
	}
	return value
}

// jsonType is how JSON calls what Go calls otherwise.
var jsonType = map[string]string{"bool": "a boolean", "[]interface {}": "a list", "map[string]interface {}": "an object"}

func (s *Source) itemText(name string, raw any) string {
	switch value := raw.(type) {
	case string:
		return value
	case float64:
		switch {
		case s.mode == Item:
			s.Fail(fmt.Errorf("%s: must be a string, not a number", name))
		case !isSafe(value):
			s.Fail(Invalidf("%s: %s", name, numberAsText))
		}
		return strconv.FormatFloat(value, 'f', -1, 64)
	default:
		s.Fail(fmt.Errorf("%s: must be a string, not %T", name, value))
		return ""
	}
}

// itemInteger reads a whole number of up to 64 bits, as Transit does. One beyond 32 bits comes as the nearest that is
// not: that there is nothing of such a number is for the item to say.
func (s *Source) itemInteger(name string, raw any) int {
	number, ok := toNumber(raw)
	switch {
	case !ok:
		s.Fail(fmt.Errorf("%s: must be an integer, not %T", name, raw))
	case number != math.Trunc(number) || math.Abs(number) >= math.MaxInt64:
		s.Fail(fmt.Errorf("%s: %v: must be an integer of at most 64 bits", name, number))
	}
	return int(max(math.MinInt32, min(number, math.MaxInt32)))
}
