// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/keylife/vault-plugin-keylife/test/bench/load"
)

// keys are the keys of every mount, by name, and their types.
var keys = map[string]string{"aes": "aes256-gcm96", "ed25519": "ed25519", "p256": "ecdsa-p256"}

const (
	small     = 64       // bytes
	large     = 64 << 10 // bytes
	batchSize = 1000
)

// workload is one request, sent again and again.
type workload struct {
	name, what string
	path       string
	body       func(m mounted) (any, error)               // asks the mount for what it needs, such as a ciphertext
	check      func(m mounted, data map[string]any) error // of an answer; opens what was sealed
	target     map[string]float64                         // the least ratio that is wanted, by name of the peer
}

var (
	single = map[string]float64{"noop": 1.3, "transit-plugin": 1.6}
	batch  = map[string]float64{"noop": 1.1, "transit-plugin": 1.7}
)

var workloads = []workload{
	{"encrypt", "encrypt 64 B", "encrypt/aes", plaintext(small), opens(small), single},
	{"decrypt", "decrypt 64 B", "decrypt/aes", ciphertext(small), shows(small), single},
	{"sign-ed25519", "sign, Ed25519", "sign/ed25519", message, verifies("ed25519"), nil},
	{"sign-p256", "sign, ECDSA on P-256", "sign/p256", message, verifies("p256"), nil},
	{"verify-ed25519", "verify, Ed25519", "verify/ed25519", signature("ed25519"), valid, nil},
	{"verify-p256", "verify, ECDSA on P-256", "verify/p256", signature("p256"), valid, nil},
	{"batch-encrypt", "encrypt a batch of 1,000 × 64 B", "encrypt/aes", plaintexts, batchOpens, batch},
	{"batch-decrypt", "decrypt a batch of 1,000 × 64 B", "decrypt/aes", ciphertexts, batchShows, batch},
	{"large", "encrypt 64 KiB", "encrypt/aes", plaintext(large), opens(large), nil},
	{"datakey", "data key", "datakey/plaintext/aes", nothing, opensDataKey, nil},
}

// chosenWorkloads reads a list of names, or of what they begin with up to a hyphen: sign is both of its kinds.
func chosenWorkloads(list string) (chosen []workload, err error) {
	if list == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		found := slices.DeleteFunc(slices.Clone(workloads), func(w workload) bool { return w.name != name && !strings.HasPrefix(w.name, name+"-") })
		if len(found) == 0 {
			return nil, fmt.Errorf("workload %q is none of %s", name, strings.Join(each(workloads, func(w workload) string { return w.name }), ", "))
		}
		chosen = append(chosen, found...)
	}
	return chosen, nil
}

// request makes the workload's request to a mount.
func (w workload) request(m mounted) (load.Request, error) {
	body, err := w.body(m)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(body)
	return m.request(w.path, text), err
}

// right tells whether the mount's answer to a request is what it should be.
func (w workload) right(m mounted, c *load.Client, r load.Request) error {
	status, body, err := c.Ask(r)
	if err != nil {
		return err
	}
	var answer struct{ Data map[string]any }
	if err := json.Unmarshal(body, &answer); err != nil || status != 200 {
		return fmt.Errorf("%s of %s is answered %d: %.200s", w.name, m.name, status, body)
	}
	if err := w.check(m, answer.Data); err != nil {
		return fmt.Errorf("%s of %s: %w", w.name, m.name, err)
	}
	return nil
}

type object = map[string]any

// text is base64 of n bytes, the same in every run; those of another i differ.
func text(n, i int) string {
	data := make([]byte, n)
	chance := rand.New(rand.NewPCG(uint64(n), uint64(i)))
	for at := range data {
		data[at] = byte(chance.Uint32())
	}
	return base64.StdEncoding.EncodeToString(data)
}

func nothing(mounted) (any, error) { return object{}, nil }
func message(mounted) (any, error) { return object{"input": text(small, 0)}, nil }

func plaintext(n int) func(mounted) (any, error) {
	return func(mounted) (any, error) { return object{"plaintext": text(n, 0)}, nil }
}

func ciphertext(n int) func(mounted) (any, error) {
	return func(m mounted) (any, error) {
		data, err := m.ask("encrypt/aes", object{"plaintext": text(n, 0)})
		return object{"ciphertext": data["ciphertext"]}, err
	}
}

func signature(key string) func(mounted) (any, error) {
	return func(m mounted) (any, error) {
		data, err := m.ask("sign/"+key, object{"input": text(small, 0)})
		return object{"input": text(small, 0), "signature": data["signature"]}, err
	}
}

func plaintexts(mounted) (any, error) {
	items := make([]object, batchSize)
	for i := range items {
		items[i] = object{"plaintext": text(small, i)}
	}
	return object{"batch_input": items}, nil
}

func ciphertexts(m mounted) (any, error) {
	plain, err := plaintexts(m)
	if err != nil {
		return nil, err
	}
	data, err := m.ask("encrypt/aes", plain)
	return object{"batch_input": only("ciphertext", data)}, err
}

// only is what the results of a batch have under a name, as items of another.
func only(name string, data object) []object {
	results, _ := data["batch_results"].([]any)
	items := make([]object, len(results))
	for i, result := range results {
		result, _ := result.(object)
		items[i] = object{name: result[name]}
	}
	return items
}

func shows(n int) func(mounted, object) error {
	return func(_ mounted, data object) error { return same(data["plaintext"], text(n, 0)) }
}

func opens(n int) func(mounted, object) error {
	return func(m mounted, data object) error {
		opened, err := m.ask("decrypt/aes", object{"ciphertext": data["ciphertext"]})
		if err != nil {
			return err
		}
		return same(opened["plaintext"], text(n, 0))
	}
}

func opensDataKey(m mounted, data object) error {
	opened, err := m.ask("decrypt/aes", object{"ciphertext": data["ciphertext"]})
	if err != nil {
		return err
	}
	return same(opened["plaintext"], data["plaintext"])
}

func batchOpens(m mounted, data object) error {
	opened, err := m.ask("decrypt/aes", object{"batch_input": only("ciphertext", data)})
	if err != nil {
		return err
	}
	return batchShows(m, opened)
}

func batchShows(m mounted, data object) error {
	want, err := plaintexts(m)
	if err != nil {
		return err
	}
	return same(object{"batch_input": only("plaintext", data)}, want)
}

func verifies(key string) func(mounted, object) error {
	return func(m mounted, data object) error {
		verified, err := m.ask("verify/"+key, object{"input": text(small, 0), "signature": data["signature"]})
		if err != nil {
			return err
		}
		return valid(m, verified)
	}
}

func valid(_ mounted, data object) error { return same(data["valid"], true) }

func same(got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the answer has %.60v where %.60v is right", got, want)
	}
	return nil
}
