// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package client is for applications that encrypt locally with data keys of keylife or Transit.
//
// A [Client] keeps data keys in memory, for as long as the engine lets it, and asks for them ahead of time: most uses of a [Key]
// ask nobody. What happens while Vault does not answer, and when it says no, is in [Bounds]. The format of messages is
// specified in docs/envelope.md.
package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keylife/vault-plugin-keylife/client/internal/datakeys"
	"github.com/keylife/vault-plugin-keylife/client/internal/engine"
	"github.com/keylife/vault-plugin-keylife/client/internal/kle1"
)

// Client gives keys. It may be used by many goroutines at once.
type Client struct {
	engine  *engine.Engine
	keys    *datakeys.Set
	metrics Metrics // nil: none
	close   func() error
}

// New takes a configuration. It asks nobody unless Wait is set; then the error wraps [ErrUnavailable] or [ErrAccessDenied] where
// there is no token in time.
func New(config Config) (*Client, error) { return newClient(config, hooks{}) }

// hooks are what tests replace.
type hooks struct {
	now    func() datakeys.Moment
	random func() float64
}

func newClient(config Config, h hooks) (*Client, error) {
	config, err := config.checked()
	if err != nil {
		return nil, err
	}
	c := &Client{metrics: config.Metrics}
	c.engine, err = engine.New(engine.Options{
		Vault: config.Vault, Auth: config.Auth, Mount: config.Mount, Consumer: config.Consumer, Observe: observe(config.Metrics), Random: h.random,
	})
	if err != nil {
		return nil, err
	}
	c.keys = datakeys.New(datakeys.Options{
		Engine: c.engine, Bounds: datakeys.Bounds(config.Bounds), Timeout: config.Timeout, File: config.file(), Random: h.random, Now: h.now,
	})
	c.close = sync.OnceValue(func() error {
		err := c.keys.Close()
		c.engine.Close()
		return err
	})
	if err := c.wait(config.Wait); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// wait logs in until Vault answers or the time is over.
func (c *Client) wait(limit time.Duration) error {
	if limit == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := c.engine.Login(ctx)
		if !errors.Is(err, ErrUnavailable) {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("wait %v for vault: %w", limit, err)
		}
	}
}

// Key returns the key of the name. It asks nobody; a name that cannot be one is told of by the first use.
func (c *Client) Key(name string) *Key {
	if err := kle1.CheckName(name); err != nil {
		return &Key{client: c, name: name, err: err}
	}
	return &Key{client: c, name: name, keys: c.keys.Key(name)}
}

// Stats tells how the keys that were used stand.
func (c *Client) Stats() []KeyStats {
	var all []KeyStats
	for _, s := range c.keys.Stats() {
		all = append(all, KeyStats{Key: s.Name, Version: s.Version, DataKeys: s.DataKeys, ProofAge: s.ProofAge})
	}
	return all
}

// Close ends what runs in the background and wipes the data keys, as far as Go lets it: the ciphers made of them are left to the
// garbage collector. Streams that have begun can be finished. The error is about the file of [Offline].
func (c *Client) Close() error { return c.close() }

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

// parse takes a message apart, in either form; binary is that form of it.
func parse(message []byte) (m kle1.Message, binary []byte, err error) {
	if isText(message) {
		if message, err = kle1.FromText(message); err != nil {
			return kle1.Message{}, nil, err
		}
	}
	m, err = kle1.Parse(message)
	return m, message, err
}

func isText(message []byte) bool { return len(message) > 0 && message[0] == 'k' }
