// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// The part of the C interface of PKCS#11 (version 2.40, which version 3 libraries offer too) that keylife calls itself, written
// from the specification. It is for platforms where structures are not packed: all but Windows.
#ifndef KEYLIFE_PKCS11_H
#define KEYLIFE_PKCS11_H

#include <stddef.h>

typedef unsigned char CK_BYTE, CK_BBOOL;
typedef unsigned long CK_ULONG, CK_RV, CK_FLAGS, CK_SLOT_ID, CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_MECHANISM_TYPE, CK_USER_TYPE;
typedef void *CK_NOTIFY;

typedef struct {
	CK_MECHANISM_TYPE mechanism;
	void *pParameter;
	CK_ULONG ulParameterLen;
} CK_MECHANISM;

typedef struct {
	CK_ULONG type;
	void *pValue;
	CK_ULONG ulValueLen;
} CK_ATTRIBUTE;

typedef struct {
	CK_BYTE *pIv;
	CK_ULONG ulIvLen;
	CK_ULONG ulIvBits;
	CK_BYTE *pAAD;
	CK_ULONG ulAADLen;
	CK_ULONG ulTagBits;
} CK_GCM_PARAMS;

typedef struct {
	CK_MECHANISM_TYPE hashAlg;
	CK_ULONG mgf;
	CK_ULONG source;
	void *pSourceData;
	CK_ULONG ulSourceDataLen;
} CK_RSA_PKCS_OAEP_PARAMS;

typedef struct {
	CK_MECHANISM_TYPE hashAlg;
	CK_ULONG mgf;
	CK_ULONG sLen;
} CK_RSA_PKCS_PSS_PARAMS;

#define CKR_OK 0x0UL
#define CKR_BUFFER_TOO_SMALL 0x150UL
#define CKR_SESSION_COUNT 0xB1UL
#define CKR_HOST_MEMORY 0x2UL
#define CKM_AES_GCM 0x1087UL
#define CKU_USER 1UL
#define CKZ_DATA_SPECIFIED 1UL

typedef CK_RV (*CK_UNUSED)(void);

// The functions of CK_FUNCTION_LIST in their order. U are those that nobody calls here.
#define PKCS11_FUNCTIONS(F, U) \
	F(Initialize, (void *args), (args)) \
	F(Finalize, (void *reserved), (reserved)) \
	U(GetInfo) \
	U(GetFunctionList) \
	F(GetSlotList, (CK_BBOOL present, CK_SLOT_ID *slots, CK_ULONG *count), (present, slots, count)) \
	U(GetSlotInfo) \
	F(GetTokenInfo, (CK_SLOT_ID slot, void *info), (slot, info)) \
	F(GetMechanismList, (CK_SLOT_ID slot, CK_MECHANISM_TYPE *list, CK_ULONG *count), (slot, list, count)) \
	F(GetMechanismInfo, (CK_SLOT_ID slot, CK_MECHANISM_TYPE type, void *info), (slot, type, info)) \
	U(InitToken) \
	U(InitPIN) \
	U(SetPIN) \
	F(OpenSession, (CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *session), \
	  (slot, flags, app, notify, session)) \
	F(CloseSession, (CK_SESSION_HANDLE session), (session)) \
	F(CloseAllSessions, (CK_SLOT_ID slot), (slot)) \
	F(GetSessionInfo, (CK_SESSION_HANDLE session, void *info), (session, info)) \
	U(GetOperationState) \
	U(SetOperationState) \
	F(Login, (CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG length), (session, user, pin, length)) \
	F(Logout, (CK_SESSION_HANDLE session), (session)) \
	U(CreateObject) \
	U(CopyObject) \
	F(DestroyObject, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object), (session, object)) \
	U(GetObjectSize) \
	F(GetAttributeValue, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list, CK_ULONG count), \
	  (session, object, list, count)) \
	U(SetAttributeValue) \
	F(FindObjectsInit, (CK_SESSION_HANDLE session, CK_ATTRIBUTE *list, CK_ULONG count), (session, list, count)) \
	F(FindObjects, (CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *found, CK_ULONG most, CK_ULONG *count), \
	  (session, found, most, count)) \
	F(FindObjectsFinal, (CK_SESSION_HANDLE session), (session)) \
	F(EncryptInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key), (session, mechanism, key)) \
	F(Encrypt, (CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG length, CK_BYTE *out, CK_ULONG *room), \
	  (session, in, length, out, room)) \
	U(EncryptUpdate) \
	U(EncryptFinal) \
	F(DecryptInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key), (session, mechanism, key)) \
	F(Decrypt, (CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG length, CK_BYTE *out, CK_ULONG *room), \
	  (session, in, length, out, room)) \
	U(DecryptUpdate) \
	U(DecryptFinal) \
	U(DigestInit) \
	U(Digest) \
	U(DigestUpdate) \
	U(DigestKey) \
	U(DigestFinal) \
	F(SignInit, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key), (session, mechanism, key)) \
	F(Sign, (CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG length, CK_BYTE *out, CK_ULONG *room), \
	  (session, in, length, out, room)) \
	U(SignUpdate) \
	U(SignFinal) \
	U(SignRecoverInit) \
	U(SignRecover) \
	U(VerifyInit) \
	U(Verify) \
	U(VerifyUpdate) \
	U(VerifyFinal) \
	U(VerifyRecoverInit) \
	U(VerifyRecover) \
	U(DigestEncryptUpdate) \
	U(DecryptDigestUpdate) \
	U(SignEncryptUpdate) \
	U(DecryptVerifyUpdate) \
	F(GenerateKey, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *list, CK_ULONG count, CK_OBJECT_HANDLE *key), \
	  (session, mechanism, list, count, key)) \
	F(GenerateKeyPair, (CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_ATTRIBUTE *public_list, CK_ULONG public_count, \
	  CK_ATTRIBUTE *private_list, CK_ULONG private_count, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key), \
	  (session, mechanism, public_list, public_count, private_list, private_count, public_key, private_key)) \
	U(WrapKey) \
	U(UnwrapKey) \
	U(DeriveKey) \
	U(SeedRandom) \
	F(GenerateRandom, (CK_SESSION_HANDLE session, CK_BYTE *out, CK_ULONG length), (session, out, length)) \
	U(GetFunctionStatus) \
	U(CancelFunction) \
	U(WaitForSlotEvent)

#define PKCS11_MEMBER(name, parameters, arguments) CK_RV (*C_##name) parameters;
#define PKCS11_UNUSED(name) CK_UNUSED C_##name;

typedef struct {
	CK_BYTE major, minor;
	PKCS11_FUNCTIONS(PKCS11_MEMBER, PKCS11_UNUSED)
} CK_FUNCTION_LIST;

typedef CK_RV (*CK_C_GetFunctionList)(CK_FUNCTION_LIST **list);

#endif
