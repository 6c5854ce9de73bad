// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// What is verified must be what any other program reads from the same file. encoding/json is too kind for that: it takes
// the name of a member in any case, and of two members of a name the last. Here names are exact and come once.

// decoder returns a decoder that holds at most so many bytes.
func decoder(in io.Reader, most int64) *json.Decoder {
	w := &window{in: in, most: most}
	w.out = json.NewDecoder(w)
	return w.out
}

// window is what a decoder reads from. It ends with an error where the decoder read far ahead of what it has given out.
type window struct {
	in   io.Reader
	out  *json.Decoder
	read int64
	most int64
}

func (w *window) Read(p []byte) (int, error) {
	if w.read-w.out.InputOffset() > w.most {
		return 0, fmt.Errorf("a value has more than %d bytes", w.most)
	}
	n, err := w.in.Read(p)
	w.read += int64(n)
	return n, err
}

// names are the names of the members that an object has shown.
type names map[string]bool

// object reads the object that comes next. It calls member for each of its members, which has to read the value.
func (n names) object(in *json.Decoder, member func(name string) error) error {
	return each(in, '{', "an object", func() error {
		const most = 64
		token, err := in.Token()
		if err != nil {
			return unexpected(err)
		}
		name, _ := token.(string) // what else a name is, is a syntax error
		if n[name] {
			return fmt.Errorf("%.99q is there twice", name)
		}
		if n[name] = true; len(n) > most {
			return fmt.Errorf("an object has more than %d members", most)
		}
		if err := member(name); err != nil {
			return fmt.Errorf("%.99q: %w", name, err)
		}
		return nil
	})
}

// list reads the list that comes next. It calls element for each of its elements, which has to read it.
func list(in *json.Decoder, element func() error) error { return each(in, '[', "a list", element) }

func each(in *json.Decoder, start json.Delim, what string, item func() error) error {
	token, err := in.Token()
	if err != nil {
		return unexpected(err)
	}
	if token != start {
		return errors.New("want " + what)
	}
	for in.More() {
		if err := item(); err != nil {
			return err
		}
	}
	_, err = in.Token() // its end
	return unexpected(err)
}

// fieldsOf reads the members that have a target, and skips others.
func fieldsOf(in *json.Decoder, targets map[string]any) func(name string) error {
	return func(name string) error {
		if target, known := targets[name]; known {
			return value(in, target)
		}
		return skip(in)
	}
}

func value(in *json.Decoder, into any) error { return unexpected(in.Decode(into)) }

func skip(in *json.Decoder) error { return value(in, new(json.RawMessage)) }

// unexpected is the end of the input inside an object.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// end demands that the input ends here.
func end(in *json.Decoder) error {
	_, err := in.Token()
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err == nil:
		return errors.New("more follows the object")
	}
	return err
}
