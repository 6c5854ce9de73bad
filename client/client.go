// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package client is for applications that encrypt locally with data keys of keylife or Transit.
//
// So far it tells what a message is. The format is specified in docs/envelope.md.
package client

import "github.com/keylife/vault-plugin-keylife/client/internal/kle1"

// Client gives keys. It may be used by many goroutines at once.
type Client struct{ config Config }

// New takes a configuration. It asks nobody unless Wait is set.
func New(config Config) (*Client, error) { return &Client{config: config}, nil }

// Key returns the key of the name. It asks nobody.
func (c *Client) Key(name string) *Key { return &Key{name: name} }

// Stats tells how the keys in use stand.
func (c *Client) Stats() []KeyStats { return nil }

// Close ends what runs in the background and wipes the data keys.
func (c *Client) Close() error { return nil }

// Info is what a message tells without a key. Nothing of it is authenticated.
type Info struct {
	Stream  bool
	Key     string // the name that the key had; empty where it was too long
	Version int    // of the key that encrypted the data key
}

// Inspect reads the header of a message, in its binary or its text form. It needs no key and asks nobody.
func Inspect(message []byte) (Info, error) {
	m, _, err := parse(message)
	if err != nil {
		return Info{}, err
	}
	return Info{Stream: m.Suite == kle1.Stream, Key: string(m.Name), Version: m.Version}, nil
}

// parse takes a message apart, in either form.
func parse(message []byte) (m kle1.Message, isText bool, err error) {
	if isText = len(message) > 0 && message[0] == 'k'; isText {
		if message, err = kle1.FromText(message); err != nil {
			return kle1.Message{}, isText, err
		}
	}
	m, err = kle1.Parse(message)
	return m, isText, err
}
