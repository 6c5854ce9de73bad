// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package cryptoki

// Library is a PKCS#11 library that is initialised in this process. It is safe for concurrent use, but for Reinitialize and
// Close, during which no other call may be under way (section 5.4). Errors are [Error] where the library returned one.
//
// No call can be cancelled: a token that hangs, hangs its caller.
type Library interface {
	// Tokens returns the tokens that are present (C_GetSlotList, C_GetTokenInfo).
	Tokens() ([]Token, error)
	// Mechanisms returns what the token in a slot lists (C_GetMechanismList).
	Mechanisms(slot uint) ([]MechanismType, error)
	// MechanismInfo returns what the token in a slot says of a mechanism (C_GetMechanismInfo). Some tokens say something of one
	// that they do not list.
	MechanismInfo(slot uint, m MechanismType) (MechanismInfo, error)
	// Open opens a session that reads and writes with the token in a slot (C_OpenSession).
	Open(slot uint) (Session, error)
	// Reinitialize makes the library look at the world anew (C_Finalize, C_Initialize). Sessions, logins and objects of before
	// are gone.
	Reinitialize() error
	// Close gives the library up; the last to hold it finalizes it (C_Finalize).
	Close() error
}

// Session is a session with a token (section 5.6). It is not safe for concurrent use. After an error of any call it is to be
// closed: an operation may be left half done in it.
type Session interface {
	// Login logs the user in, with all sessions of the process on this token (C_Login with CKU_USER).
	Login(pin []byte) error
	// Find returns the objects that have all the attributes (C_FindObjects), at most ten.
	Find(Template) ([]Object, error)
	// Attributes returns attributes of an object (C_GetAttributeValue), as the token encodes them. One that the token does not
	// know or does not tell is nil.
	Attributes(Object, ...AttributeType) ([][]byte, error)
	// Generate makes a secret key (C_GenerateKey), or a public and a private key of two templates (C_GenerateKeyPair).
	Generate(Mechanism, ...Template) ([]Object, error)
	// Do encrypts, decrypts, signs or verifies input in one part. Output is the caller's to wipe.
	Do(Operation, Object, Mechanism, []byte) ([]byte, error)
	// Random returns bytes of the token's generator (C_GenerateRandom).
	Random(n int) ([]byte, error)
	// Destroy destroys an object (C_DestroyObject).
	Destroy(Object) error
	// Close closes the session (C_CloseSession).
	Close() error
}

// LoginState is what a session may tell besides: whether it is logged in (C_GetSessionInfo, section 5.6.5). Without a login,
// private objects are not found, and no error says so.
type LoginState interface {
	LoggedIn() (bool, error)
}

// Token is what a library says of a token (CK_TOKEN_INFO). Texts come without the blanks that fill them up.
type Token struct {
	Slot                               uint
	Label, Serial, Manufacturer, Model string
	LoginRequired                      bool
	Initialized                        bool // CKF_TOKEN_INITIALIZED
	PINInitialized                     bool // CKF_USER_PIN_INITIALIZED
	PINLow, PINFinalTry, PINLocked     bool // CKF_USER_PIN_COUNT_LOW, _FINAL_TRY, _LOCKED
	MaxSessions, MaxRWSessions         uint // 0: no limit is known (0, CK_UNAVAILABLE_INFORMATION and CK_EFFECTIVELY_INFINITE)
}

// Object is a handle of an object. It means something in the epoch it was found in only, which a login or an initialisation
// begins: handles were seen to name another key afterwards.
type Object uint

// Operation is what [Session.Do] does.
type Operation int

// The operations of [Session.Do], each with its C functions.
const (
	Encrypt Operation = iota // C_EncryptInit, C_Encrypt
	Decrypt                  // C_DecryptInit, C_Decrypt
	Sign                     // C_SignInit, C_Sign; of MACs too
)
