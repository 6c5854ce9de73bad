// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Command verdict tells what the Go implementation of KLE1 makes of messages: the other implementation is tested
// against it. It reads questions and writes answers, each a line of JSON.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// question is a message, in its binary or its text form, and what it is to be opened with.
type question struct {
	DataKey []byte       `json:"data_key"`
	Context kle1.Context `json:"context"`
	Message []byte       `json:"message"`
	Text    *string      `json:"text"`
}

// verdict is how far a message came.
type verdict struct {
	Parsed    bool   `json:"parsed"`
	Suite     int    `json:"suite"`
	Key       string `json:"key"`
	EDK       string `json:"edk"`
	Version   int    `json:"version"`
	Opened    bool   `json:"opened"`
	Plaintext []byte `json:"plaintext"`
}

func main() {
	if err := answer(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(in io.Reader, out io.Writer) error {
	questions, buffered := json.NewDecoder(in), bufio.NewWriter(out)
	answers := json.NewEncoder(buffered)
	for {
		var q question
		if err := questions.Decode(&q); errors.Is(err, io.EOF) {
			return buffered.Flush()
		} else if err != nil {
			return err
		}
		v, err := judge(q)
		if err != nil {
			return err
		}
		if err := answers.Encode(v); err != nil {
			return err
		}
	}
}

// judge fails where the question is wrong; a message that is wrong has a verdict.
func judge(q question) (v verdict, err error) {
	message := q.Message
	if q.Text != nil {
		if message, err = kle1.FromText([]byte(*q.Text)); err != nil {
			return verdict{}, nil
		}
	}
	m, err := kle1.Parse(message)
	if err != nil {
		return verdict{}, nil
	}
	v = verdict{Parsed: true, Suite: int(m.Suite), Key: string(m.Name), EDK: string(m.EDK), Version: m.Version}
	k, err := kle1.New(string(m.Name), string(m.EDK), q.DataKey)
	if err != nil {
		return v, err
	}
	if v.Plaintext, err = open(k, m, q.Context); err == nil {
		v.Opened = true
	}
	return v, nil
}

func open(k *kle1.DataKey, m kle1.Message, c kle1.Context) ([]byte, error) {
	if m.Suite == kle1.Field {
		return k.Open(m, c)
	}
	r, err := k.NewReader(m.Header, bytes.NewReader(m.Body), c)
	if err != nil {
		return nil, err
	}
	plaintext, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return plaintext, nil
}
