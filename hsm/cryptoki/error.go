// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package cryptoki

import "fmt"

// Error is a return value of a library that is not CKR_OK (CK_RV).
type Error uint

// Return values (section 6.2 of the header pkcs11t.h) that keylife tells apart.
const (
	ErrHostMemory              Error = 0x0002
	ErrSlotIDInvalid           Error = 0x0003
	ErrGeneralError            Error = 0x0005
	ErrFunctionFailed          Error = 0x0006
	ErrArgumentsBad            Error = 0x0007
	ErrAttributeReadOnly       Error = 0x0010
	ErrAttributeSensitive      Error = 0x0011
	ErrAttributeTypeInvalid    Error = 0x0012
	ErrAttributeValueInvalid   Error = 0x0013
	ErrActionProhibited        Error = 0x001B
	ErrDataInvalid             Error = 0x0020
	ErrDataLenRange            Error = 0x0021
	ErrDeviceError             Error = 0x0030
	ErrDeviceMemory            Error = 0x0031
	ErrDeviceRemoved           Error = 0x0032
	ErrEncryptedDataInvalid    Error = 0x0040
	ErrEncryptedDataLenRange   Error = 0x0041
	ErrFunctionCanceled        Error = 0x0050
	ErrFunctionNotSupported    Error = 0x0054
	ErrKeyHandleInvalid        Error = 0x0060
	ErrKeySizeRange            Error = 0x0062
	ErrKeyTypeInconsistent     Error = 0x0063
	ErrKeyFunctionNotPermitted Error = 0x0068
	ErrKeyUnextractable        Error = 0x006A
	ErrMechanismInvalid        Error = 0x0070
	ErrMechanismParamInvalid   Error = 0x0071
	ErrObjectHandleInvalid     Error = 0x0082
	ErrOperationActive         Error = 0x0090
	ErrOperationNotInitialized Error = 0x0091
	ErrPINIncorrect            Error = 0x00A0
	ErrPINInvalid              Error = 0x00A1
	ErrPINLenRange             Error = 0x00A2
	ErrPINExpired              Error = 0x00A3
	ErrPINLocked               Error = 0x00A4
	ErrSessionClosed           Error = 0x00B0
	ErrSessionCount            Error = 0x00B1
	ErrSessionHandleInvalid    Error = 0x00B3
	ErrSessionReadOnly         Error = 0x00B5
	ErrTemplateIncomplete      Error = 0x00D0
	ErrTemplateInconsistent    Error = 0x00D1
	ErrTokenNotPresent         Error = 0x00E0
	ErrTokenNotRecognized      Error = 0x00E1
	ErrTokenWriteProtected     Error = 0x00E2
	ErrUserAlreadyLoggedIn     Error = 0x0100
	ErrUserNotLoggedIn         Error = 0x0101
	ErrUserPINNotInitialized   Error = 0x0102
	ErrUserTypeInvalid         Error = 0x0103
	ErrRandomNoRNG             Error = 0x0121
	ErrBufferTooSmall          Error = 0x0150
	ErrNotInitialized          Error = 0x0190
	ErrAlreadyInitialized      Error = 0x0191
)

// Error names the return value as the specification does, and by its number.
func (e Error) Error() string {
	if name := names[e]; name != "" {
		return fmt.Sprintf("%s (0x%X)", name, uint(e))
	}
	return fmt.Sprintf("CKR 0x%X", uint(e))
}

var names = map[Error]string{ //nolint:gosec // names of return values, no credentials
	ErrHostMemory:              "CKR_HOST_MEMORY",
	ErrSlotIDInvalid:           "CKR_SLOT_ID_INVALID",
	ErrGeneralError:            "CKR_GENERAL_ERROR",
	ErrFunctionFailed:          "CKR_FUNCTION_FAILED",
	ErrArgumentsBad:            "CKR_ARGUMENTS_BAD",
	ErrAttributeReadOnly:       "CKR_ATTRIBUTE_READ_ONLY",
	ErrAttributeSensitive:      "CKR_ATTRIBUTE_SENSITIVE",
	ErrAttributeTypeInvalid:    "CKR_ATTRIBUTE_TYPE_INVALID",
	ErrAttributeValueInvalid:   "CKR_ATTRIBUTE_VALUE_INVALID",
	ErrActionProhibited:        "CKR_ACTION_PROHIBITED",
	ErrDataInvalid:             "CKR_DATA_INVALID",
	ErrDataLenRange:            "CKR_DATA_LEN_RANGE",
	ErrDeviceError:             "CKR_DEVICE_ERROR",
	ErrDeviceMemory:            "CKR_DEVICE_MEMORY",
	ErrDeviceRemoved:           "CKR_DEVICE_REMOVED",
	ErrEncryptedDataInvalid:    "CKR_ENCRYPTED_DATA_INVALID",
	ErrEncryptedDataLenRange:   "CKR_ENCRYPTED_DATA_LEN_RANGE",
	ErrFunctionCanceled:        "CKR_FUNCTION_CANCELED",
	ErrFunctionNotSupported:    "CKR_FUNCTION_NOT_SUPPORTED",
	ErrKeyHandleInvalid:        "CKR_KEY_HANDLE_INVALID",
	ErrKeySizeRange:            "CKR_KEY_SIZE_RANGE",
	ErrKeyTypeInconsistent:     "CKR_KEY_TYPE_INCONSISTENT",
	ErrKeyFunctionNotPermitted: "CKR_KEY_FUNCTION_NOT_PERMITTED",
	ErrKeyUnextractable:        "CKR_KEY_UNEXTRACTABLE",
	ErrMechanismInvalid:        "CKR_MECHANISM_INVALID",
	ErrMechanismParamInvalid:   "CKR_MECHANISM_PARAM_INVALID",
	ErrObjectHandleInvalid:     "CKR_OBJECT_HANDLE_INVALID",
	ErrOperationActive:         "CKR_OPERATION_ACTIVE",
	ErrOperationNotInitialized: "CKR_OPERATION_NOT_INITIALIZED",
	ErrPINIncorrect:            "CKR_PIN_INCORRECT",
	ErrPINInvalid:              "CKR_PIN_INVALID",
	ErrPINLenRange:             "CKR_PIN_LEN_RANGE",
	ErrPINExpired:              "CKR_PIN_EXPIRED",
	ErrPINLocked:               "CKR_PIN_LOCKED",
	ErrSessionClosed:           "CKR_SESSION_CLOSED",
	ErrSessionCount:            "CKR_SESSION_COUNT",
	ErrSessionHandleInvalid:    "CKR_SESSION_HANDLE_INVALID",
	ErrSessionReadOnly:         "CKR_SESSION_READ_ONLY",
	ErrTemplateIncomplete:      "CKR_TEMPLATE_INCOMPLETE",
	ErrTemplateInconsistent:    "CKR_TEMPLATE_INCONSISTENT",
	ErrTokenNotPresent:         "CKR_TOKEN_NOT_PRESENT",
	ErrTokenNotRecognized:      "CKR_TOKEN_NOT_RECOGNIZED",
	ErrTokenWriteProtected:     "CKR_TOKEN_WRITE_PROTECTED",
	ErrUserAlreadyLoggedIn:     "CKR_USER_ALREADY_LOGGED_IN",
	ErrUserNotLoggedIn:         "CKR_USER_NOT_LOGGED_IN",
	ErrUserPINNotInitialized:   "CKR_USER_PIN_NOT_INITIALIZED",
	ErrUserTypeInvalid:         "CKR_USER_TYPE_INVALID",
	ErrRandomNoRNG:             "CKR_RANDOM_NO_RNG",
	ErrBufferTooSmall:          "CKR_BUFFER_TOO_SMALL",
	ErrNotInitialized:          "CKR_CRYPTOKI_NOT_INITIALIZED",
	ErrAlreadyInitialized:      "CKR_CRYPTOKI_ALREADY_INITIALIZED",
}
