//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package p11

import (
	"errors"

	"github.com/miekg/pkcs11"

	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// maxFound is how many objects Find returns at most: a selection that finds more than one is a mistake already.
const maxFound = 10

// session is a [cryptoki.Session]. It means nothing in another initialisation than its own, where its number may be another
// session's.
type session struct {
	module *module
	epoch  uint64
	handle pkcs11.SessionHandle
	closed bool
}

func (s *session) enter() (call, error) {
	m := s.module
	m.mu.Lock()
	defer m.mu.Unlock()
	m.awaitGate()
	if s.closed || m.up && m.epoch != s.epoch {
		return call{}, cryptoki.ErrSessionHandleInvalid
	}
	return m.begin(s.epoch)
}

// Find is C_FindObjectsInit, C_FindObjects and C_FindObjectsFinal.
func (s *session) Find(template cryptoki.Template) ([]cryptoki.Object, error) {
	list, err := attributes(template)
	if err != nil {
		return nil, err
	}
	call, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer call.leave()
	if err := s.module.control.FindObjectsInit(s.handle, list); err != nil {
		return nil, failed("C_FindObjectsInit", err)
	}
	handles, _, err := s.module.control.FindObjects(s.handle, maxFound)
	final := s.module.control.FindObjectsFinal(s.handle)
	if err := errors.Join(failed("C_FindObjects", err), failed("C_FindObjectsFinal", final)); err != nil {
		return nil, err
	}
	objects := make([]cryptoki.Object, len(handles))
	for i, handle := range handles {
		objects[i] = cryptoki.Object(handle)
	}
	return objects, nil
}

// Attributes is C_GetAttributeValue. It asks for one attribute at a time: of several, libraries differ in what they tell where
// one is not to be had.
func (s *session) Attributes(object cryptoki.Object, types ...cryptoki.AttributeType) ([][]byte, error) {
	call, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer call.leave()
	values := make([][]byte, len(types))
	for i, wanted := range types {
		list := []*pkcs11.Attribute{pkcs11.NewAttribute(uint(wanted), nil)}
		got, err := s.module.control.GetAttributeValue(s.handle, pkcs11.ObjectHandle(object), list)
		err = failed("C_GetAttributeValue", err)
		if errors.Is(err, cryptoki.ErrAttributeTypeInvalid) || errors.Is(err, cryptoki.ErrAttributeSensitive) {
			continue
		}
		if err != nil {
			return nil, err
		}
		values[i] = got[0].Value
	}
	return values, nil
}

// Generate is C_GenerateKey with one template, and C_GenerateKeyPair with two.
func (s *session) Generate(mechanism cryptoki.Mechanism, templates ...cryptoki.Template) ([]cryptoki.Object, error) {
	lists := make([][]*pkcs11.Attribute, len(templates))
	for i, template := range templates {
		list, err := attributes(template)
		if err != nil {
			return nil, err
		}
		lists[i] = list
	}
	call, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer call.leave()
	mechanisms := []*pkcs11.Mechanism{pkcs11.NewMechanism(uint(mechanism.Type), nil)}
	switch len(lists) {
	case 1:
		key, err := s.module.control.GenerateKey(s.handle, mechanisms, lists[0])
		if err != nil {
			return nil, failed("C_GenerateKey", err)
		}
		return []cryptoki.Object{cryptoki.Object(key)}, nil
	case 2:
		public, private, err := s.module.control.GenerateKeyPair(s.handle, mechanisms, lists[0], lists[1])
		if err != nil {
			return nil, failed("C_GenerateKeyPair", err)
		}
		return []cryptoki.Object{cryptoki.Object(public), cryptoki.Object(private)}, nil
	default:
		return nil, errors.New("a key is generated from one template, a key pair from two")
	}
}

// LoggedIn is [cryptoki.LoginState]'s.
func (s *session) LoggedIn() (bool, error) {
	call, err := s.enter()
	if err != nil {
		return false, err
	}
	defer call.leave()
	info, err := s.module.control.GetSessionInfo(s.handle)
	if err != nil {
		return false, failed("C_GetSessionInfo", err)
	}
	return info.State == pkcs11.CKS_RO_USER_FUNCTIONS || info.State == pkcs11.CKS_RW_USER_FUNCTIONS, nil
}

// Destroy is C_DestroyObject.
func (s *session) Destroy(object cryptoki.Object) error {
	call, err := s.enter()
	if err != nil {
		return err
	}
	defer call.leave()
	return failed("C_DestroyObject", s.module.control.DestroyObject(s.handle, pkcs11.ObjectHandle(object)))
}

// Close is C_CloseSession. A session that an initialisation ended is closed already.
func (s *session) Close() error {
	call, err := s.enter()
	if err != nil {
		return nil //nolint:nilerr // as said
	}
	defer call.leave()
	s.closed = true
	return failed("C_CloseSession", s.module.control.CloseSession(s.handle))
}
