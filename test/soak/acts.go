// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
)

// reading is a read of a key.
func reading(format string) func(*mount, *rand.Rand, *key) error {
	return func(m *mount, _ *rand.Rand, k *key) error {
		_, err := m.ask(http.MethodGet, fmt.Sprintf(format, k.name), nil, http.StatusOK)
		return err
	}
}

// of is a read of the mount.
func of(to string) func(*mount, *rand.Rand, *key) error {
	return func(m *mount, _ *rand.Rand, _ *key) error {
		_, err := m.ask(http.MethodGet, to, nil, http.StatusOK)
		return err
	}
}

func (m *mount) verifyCustody(_ *rand.Rand, k *key) error {
	out, err := m.post("custody/verify", body{"key": k.name})
	if err == nil && out["valid"] != true {
		return fmt.Errorf("custody of %s: %v", k.name, out["problems"])
	}
	return err
}

// scrape reads the metrics as Prometheus does.
func (m *mount) scrape(*rand.Rand, *key) error {
	reply, err := m.server.Client().Logical().ReadRaw(path + "metrics")
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	_, err = io.Copy(io.Discard, reply.Body)
	return err
}

func (m *mount) rotate(_ *rand.Rand, k *key) error {
	_, err := m.post("keys/"+k.name+"/rotate", body{"reason": reason})
	return err
}

func (m *mount) hold(_ *rand.Rand, k *key) error {
	for _, on := range []bool{true, false} {
		if _, err := m.post("keys/"+k.name+"/hold", body{"hold": on, "reason": reason}); err != nil {
			return err
		}
	}
	return nil
}

// suspend stops a key, sees that it is stopped, and lets it go on.
func (m *mount) suspend(r *rand.Rand, k *key) error {
	if _, err := m.post("keys/"+k.name+"/suspend", body{"reason": reason}); err != nil {
		return err
	}
	to, in := "encrypt/", body{"plaintext": text(r)}
	switch k.kind {
	case "hmac":
		to, in = "hmac/", body{"input": text(r)}
	case "ed25519", "ecdsa-p256":
		to, in = "sign/", body{"input": text(r)}
	}
	if _, err := m.ask(http.MethodPost, to+k.name, in, http.StatusBadRequest); err != nil {
		return err
	}
	_, err := m.post("keys/"+k.name+"/resume", body{"reason": reason})
	return err
}

func (m *mount) writePolicy(r *rand.Rand, _ *key) error {
	_, err := m.post("policies/"+written, body{"description": fmt.Sprintf("as of %d", r.Uint64())})
	return err
}

// beRefused asks for what cannot be done.
func (m *mount) beRefused(r *rand.Rand, k *key) error {
	asked := []struct {
		to  string
		in  body
		due int
	}{
		{"encrypt/" + k.name, body{"plaintext": "not base64"}, http.StatusBadRequest},
		{"decrypt/" + k.name, body{"ciphertext": "vault:v1:AAAA"}, http.StatusBadRequest},
		{"decrypt/" + k.name, body{"ciphertext": "vault:v4711:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, http.StatusBadRequest},
		{"encrypt/" + k.name, body{"plaintext": "aGVsbG8=", "key_version": 4711}, http.StatusBadRequest},
		{"sign/" + k.name, body{"input": "aGVsbG8="}, http.StatusBadRequest},
		{"keys/" + k.name + "/rotate", body{"cas": 4711, "reason": reason}, http.StatusConflict},
		{"keys/" + k.name + "/trim", body{"min_available_version": 1}, http.StatusBadRequest},
		{fmt.Sprintf("keys/absent-%d/rotate", r.Uint64()), body{}, http.StatusBadRequest},
	}
	one := asked[r.IntN(len(asked))]
	_, err := m.ask(http.MethodPost, one.to, one.in, one.due)
	return err
}
