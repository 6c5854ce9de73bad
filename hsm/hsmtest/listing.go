//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package hsmtest

import (
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"
)

// SecretKeys lists the secret keys on the token, as label and CKA_ID in hex with a blank between. The token must be one that this process
// finds, and no other user of the library may be in it.
func (f Fixture) SecretKeys() (keys []string, err error) {
	ctx := pkcs11.New(f.Library)
	if ctx == nil {
		return nil, fmt.Errorf("load %s", f.Library)
	}
	if err := ctx.Initialize(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ctx.Finalize()) }()
	session, err := f.login(ctx)
	if err != nil {
		return nil, err
	}
	if err := ctx.FindObjectsInit(session, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY)}); err != nil {
		return nil, err
	}
	for {
		objects, _, err := ctx.FindObjects(session, 16)
		if err != nil || len(objects) == 0 {
			return keys, err
		}
		for _, object := range objects {
			found, err := ctx.GetAttributeValue(session, object, []*pkcs11.Attribute{
				pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil), pkcs11.NewAttribute(pkcs11.CKA_ID, nil),
			})
			if err != nil {
				return nil, err
			}
			keys = append(keys, fmt.Sprintf("%s %x", found[0].Value, found[1].Value))
		}
	}
}

func (f Fixture) login(ctx *pkcs11.Ctx) (pkcs11.SessionHandle, error) {
	slots, err := ctx.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	for _, slot := range slots {
		if info, err := ctx.GetTokenInfo(slot); err != nil || info.Label != f.Label {
			continue
		}
		session, err := ctx.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
		if err != nil {
			return 0, err
		}
		return session, ctx.Login(session, pkcs11.CKU_USER, f.PIN)
	}
	return 0, fmt.Errorf("no token is labelled %s", f.Label)
}
