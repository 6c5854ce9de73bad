// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package policy

import (
	"encoding/json"
	"errors"
	"maps"

	"github.com/keylife/vault-plugin-keylife/internal/schedule"
)

// Kind is what the values of a field are. A plain value of a kind is of the Go type named beside it.
type Kind int

// The kinds.
const (
	Text        Kind = iota // string
	Flag                    // bool
	Number                  // int
	LargeNumber             // int64
	List                    // []string
	Map                     // map[string]string
	Span                    // string, of which a number of seconds may be written as a number
	Jitter                  // string, as for a span
)

// kind turns values of a field into plain ones and back.
type kind[T any] struct {
	kind  Kind
	says  string // in docs/policies.md
	help  string // ends the help of every field of the kind
	plain func(T) any
	read  func(plain any) (T, error) // the error is the rule that the value breaks
	parse func(data []byte) (plain any, err error)
	own   func(T) T // a copy that shares nothing and is not nil
}

// kindOf makes a kind whose plain values are of type P.
func kindOf[T, P any](k Kind, says string, plain func(T) P, read func(P) (T, error)) kind[T] {
	return kind[T]{
		kind: k, says: says,
		plain: func(value T) any { return plain(value) },
		read: func(given any) (T, error) {
			value, ok := given.(P)
			if !ok {
				var none T
				return none, errors.New("has a value of the wrong type")
			}
			return read(value)
		},
		parse: func(data []byte) (any, error) {
			var value P
			if data == nil {
				return value, nil
			}
			err := json.Unmarshal(data, &value)
			return value, err
		},
		own: func(value T) T { return value },
	}
}

// same is a kind whose plain values are the values themselves.
func same[T any](k Kind, says string) kind[T] {
	return kindOf(k, says, func(value T) T { return value }, func(value T) (T, error) { return value, nil })
}

var (
	number      = same[int](Number, "integer")
	largeNumber = same[int64](LargeNumber, "integer")
	flag        = same[bool](Flag, "boolean")
	span        = spanKind("duration", schedule.ParseSpan)
	jitter      = kindOf(Jitter, "percentage or duration", func(j schedule.Jitter) string { return j.Text }, schedule.ParseJitter)
	// spanOrEmpty is a span that an author may leave to the rules of the policy.
	spanOrEmpty = spanKind("duration or empty", func(text string) (schedule.Span, error) {
		if text == "" {
			return schedule.Span{}, nil
		}
		return schedule.ParseSpan(text)
	})
)

func spanKind(says string, read func(string) (schedule.Span, error)) kind[schedule.Span] {
	k := kindOf(Span, says, func(s schedule.Span) string { return s.Text }, read)
	k.help = ` A duration such as "90d" or "12h30m", or a number of seconds.`
	return k
}

func text[T ~string]() kind[T] {
	return kindOf(Text, "text", func(value T) string { return string(value) }, func(value string) (T, error) { return T(value), nil })
}

func list[T ~string]() kind[[]T] {
	k := kindOf(List, "list of texts", as[string, T], func(value []string) ([]T, error) { return as[T](value), nil })
	k.own = func(value []T) []T { return append([]T{}, value...) }
	return k
}

func table[K, V ~string]() kind[map[K]V] {
	k := kindOf(Map, "map of texts", keyed[string, string, K, V], func(value map[string]string) (map[K]V, error) { return keyed[K, V](value), nil })
	k.own = func(value map[K]V) map[K]V {
		own := make(map[K]V, len(value))
		maps.Copy(own, value)
		return own
	}
	return k
}

// as returns a list with elements of another kind of text, never nil.
func as[To, From ~string](list []From) []To {
	out := make([]To, len(list))
	for i, value := range list {
		out[i] = To(value)
	}
	return out
}

// keyed returns a map with keys and values of other kinds of text, never nil.
func keyed[ToKey, ToValue, Key, Value ~string](from map[Key]Value) map[ToKey]ToValue {
	to := make(map[ToKey]ToValue, len(from))
	for key, value := range from {
		to[ToKey(key)] = ToValue(value)
	}
	return to
}

// spanOf and jitterOf are for defaults.
func spanOf(text string) schedule.Span     { return must(schedule.ParseSpan(text)) }
func jitterOf(text string) schedule.Jitter { return must(schedule.ParseJitter(text)) }

func must[T any](value T, err error) T {
	if err != nil {
		panic("internal error: a default of the policy: " + err.Error())
	}
	return value
}
