// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package soak

import (
	"fmt"
	"net/http"
)

func (m *mount) create(k *key) error {
	_, err := m.ask(http.MethodPost, "keys/"+k.name, body{"type": k.kind, "policy": policy}, http.StatusOK)
	return err
}

// replace ends the oldest key and makes it anew, under its name.
func (m *mount) replace() {
	k := m.keys[m.next%len(m.keys)]
	compromised := m.next%10 == 0
	m.next++
	k.Lock()
	defer k.Unlock()
	k.sealed = nil
	if compromised {
		m.did("compromise", m.compromise(k))
	}
	m.did("replace", m.end(k))
}

// compromise reports the active version, which the key replaces at once.
func (m *mount) compromise(k *key) error {
	view, err := m.ask(http.MethodGet, "keys/"+k.name, nil, http.StatusOK)
	if err != nil {
		return err
	}
	to := fmt.Sprintf("keys/%s/versions/%v/compromise", k.name, view["primary_version"])
	_, err = m.ask(http.MethodPost, to, body{"reason": reason, "reason_code": "key_compromise"}, http.StatusOK)
	return err
}

func (m *mount) end(k *key) error {
	if _, err := m.ask(http.MethodPost, "keys/"+k.name+"/config", body{"policy": "", "deletion_allowed": true, "reason": reason}, http.StatusOK); err != nil {
		return err
	}
	if _, err := m.ask(http.MethodDelete, "keys/"+k.name+"?reason=soak", nil, http.StatusNoContent); err != nil {
		return err
	}
	return m.create(k)
}
