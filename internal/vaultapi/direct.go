// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package vaultapi

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/vault/sdk/framework"
	"github.com/hashicorp/vault/sdk/logical"
)

// direct is a path that is also found without the SDK's router.
type direct[R any] struct {
	*route
	segments   []string // the fields that the segments after the verb are
	inPath     []string // the fields that the path may have: those of the body do not count
	operations map[logical.Operation]Operation[R]
	find       func(ctx context.Context, r R) error
}

// addDirect makes a path one that Direct answers.
func (m *Mount[R]) addDirect(r *route, p Path[R]) {
	if m.directs == nil {
		m.directs = map[string]*direct[R]{}
	}
	verb, _, _ := strings.Cut(p.Pattern, "/")
	m.directs[verb] = &direct[R]{route: r, segments: p.Direct, inPath: capturedBy(p.Pattern), find: p.Exists, operations: p.Operations}
}

var group = regexp.MustCompile(`\(\?P<(\w+)>`)

// capturedBy returns the names of the groups of a pattern.
func capturedBy(pattern string) (names []string) {
	for _, match := range group.FindAllStringSubmatch(pattern, -1) {
		names = append(names, match[1])
	}
	return names
}

// Direct answers a request with the handler that HandleRequest has for it, without the SDK between them: the fields of the request
// are read from body, which is JSON, and its Data is not. It is false, and nothing was done, where it does not know the path or the
// body is anything but an object of texts and numbers of the types that the path declares, and of a list of such objects.
func (m *Mount[R]) Direct(ctx context.Context, req *logical.Request, body string) (resp *logical.Response, ok bool, err error) {
	d, members := m.directOf(req.Path)
	if d == nil {
		return nil, false, nil
	}
	op, known := d.operations[req.Operation]
	fields, plain := parsePlain(body)
	if !known || !plain || !d.declares(&fields) {
		return nil, false, nil
	}
	fields.members = append(fields.members, members...)
	c := &Request{Source: Source{members: fields.members, batch: &fields, fields: &d.fields, mode: d.mode}, Logical: req}
	err = m.Guard(whereOf(req), func() (err error) {
		if err = m.Names.check(&c.Source); err != nil {
			resp, err = answerOf(req.Operation, err, m.Statuses)
			return err
		}
		resp, err = m.answer(ctx, c, op.Handle)
		return err
	})
	return resp, true, err
}

// DirectExists is HandleExistenceCheck for the paths of Direct.
func (m *Mount[R]) DirectExists(ctx context.Context, req *logical.Request) (found, exists, ok bool) {
	d, members := m.directOf(req.Path)
	if d == nil || (req.Operation != logical.UpdateOperation && req.Operation != logical.CreateOperation) {
		return false, false, false
	}
	if d.find == nil {
		return false, false, true
	}
	err := m.Guard(whereOf(req), func() (err error) {
		exists, err = m.exists(ctx, &Request{Source: Source{members: members, fields: &d.fields, mode: d.mode}, Logical: req}, d.find)
		return err
	})
	return true, exists, err == nil
}

// directOf returns the path of a request, and the fields that are in it; nil: none.
func (m *Mount[R]) directOf(path string) (*direct[R], []member) {
	verb, rest, _ := strings.Cut(path, "/")
	d := m.directs[verb]
	if d == nil || strings.Count(rest, "/") != len(d.segments)-1 {
		return nil, nil
	}
	members := make([]member, len(d.segments))
	for i, field := range d.segments {
		var segment string
		if segment, rest, _ = strings.Cut(rest, "/"); !isName(segment) {
			return nil, nil
		}
		members[i] = member{name: field, text: segment}
	}
	return d, members
}

// isName reports what [framework.GenericNameRegex] matches.
func isName(text string) bool {
	if text == "" || isInner(text[0]) || isInner(text[len(text)-1]) {
		return false
	}
	for i := range len(text) {
		if !isInner(text[i]) && !isWord(text[i]) {
			return false
		}
	}
	return true
}

func isWord(c byte) bool {
	return c == '_' || ('0' <= c && c <= '9') || ('A' <= c && c <= 'Z') || ('a' <= c && c <= 'z')
}

// isInner reports what a name has between other characters only.
func isInner(c byte) bool { return c == '-' || c == '.' }

// declares reports whether all members are fields of the path's body with values of their types, which neither the SDK nor check would
// change or refuse.
func (d *direct[R]) declares(p *plain) bool {
	for _, m := range p.members {
		want := framework.TypeString
		if m.isNumber {
			want = framework.TypeInt
		}
		if !d.hasType(m.name, want) {
			return false
		}
	}
	return p.list == "" || d.hasType(p.list, framework.TypeSlice)
}

func (d *direct[R]) hasType(name string, t framework.FieldType) bool {
	field := d.fields.byName[name]
	return field != nil && field.schema.Type == t && !slices.Contains(d.inPath, name)
}
