// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/hashicorp/vault/sdk/logical"
)

// `vault list -detailed` prints the answer of a LIST as a table: a line a name, sorted as texts; a column for each field of
// key_info, sorted by name; "n/a" in a cell that is empty. It cannot ask for a page, so an answer says what it leaves out.

// How many names get a row where nobody says how many, and at most.
const (
	usualRows = 100
	mostRows  = 1000
)

// Next says where the rows of a LIST end.
var Next = Text("next", "What to pass as after to go on, where more follows.")

// Listing is what a LIST asks for.
type Listing struct {
	Names []string // of the answer
	Rows  []string // the first of them: those that get a row
	more  bool     // names follow that were not asked for
}

// ListNames returns what a LIST asks for, of all names in alphabetical order. What ends in a slash is a folder of storage
// and no name.
func ListNames(from From, all []string) (Listing, error) {
	limit, err := limitOf(from)
	if err != nil {
		return Listing{}, err
	}
	names := slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(name, "/") })
	return listing(Behind(names, After.Get(from)), limit), nil
}

// ListNumbers returns what a LIST asks for, of the numbers 1 to last.
func ListNumbers(ctx context.Context, from From, last int) (Listing, error) {
	first, end, err := PageOfNumbers(from, last)
	if err != nil {
		return Listing{}, err
	}
	names := []string{}
	for n := first; n <= end; n++ {
		if err := ctx.Err(); err != nil {
			return Listing{}, err
		}
		names = append(names, strconv.Itoa(n))
	}
	l := listing(names, Limit.Get(from))
	l.more = end < last
	return l, nil
}

func listing(names []string, limit int) Listing {
	l := Listing{Names: names}
	rows := usualRows
	if limit > 0 {
		l.more = limit < len(names)
		l.Names = names[:min(limit, len(names))]
		rows = min(limit, mostRows)
	}
	l.Rows = l.Names[:min(rows, len(l.Names))]
	return l
}

// WithAllRows returns the listing with a row for each name.
func (l Listing) WithAllRows() Listing {
	l.Rows = l.Names
	return l
}

// Numbers returns the names that get a row as numbers.
func (l Listing) Numbers() []int {
	list := make([]int, len(l.Rows))
	for i, name := range l.Rows {
		list[i], _ = strconv.Atoi(name)
	}
	return list
}

// Table answers a LIST. Row returns what is known of a name; nil: nothing, it is gone. A row that cannot be read hides
// neither its name nor the rows of others.
func Table[V any](ctx context.Context, l Listing, answer Answer[V], row func(name string) (*V, error)) (*logical.Response, error) {
	info := make(map[string]any, len(l.Rows))
	var unread []string
	for _, name := range l.Rows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		switch shown, err := row(name); {
		case err != nil:
			unread = append(unread, fmt.Sprintf("%s: %v", name, err))
		case shown != nil:
			info[name] = answer.cells(*shown)
		}
	}
	resp := logical.ListResponseWithInfo(l.Names, info)
	l.sayWhatFollows(resp)
	if len(unread) > 0 {
		resp.AddWarning(fmt.Sprintf("what is known of %d of the names cannot be read; the first: %s", len(unread), unread[0]))
	}
	return resp, nil
}

// sayWhatFollows warns where names were asked for that have no row. Who asks for pages goes on without a warning.
func (l Listing) sayWhatFollows(resp *logical.Response) {
	if len(l.Rows) == 0 || len(l.Rows) == len(l.Names) && !l.more {
		return
	}
	var left string
	if len(l.Rows) < len(l.Names) {
		left = fmt.Sprintf("key_info describes the first %d of %d names", len(l.Rows), len(l.Names))
	}
	GoOn(resp, l.Rows[len(l.Rows)-1], left)
}

// GoOn says in an answer how to get what follows, and warns of what is left out, if anything is that was asked for.
func GoOn(resp *logical.Response, next, left string) {
	resp.Data[Next.Name] = next
	if left != "" {
		resp.AddWarning(left + "; to go on: a limit, and after=" + next)
	}
}

// Lines answers a LIST of what has numbers for names, in order. They get as many digits as the last one, so that as texts
// they are in the same order.
func Lines[V any](list []V, answer Answer[V], number func(V) int) *logical.Response {
	names, info := make([]string, len(list)), make(map[string]any, len(list))
	digits := 0
	for i, line := range slices.Backward(list) {
		digits = max(digits, len(strconv.Itoa(number(line))))
		names[i] = fmt.Sprintf("%0*d", digits, number(line))
		info[names[i]] = answer.cells(line)
	}
	return logical.ListResponseWithInfo(names, info)
}

// Nothing answers a LIST that has nothing to show, and says why: Vault's own answer, 404, would look as if the path had
// the wrong name in it.
func Nothing(why string) *logical.Response {
	resp := &logical.Response{}
	resp.AddWarning(why)
	return resp
}

// cells returns what a line of a table shows.
func (a Answer[V]) cells(v V) map[string]any {
	data := a.Data(v)
	for name, value := range data {
		if text, ok := value.(string); ok {
			data[name] = Line(text)
		}
	}
	return data
}

// Only returns the answer with these of its fields.
func (a Answer[V]) Only(names ...string) Answer[V] {
	few := make(Answer[V], 0, len(names))
	for _, name := range names {
		i := slices.IndexFunc(a, func(c Column[V]) bool { return c.field.name == name })
		if i < 0 {
			panic("internal error: the answer has no field " + name)
		}
		few = append(few, a[i])
	}
	return few
}

// Line makes a text fit a line: what a person wrote must neither break the table nor pass for another cell of it, for which
// Vault's command line separates cells by a sign.
func Line(text string) string {
	const longest, separator = 160, '♨'
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == separator {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "..."
	}
	return text
}
