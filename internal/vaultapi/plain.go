// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import "strings"

// plain is a JSON object of texts and whole numbers, and of one list of such objects, as almost all requests to the data plane are.
// Texts are parts of the JSON: nothing is copied.
type plain struct {
	members []member
	list    string   // the name of the member that is a list; empty: none is
	items   []member // of all elements of the list, one after the other
	ends    []int    // where in items each element ends
}

// member is a name and a value of an object.
type member struct {
	name     string
	text     string
	number   int
	isNumber bool
}

// value returns the value as [encoding/json] decodes it.
func (m member) value() any {
	if m.isNumber {
		return float64(m.number)
	}
	return m.text
}

func find(members []member, name string) (member, bool) {
	for i := range members {
		if members[i].name == name {
			return members[i], true
		}
	}
	return member{}, false
}

// item returns the members of an element of the list.
func (p *plain) item(n int) []member {
	begin := 0
	if n > 0 {
		begin = p.ends[n-1]
	}
	return p.items[begin:p.ends[n]]
}

// decoded returns the list as [encoding/json] decodes it.
func (p *plain) decoded() []any {
	list := make([]any, len(p.ends))
	for n := range list {
		object := map[string]any{}
		for _, m := range p.item(n) {
			object[m.name] = m.value()
		}
		list[n] = object
	}
	return list
}

// parsePlain reads JSON as Vault writes it: without spaces, the names of an object in ascending order. It is false where the text is
// anything else than a plain object, valid JSON or not.
func parsePlain(text string) (p plain, ok bool) {
	s := scanner{rest: text}
	p.members, ok = s.object(make([]member, 0, 4), func(name string) bool {
		if p.list != "" || !s.skip('[') {
			return false
		}
		p.list = name
		return s.objects(&p)
	})
	return p, ok && s.rest == ""
}

// scanner reads plain JSON from the front.
type scanner struct{ rest string }

func (s *scanner) skip(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// objects reads the rest of a list of objects.
func (s *scanner) objects(p *plain) (ok bool) {
	if s.skip(']') {
		return true
	}
	size := 1 + strings.Count(s.rest, "},{") // or more, where texts have it
	p.items, p.ends = make([]member, 0, size), make([]int, 0, size)
	for {
		if p.items, ok = s.object(p.items, func(string) bool { return false }); !ok {
			return false
		}
		p.ends = append(p.ends, len(p.items))
		if !s.skip(',') {
			return s.skip(']')
		}
	}
}

// object reads an object, and appends its members; other reads a value that is neither a text nor a number.
func (s *scanner) object(members []member, other func(name string) bool) ([]member, bool) {
	if !s.skip('{') {
		return nil, false
	}
	if s.skip('}') {
		return members, true
	}
	for before := ""; ; {
		name, ok := s.name()
		if !ok || name <= before {
			return nil, false
		}
		switch m, ok := s.scalar(name); {
		case ok:
			members = append(members, m)
		case !other(name):
			return nil, false
		}
		if before = name; !s.skip(',') {
			return members, s.skip('}')
		}
	}
}

// name reads the name of a member, in lower case, and its colon.
func (s *scanner) name() (string, bool) {
	name, ok := s.text()
	if !ok || !s.skip(':') {
		return "", false
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && c != '_' && (c < '0' || c > '9') {
			return "", false
		}
	}
	return name, true
}

// scalar reads a text or a number.
func (s *scanner) scalar(name string) (m member, ok bool) {
	m.name = name
	if m.text, ok = s.text(); ok {
		return m, true
	}
	m.isNumber = true
	m.number, ok = s.digits()
	return m, ok
}

// text reads a text without escapes.
func (s *scanner) text() (string, bool) {
	if s.rest == "" || s.rest[0] != '"' {
		return "", false
	}
	end := strings.IndexByte(s.rest[1:], '"')
	if end < 0 {
		return "", false
	}
	text := s.rest[1 : 1+end]
	if strings.IndexByte(text, '\\') >= 0 || hasControl(text) {
		return "", false
	}
	s.rest = s.rest[end+2:]
	return text, true
}

// digits reads a whole number, not negative, of at most nine digits.
func (s *scanner) digits() (number int, ok bool) {
	n := 0
	for n < len(s.rest) && n < 10 && '0' <= s.rest[n] && s.rest[n] <= '9' {
		number = 10*number + int(s.rest[n]-'0')
		n++
	}
	if n == 0 || n == 10 || (n > 1 && s.rest[0] == '0') {
		return 0, false
	}
	s.rest = s.rest[n:]
	return number, true
}

// hasControl reports a byte below the space, which JSON does not have in a text.
func hasControl(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' {
			return true
		}
	}
	return false
}
