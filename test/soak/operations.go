// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// operation is what a client does to a key that it chose, or to the mount.
type operation struct {
	name   string
	weight int
	kinds  []string // of the keys that it can be done to; nil: all
	do     func(*mount, *rand.Rand, *key) error
	alone  bool // while nobody else uses the key
}

var (
	ciphers = []string{"aes256-gcm96", "chacha20-poly1305", "aes128-gcm96"}
	signers = []string{"ed25519", "ecdsa-p256"}
)

// operations are chosen by their weight.
var operations = []operation{
	{name: "encrypt", weight: 60, kinds: ciphers, do: (*mount).encrypt},
	{name: "decrypt", weight: 40, kinds: ciphers, do: (*mount).decrypt},
	{name: "rewrap", weight: 10, kinds: ciphers, do: (*mount).rewrap},
	{name: "datakey", weight: 10, kinds: ciphers, do: (*mount).dataKey},
	{name: "batch", weight: 6, kinds: ciphers, do: (*mount).batch},
	{name: "sign and verify", weight: 10, kinds: signers, do: (*mount).sign},
	{name: "hmac", weight: 10, do: (*mount).hmac},
	{name: "read a key", weight: 10, do: reading("keys/%s")},
	{name: "read a version", weight: 3, do: reading("keys/%s/versions/1")},
	{name: "history", weight: 3, do: reading("keys/%s/history?limit=20")},
	{name: "check a key", weight: 1, do: reading("keys/%s/check")},
	{name: "list keys", weight: 2, do: of("keys?list=true&limit=50")},
	{name: "list versions", weight: 2, do: reading("keys/%s/versions?list=true")},
	{name: "policies", weight: 2, do: of("policies?list=true")},
	{name: "health", weight: 2, do: of("health")},
	{name: "inventory", weight: 1, do: of("inventory?limit=20")},
	{name: "export custody", weight: 1, do: of("custody/export?limit=50")},
	{name: "verify custody", weight: 2, do: (*mount).verifyCustody},
	{name: "scrape", weight: 2, do: (*mount).scrape},
	{name: "rotate", weight: 2, do: (*mount).rotate},
	{name: "hold and lift", weight: 1, do: (*mount).hold},
	{name: "suspend and resume", weight: 1, do: (*mount).suspend, alone: true},
	{name: "write a policy", weight: 1, do: (*mount).writePolicy},
	{name: "what is refused", weight: 6, kinds: ciphers, do: (*mount).beRefused},
}

var total = func() (sum int) {
	for _, o := range operations {
		sum += o.weight
	}
	return sum
}()

// work does one thing.
func (m *mount) work(r *rand.Rand) {
	o := chosen(r.IntN(total))
	k := m.keys[r.IntN(len(m.keys))]
	for o.kinds != nil && !slices.Contains(o.kinds, k.kind) {
		k = m.keys[r.IntN(len(m.keys))]
	}
	if o.alone {
		k.Lock()
		defer k.Unlock()
	} else {
		k.RLock()
		defer k.RUnlock()
	}
	m.did(o.name, o.do(m, r, k))
}

func chosen(at int) operation {
	for _, o := range operations {
		if at -= o.weight; at < 0 {
			return o
		}
	}
	panic("internal error: the weights are more than their sum")
}

// post is a request that is due to be answered with 200.
func (m *mount) post(to string, in body) (map[string]any, error) {
	return m.ask(http.MethodPost, to, in, http.StatusOK)
}

func (m *mount) encrypt(r *rand.Rand, k *key) error {
	plaintext := text(r)
	out, err := m.post("encrypt/"+k.name, body{"plaintext": plaintext})
	if err == nil {
		k.remember(out["ciphertext"], plaintext)
	}
	return err
}

// What a client remembers: as many texts as are good for a minute, which no policy archives within.
const (
	remembered = 8
	goodFor    = time.Minute
)

func (k *key) remember(ciphertext any, plaintext string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	text, _ := ciphertext.(string)
	k.sealed = append(k.sealed, sealed{text, plaintext, time.Now()})
	k.sealed = slices.Clone(k.sealed[max(0, len(k.sealed)-remembered):])
}

// any returns one of the texts of the last minute.
func (m *mount) any(r *rand.Rand, k *key) (sealed, error) {
	k.mu.Lock()
	fresh := slices.DeleteFunc(slices.Clone(k.sealed), func(s sealed) bool { return time.Since(s.at) > goodFor })
	k.mu.Unlock()
	if len(fresh) > 0 {
		return fresh[r.IntN(len(fresh))], nil
	}
	if err := m.encrypt(r, k); err != nil {
		return sealed{}, err
	}
	return m.any(r, k)
}

func (m *mount) decrypt(r *rand.Rand, k *key) error {
	s, err := m.any(r, k)
	if err != nil {
		return err
	}
	out, err := m.post("decrypt/"+k.name, body{"ciphertext": s.ciphertext})
	if err == nil && out["plaintext"] != s.plaintext {
		return fmt.Errorf("%s of %s opened to something else", s.ciphertext, k.name)
	}
	return err
}

func (m *mount) rewrap(r *rand.Rand, k *key) error {
	s, err := m.any(r, k)
	if err != nil {
		return err
	}
	out, err := m.post("rewrap/"+k.name, body{"ciphertext": s.ciphertext})
	if err == nil {
		k.remember(out["ciphertext"], s.plaintext)
	}
	return err
}

func (m *mount) dataKey(_ *rand.Rand, k *key) error {
	out, err := m.post("datakey/plaintext/"+k.name, body{})
	if err == nil {
		plaintext, _ := out["plaintext"].(string)
		k.remember(out["ciphertext"], plaintext)
	}
	return err
}

func (m *mount) batch(r *rand.Rand, k *key) error {
	items := make([]body, 20)
	for i := range items {
		items[i] = body{"plaintext": text(r)}
	}
	out, err := m.post("encrypt/"+k.name, body{"batch_input": items})
	if err != nil {
		return err
	}
	results, _ := out["batch_results"].([]any)
	out, err = m.post("decrypt/"+k.name, body{"batch_input": results})
	if err != nil {
		return err
	}
	opened, _ := out["batch_results"].([]any)
	if len(opened) != len(items) {
		return fmt.Errorf("%d of %d items came back", len(opened), len(items))
	}
	for i, item := range opened {
		if one, _ := item.(map[string]any); one["plaintext"] != items[i]["plaintext"] {
			return fmt.Errorf("item %d opened to something else", i)
		}
	}
	return nil
}

var errInvalid = errors.New("it does not verify")

func (m *mount) sign(r *rand.Rand, k *key) error { return m.proven(r, k, "sign", "signature") }

func (m *mount) hmac(r *rand.Rand, k *key) error { return m.proven(r, k, "hmac", "hmac") }

func (m *mount) proven(r *rand.Rand, k *key, by, proof string) error {
	input := text(r)
	out, err := m.post(by+"/"+k.name, body{"input": input})
	if err != nil {
		return err
	}
	out, err = m.post("verify/"+k.name, body{"input": input, proof: out[proof]})
	if err == nil && out["valid"] != true {
		return errInvalid
	}
	return err
}
