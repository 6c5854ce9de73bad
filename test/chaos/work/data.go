// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package work

import (
	"encoding/base64"
	"fmt"
	"net/http"

	"github.com/keylife/vault-plugin-keylife/test/chaos/history"
	"github.com/keylife/vault-plugin-keylife/test/harness"
)

// useData is what applications do.
func (c *client) useData() {
	key := among(c, c.load.names()...)
	if kind(key) == sign {
		among(c, c.sign, c.sign, c.verify)(key)
		return
	}
	among(c, c.encrypt, c.encrypt, c.encrypt, c.batch, c.datakey, c.decrypt, c.decrypt, c.decrypt, c.rewrap)(key)
}

func (c *client) text() string {
	return base64.StdEncoding.EncodeToString([]byte(fmt.Sprintf("text %d of %s, seed %d", c.chance.Uint64(), c.name, c.load.Seed)))
}

// protected keeps a ciphertext that was acknowledged.
func (c *client) protected(o history.Operation, data map[string]any) {
	if o.Outcome == history.Done {
		o.Ciphertext, _ = data["ciphertext"].(string)
		o.Version = versionOf(o.Ciphertext)
		c.load.keep(o)
	}
	c.load.History.Append(o)
}

func (c *client) encrypt(key string) {
	text := c.text()
	o, reply := c.ask(history.Operation{Act: "encrypt", Key: key, Text: history.Digest(text)}, request{http.MethodPost, "encrypt/" + key, map[string]any{"plaintext": text}, ""})
	c.protected(o, reply.Data())
}

// batch is an operation for each of its items.
func (c *client) batch(key string) {
	texts := make([]string, 1+c.chance.IntN(8))
	items := make([]map[string]any, len(texts))
	for i := range texts {
		texts[i] = c.text()
		items[i] = map[string]any{"plaintext": texts[i]}
	}
	o, reply := c.ask(history.Operation{Act: "encrypt", Key: key}, request{http.MethodPost, "encrypt/" + key, map[string]any{"batch_input": items}, ""})
	results, _ := reply.Data()["batch_results"].([]any)
	for i, text := range texts {
		item := o
		if i > 0 {
			item.ID = c.load.History.Next()
		}
		item.Text = history.Digest(text)
		var data map[string]any
		if i < len(results) {
			data, _ = results[i].(map[string]any)
		}
		if failed, _ := data["error"].(string); failed != "" && o.Outcome == history.Done {
			item.Outcome, item.Error = history.Refused, failed
		}
		c.protected(item, data)
	}
}

func (c *client) datakey(key string) {
	o, reply := c.ask(history.Operation{Act: "datakey", Key: key}, request{http.MethodPost, "datakey/plaintext/" + key, map[string]any{}, ""})
	text, _ := reply.Data()["plaintext"].(string)
	o.Text = history.Digest(text)
	c.protected(o, reply.Data())
}

func (c *client) decrypt(key string) {
	made, ok := c.load.pick(c, key)
	if !ok {
		return
	}
	o := history.Operation{Act: "decrypt", Key: key, Version: made.Version, Text: made.Text, From: made.Ciphertext}
	o, reply := c.ask(o, request{http.MethodPost, "decrypt/" + key, map[string]any{"ciphertext": made.Ciphertext}, ""})
	opened(&o, reply)
	c.load.History.Append(o)
}

func opened(o *history.Operation, reply harness.Reply) {
	if text, _ := reply.Data()["plaintext"].(string); o.Outcome == history.Done {
		o.Opened = history.Digest(text)
	}
}

func (c *client) rewrap(key string) {
	made, ok := c.load.pick(c, key)
	if !ok {
		return
	}
	o := history.Operation{Act: "rewrap", Key: key, Text: made.Text, From: made.Ciphertext}
	o, reply := c.ask(o, request{http.MethodPost, "rewrap/" + key, map[string]any{"ciphertext": made.Ciphertext}, ""})
	c.protected(o, reply.Data())
}

func (c *client) sign(key string) {
	text := c.text()
	o, reply := c.ask(history.Operation{Act: "sign", Key: key, Text: text}, request{http.MethodPost, "sign/" + key, map[string]any{"input": text}, ""})
	if o.Outcome == history.Done {
		o.Ciphertext, _ = reply.Data()["signature"].(string)
		o.Version = versionOf(o.Ciphertext)
		c.load.keep(o)
	}
	c.load.History.Append(o)
}

func (c *client) verify(key string) {
	made, ok := c.load.pick(c, key)
	if !ok {
		return
	}
	o := history.Operation{Act: "verify", Key: key, Version: made.Version, Text: made.Text, From: made.Ciphertext}
	o, reply := c.ask(o, request{http.MethodPost, "verify/" + key, map[string]any{"input": made.Text, "signature": made.Ciphertext}, ""})
	if valid, ok := reply.Data()["valid"].(bool); ok {
		o.Valid = &valid
	}
	c.load.History.Append(o)
}
