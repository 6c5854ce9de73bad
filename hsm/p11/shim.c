//go:build cgo && !nohsm

// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>

CK_FUNCTION_LIST *keylife_load(const char *path, void **handle, const char **why) {
	CK_FUNCTION_LIST *list = NULL;
	*why = "it is no PKCS#11 library";
	*handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
	if (*handle == NULL) {
		*why = dlerror();
		return NULL;
	}
	CK_C_GetFunctionList get = (CK_C_GetFunctionList)dlsym(*handle, "C_GetFunctionList");
	if (get == NULL || get(&list) != CKR_OK) {
		return NULL;
	}
	return list;
}

// begin is C_EncryptInit, C_DecryptInit or C_SignInit. The parameter lives in the caller's frame until the operation is done:
// a token that chooses the IV may write it with either call.
static CK_RV begin(CK_FUNCTION_LIST *library, const keylife_call *call, CK_MECHANISM *mechanism) {
	switch (call->operation) {
	case KEYLIFE_ENCRYPT:
		return library->C_EncryptInit(call->session, mechanism, call->key);
	case KEYLIFE_DECRYPT:
		return library->C_DecryptInit(call->session, mechanism, call->key);
	default:
		return library->C_SignInit(call->session, mechanism, call->key);
	}
}

static CK_RV finish(CK_FUNCTION_LIST *library, const keylife_call *call, CK_ULONG *length) {
	CK_BYTE none = 0; // there are libraries that take no NULL for an input of no bytes
	CK_BYTE *in = call->in == NULL ? &none : call->in;
	switch (call->operation) {
	case KEYLIFE_ENCRYPT:
		return library->C_Encrypt(call->session, in, call->in_length, call->out, length);
	case KEYLIFE_DECRYPT:
		return library->C_Decrypt(call->session, in, call->in_length, call->out, length);
	default:
		return library->C_Sign(call->session, in, call->in_length, call->out, length);
	}
}

keylife_result keylife_do(CK_FUNCTION_LIST *library, keylife_call call) {
	CK_GCM_PARAMS gcm = {call.iv, call.iv_length, call.iv_length * 8, call.aad, call.aad_length, 128};
	CK_RSA_PKCS_OAEP_PARAMS oaep = {call.hash, call.mgf, CKZ_DATA_SPECIFIED, NULL, 0};
	CK_RSA_PKCS_PSS_PARAMS pss = {call.hash, call.mgf, call.salt};
	CK_MECHANISM mechanism = {call.mechanism, NULL, 0};
	switch (call.parameter) {
	case KEYLIFE_IV:
		mechanism.pParameter = call.iv;
		mechanism.ulParameterLen = call.iv_length;
		break;
	case KEYLIFE_GCM:
		mechanism.pParameter = &gcm;
		mechanism.ulParameterLen = sizeof gcm;
		break;
	case KEYLIFE_OAEP:
		mechanism.pParameter = &oaep;
		mechanism.ulParameterLen = sizeof oaep;
		break;
	case KEYLIFE_PSS:
		mechanism.pParameter = &pss;
		mechanism.ulParameterLen = sizeof pss;
		break;
	}
	keylife_result result = {begin(library, &call, &mechanism), call.room};
	if (result.rv == CKR_OK) {
		result.rv = finish(library, &call, &result.length);
	}
	return result;
}

CK_RV keylife_login(CK_FUNCTION_LIST *library, CK_SESSION_HANDLE session, CK_BYTE *pin, CK_ULONG length) {
	return library->C_Login(session, CKU_USER, pin, length);
}

CK_RV keylife_random(CK_FUNCTION_LIST *library, CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG length) {
	return library->C_GenerateRandom(session, out, length);
}
