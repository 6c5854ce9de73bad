// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package token

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keylife/vault-plugin-keylife/hsm"
	"github.com/keylife/vault-plugin-keylife/hsm/cryptoki"
)

// All of these are answered as [hsm.ErrUnavailable].
var (
	errAbsent    = errors.New("no token is present with")
	errReplaced  = errors.New("another token has come in the place of")
	errDeadline  = errors.New("a call did not return before its deadline")
	errHung      = errors.New("calls hang")
	errBusy      = errors.New("no session was free in time")
	errWaiting   = errors.New("the token was not recovered in time")
	errFew       = errors.New("the token gives no session to keep the login and one to work with")
	errClosed    = errors.New("the token was closed")
	errRecovered = errors.New("the error came back after each recovery")
)

// errLeft ends a function whose caller is gone. No one sees it.
var errLeft = errors.New("the caller is gone")

func unavailable(err error) error {
	if errors.Is(err, hsm.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", hsm.ErrUnavailable, err)
}

// text is what may be told of an error for long: a return value, or what this module says.
func text(err error) string {
	var rv cryptoki.Error
	if errors.As(err, &rv) {
		return rv.Error()
	}
	return err.Error()
}

// waitError is why a recovery is not tried before until.
type waitError struct {
	until time.Time
	error
}

func (e waitError) Unwrap() error { return e.error }

// class tells what an error of a session is about.
type class int

const (
	classOwn       class = iota // the data, the request or the function itself: nothing is to be recovered
	classSession                // this session is not usable: another one may be
	classDevice                 // the device: it may pass
	classHandle                 // a handle that the token does not know, or not without login
	classLost                   // sessions or login are lost
	classUnloaded               // the library is not initialised
	classCrowded                // there are too many sessions
	classAmbiguous              // the data or the device: the probe decides
)

// classes are the return values that are not the caller's own (PKCS#11 section 5.1).
var classes = map[cryptoki.Error]class{
	cryptoki.ErrHostMemory:              classSession,
	cryptoki.ErrFunctionCanceled:        classSession,
	cryptoki.ErrOperationActive:         classSession,
	cryptoki.ErrOperationNotInitialized: classSession,

	cryptoki.ErrGeneralError:   classDevice,
	cryptoki.ErrFunctionFailed: classDevice,
	cryptoki.ErrDeviceError:    classDevice,
	cryptoki.ErrDeviceMemory:   classDevice,

	cryptoki.ErrObjectHandleInvalid: classHandle,
	cryptoki.ErrKeyHandleInvalid:    classHandle,

	cryptoki.ErrSlotIDInvalid:        classLost,
	cryptoki.ErrDeviceRemoved:        classLost,
	cryptoki.ErrSessionClosed:        classLost,
	cryptoki.ErrSessionHandleInvalid: classLost,
	cryptoki.ErrTokenNotPresent:      classLost,
	cryptoki.ErrTokenNotRecognized:   classLost,
	cryptoki.ErrUserNotLoggedIn:      classLost,

	cryptoki.ErrNotInitialized: classUnloaded,
	cryptoki.ErrSessionCount:   classCrowded,
}

// classify tells the class of an error that a function returned. decrypting says that C_Decrypt was the call that failed:
// there are libraries that answer to a wrong tag with CKR_GENERAL_ERROR.
func classify(err error, decrypting bool) class {
	if errors.Is(err, hsm.ErrKEKMissing) {
		return classAmbiguous // as if the object was deleted, a token looks that has lost its login, or all its objects
	}
	var rv cryptoki.Error
	if errors.Is(err, hsm.ErrUnavailable) || !errors.As(err, &rv) {
		return classOwn
	}
	if decrypting && (rv == cryptoki.ErrGeneralError || rv == cryptoki.ErrFunctionFailed) {
		return classAmbiguous
	}
	return classes[rv]
}

// didNothing reports an error that says that the call had no effect.
func didNothing(err error) bool {
	var rv cryptoki.Error
	if !errors.As(err, &rv) {
		return errors.Is(err, errLeft)
	}
	switch classes[rv] {
	case classHandle, classLost, classUnloaded, classCrowded:
		return rv != cryptoki.ErrDeviceRemoved // it may have been removed in the middle of it
	}
	return rv == cryptoki.ErrOperationActive
}

// rejections are the answers of C_Login that no further try with this PIN makes better (section 5.6.8).
var rejections = []cryptoki.Error{
	cryptoki.ErrPINIncorrect, cryptoki.ErrPINInvalid, cryptoki.ErrPINLenRange, cryptoki.ErrPINExpired, cryptoki.ErrPINLocked,
	cryptoki.ErrUserPINNotInitialized, cryptoki.ErrUserTypeInvalid,
}

func isRejection(err error) bool {
	var rv cryptoki.Error
	return errors.As(err, &rv) && slices.Contains(rejections, rv)
}
