// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// What keylife calls in a library itself: one crossing between Go and C an operation, in buffers of the caller's. Nothing here
// allocates, and nothing copies a secret.
#ifndef KEYLIFE_SHIM_H
#define KEYLIFE_SHIM_H

#include "pkcs11.h"

enum { KEYLIFE_ENCRYPT, KEYLIFE_DECRYPT, KEYLIFE_SIGN };
enum { KEYLIFE_PLAIN, KEYLIFE_IV, KEYLIFE_GCM, KEYLIFE_OAEP, KEYLIFE_PSS };

// keylife_call is an operation in one part, with a mechanism and its parameter.
typedef struct {
	int operation;
	int parameter; // which of the fields below make up the parameter of the mechanism
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	CK_MECHANISM_TYPE mechanism;
	CK_BYTE *iv; // a token may write over it
	CK_ULONG iv_length;
	CK_BYTE *aad;
	CK_ULONG aad_length;
	CK_MECHANISM_TYPE hash;
	CK_ULONG mgf;
	CK_ULONG salt;
	CK_BYTE *in;
	CK_ULONG in_length;
	CK_BYTE *out;
	CK_ULONG room;
} keylife_call;

typedef struct {
	CK_RV rv;
	CK_ULONG length;
} keylife_result;

// keylife_load loads a library and never lets go of it. Where it fails, it returns NULL, and why in a text of the loader's.
CK_FUNCTION_LIST *keylife_load(const char *path, void **handle, const char **why);
keylife_result keylife_do(CK_FUNCTION_LIST *library, keylife_call call);
CK_RV keylife_login(CK_FUNCTION_LIST *library, CK_SESSION_HANDLE session, CK_BYTE *pin, CK_ULONG length);
CK_RV keylife_random(CK_FUNCTION_LIST *library, CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG length);

#endif
