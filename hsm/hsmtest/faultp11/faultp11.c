// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// faultp11 is a PKCS#11 library for tests. It stands before another one and fails as HSMs do.
//
// Beside its own file, NAME.so, lie NAME.so.module, the path of the library that does the work, and NAME.so.control, where the
// test says what is to fail and reads what was called. Both sides see the control file at once, in whatever process they are;
// its layout is struct control here and the offsets in fault.go there.
#define _GNU_SOURCE
#include "pkcs11.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define NUMBER(name, parameters, arguments) FN_##name,
#define NO_NUMBER(name)
enum function { PKCS11_FUNCTIONS(NUMBER, NO_NUMBER) FN_COUNT };

enum mode { NONE, FAIL, HANG, CRASH, LOSE };
enum iv_mode { IV_OF_CALLER, IV_OVERWRITTEN, IV_APPENDED };
enum { OWN_IV = 12, APPENDED_IV = 16 };

struct rule {
	uint64_t calls;    // so far
	uint64_t mode;     // enum mode, written last by the test
	uint64_t skip;     // calls that go well before the rule applies
	int64_t remaining; // calls that the rule applies to, -1: all
	uint64_t rv;       // FAIL: returned without a call. LOSE: returned after it. HANG: returned once released, if not 0
	uint64_t delay;    // microseconds that every call of the function takes longer
	uint64_t hits;     // calls that the rule applied to
	uint64_t hanging;  // now
};

struct control {
	uint64_t restarts;     // asked for
	uint64_t restarted;    // done
	uint64_t max_sessions; // 0: no limit
	uint64_t iv_mode;
	uint64_t sessions; // open now
	uint64_t boast;    // bytes that C_Sign says to have written more than it did
	uint64_t unused[2];
	struct rule rules[FN_COUNT];
};

static CK_FUNCTION_LIST *real;
static CK_FUNCTION_LIST own;
static volatile struct control *control;

static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;     // rules, pending
static pthread_rwlock_t restarting = PTHREAD_RWLOCK_INITIALIZER; // held for reading by every call of the real library

// pending are GCM encryptions with an IV of the token's, from C_EncryptInit to C_Encrypt.
static struct {
	CK_SESSION_HANDLE session;
	uint64_t iv_mode; // IV_OF_CALLER: free
	CK_BYTE *callers;
	CK_BYTE iv[APPENDED_IV];
} pending[256];

// slot_of returns the place of a session in pending: its own, or else, for a new one, a free one.
static int slot_of(CK_SESSION_HANDLE session, int fresh) {
	int found = -1;
	for (int i = 0; i < 256; i++) {
		if (pending[i].iv_mode != IV_OF_CALLER && pending[i].session == session) {
			return i;
		}
		if (fresh && pending[i].iv_mode == IV_OF_CALLER) {
			found = i;
		}
	}
	return found;
}

static void forget(CK_SESSION_HANDLE session) {
	pthread_mutex_lock(&counting);
	int at = slot_of(session, 0);
	if (at >= 0) {
		pending[at].iv_mode = IV_OF_CALLER;
	}
	pthread_mutex_unlock(&counting);
}

static void forget_all(void) {
	memset(pending, 0, sizeof pending);
	control->sessions = 0;
}

// restart does what a restart of an HSM does: sessions and logins are gone, objects stay.
static void restart(void) {
	pthread_rwlock_wrlock(&restarting);
	if (control->restarted != control->restarts) {
		CK_SLOT_ID slots[64];
		CK_ULONG count = 64;
		if (real->C_GetSlotList(1, slots, &count) == CKR_OK) {
			for (CK_ULONG i = 0; i < count; i++) {
				real->C_CloseAllSessions(slots[i]);
			}
		}
		forget_all();
		control->restarted = control->restarts;
	}
	pthread_rwlock_unlock(&restarting);
}

static uint64_t applies(volatile struct rule *rule) {
	uint64_t mode = NONE;
	pthread_mutex_lock(&counting);
	rule->calls++;
	if (rule->mode != NONE && rule->skip > 0) {
		rule->skip--;
	} else if (rule->mode != NONE && rule->remaining != 0) {
		mode = rule->mode;
		rule->hits++;
		if (rule->remaining > 0) {
			rule->remaining--;
		}
	}
	pthread_mutex_unlock(&counting);
	return mode;
}

static void hang(volatile struct rule *rule) {
	__atomic_add_fetch(&rule->hanging, 1, __ATOMIC_SEQ_CST);
	while (rule->mode == HANG) {
		usleep(1000);
	}
	__atomic_sub_fetch(&rule->hanging, 1, __ATOMIC_SEQ_CST);
}

// enter returns 1 where the real library is to be called, after which leave is. Otherwise *rv is the answer.
static int enter(enum function function, uint64_t *mode, CK_RV *rv) {
	volatile struct rule *rule = &control->rules[function];
	*mode = applies(rule);
	if (rule->delay > 0) {
		usleep(rule->delay);
	}
	*rv = rule->rv;
	switch (*mode) {
	case FAIL:
		return 0;
	case HANG:
		hang(rule);
		if (*rv != CKR_OK) {
			return 0;
		}
		break;
	case CRASH:
		*(volatile int *)(uintptr_t)8 = 0;
	}
	if (control->restarted != control->restarts) {
		restart();
	}
	pthread_rwlock_rdlock(&restarting);
	return 1;
}

static CK_RV leave(enum function function, uint64_t mode, CK_RV rv) {
	pthread_rwlock_unlock(&restarting);
	return mode == LOSE ? control->rules[function].rv : rv;
}

#define COUNT_SESSIONS(n) __atomic_add_fetch(&control->sessions, (n), __ATOMIC_SEQ_CST)

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify, CK_SESSION_HANDLE *session) {
	uint64_t most = control->max_sessions, now = COUNT_SESSIONS(1);
	CK_RV rv = most > 0 && now > most ? CKR_SESSION_COUNT : real->C_OpenSession(slot, flags, app, notify, session);
	if (rv != CKR_OK) {
		COUNT_SESSIONS(-1);
	}
	return rv;
}

static CK_RV close_session(CK_SESSION_HANDLE session) {
	forget(session);
	CK_RV rv = real->C_CloseSession(session);
	if (rv == CKR_OK) {
		COUNT_SESSIONS(-1);
	}
	return rv;
}

// encrypt_init gives the real library an IV of its own in place of the caller's, where the control file says so.
static CK_RV encrypt_init(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key) {
	if (mechanism->mechanism != CKM_AES_GCM || control->iv_mode == IV_OF_CALLER) {
		return real->C_EncryptInit(session, mechanism, key);
	}
	CK_GCM_PARAMS gcm = *(CK_GCM_PARAMS *)mechanism->pParameter;
	CK_MECHANISM other = {CKM_AES_GCM, &gcm, sizeof gcm};
	pthread_mutex_lock(&counting);
	int at = slot_of(session, 1);
	if (at >= 0) {
		pending[at].session = session;
		pending[at].iv_mode = control->iv_mode;
		pending[at].callers = gcm.pIv;
		if (getrandom(pending[at].iv, sizeof pending[at].iv, 0) != sizeof pending[at].iv) {
			at = -1;
		}
	}
	pthread_mutex_unlock(&counting);
	if (at < 0) {
		return CKR_HOST_MEMORY;
	}
	gcm.pIv = pending[at].iv;
	gcm.ulIvLen = pending[at].iv_mode == IV_APPENDED ? APPENDED_IV : OWN_IV;
	gcm.ulIvBits = gcm.ulIvLen * 8;
	CK_RV rv = real->C_EncryptInit(session, &other, key);
	if (rv != CKR_OK) {
		forget(session);
	}
	return rv;
}

// encrypt tells the IV, over the caller's or after the output. It does so in this call and not in C_EncryptInit already: a
// binding must keep the parameter where it is until then.
static CK_RV encrypt(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG length, CK_BYTE *out, CK_ULONG *room) {
	pthread_mutex_lock(&counting);
	int at = slot_of(session, 0);
	pthread_mutex_unlock(&counting);
	if (at < 0) {
		return real->C_Encrypt(session, in, length, out, room);
	}
	CK_ULONG more = pending[at].iv_mode == IV_APPENDED ? APPENDED_IV : 0;
	if (out != NULL && *room < more) {
		return CKR_BUFFER_TOO_SMALL;
	}
	*room -= out != NULL ? more : 0;
	CK_RV rv = real->C_Encrypt(session, in, length, out, room);
	if (rv == CKR_OK && out != NULL && more > 0) {
		memcpy(out + *room, pending[at].iv, more);
	}
	if (rv == CKR_OK && out != NULL && more == 0) {
		memcpy(pending[at].callers, pending[at].iv, OWN_IV);
	}
	*room += more;
	if (out != NULL && rv != CKR_BUFFER_TOO_SMALL) {
		forget(session);
	}
	return rv;
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE *in, CK_ULONG length, CK_BYTE *out, CK_ULONG *room) {
	CK_RV rv = real->C_Sign(session, in, length, out, room);
	*room += control->boast;
	return rv;
}

static CK_RV finalize(void *reserved) {
	forget_all();
	return real->C_Finalize(reserved);
}

static void override(CK_FUNCTION_LIST *list) {
	list->C_OpenSession = open_session;
	list->C_CloseSession = close_session;
	list->C_EncryptInit = encrypt_init;
	list->C_Encrypt = encrypt;
	list->C_Sign = sign;
	list->C_Finalize = finalize;
}

// inner is the real list with what is above in its place; own has every function of PKCS11_FUNCTIONS go through the rules.
static CK_FUNCTION_LIST inner;

#define RULED(name, parameters, arguments) \
	static CK_RV ruled_##name parameters { \
		uint64_t mode; \
		CK_RV rv; \
		if (!enter(FN_##name, &mode, &rv)) { \
			return rv; \
		} \
		return leave(FN_##name, mode, inner.C_##name arguments); \
	}
#define NOT_RULED(name)
PKCS11_FUNCTIONS(RULED, NOT_RULED)

static void *map_control(const char *path) {
	int fd = open(path, O_RDWR);
	if (fd < 0) {
		return MAP_FAILED;
	}
	void *mapped = MAP_FAILED;
	if (ftruncate(fd, sizeof(struct control)) == 0) {
		mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	}
	close(fd);
	return mapped;
}

// read_path reads the path of the real library.
static int read_path(const char *beside, char *path, size_t room) {
	FILE *file = fopen(beside, "r");
	if (file == NULL) {
		return 0;
	}
	size_t n = fread(path, 1, room - 1, file);
	fclose(file);
	path[n] = '\0';
	return n > 0;
}

static int stand_before(void) {
	char beside[4096], path[4096];
	Dl_info self;
	if (!dladdr((void *)stand_before, &self)) {
		return 0;
	}
	snprintf(beside, sizeof beside, "%s.control", self.dli_fname);
	control = map_control(beside);
	snprintf(beside, sizeof beside, "%s.module", self.dli_fname);
	if (control == MAP_FAILED || !read_path(beside, path, sizeof path)) {
		return 0;
	}
	void *handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
	CK_C_GetFunctionList get = handle == NULL ? NULL : (CK_C_GetFunctionList)dlsym(handle, "C_GetFunctionList");
	return get != NULL && get(&real) == CKR_OK;
}

#define RULE_IT(name, parameters, arguments) own.C_##name = ruled_##name;

__attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list) {
	static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&once);
	int ready = real != NULL || stand_before();
	if (ready && own.C_Initialize == NULL) {
		inner = *real;
		override(&inner);
		own = *real;
		PKCS11_FUNCTIONS(RULE_IT, NOT_RULED)
		own.C_GetFunctionList = (CK_UNUSED)(void *)C_GetFunctionList;
	}
	pthread_mutex_unlock(&once);
	*list = &own;
	return ready ? CKR_OK : 5; // CKR_GENERAL_ERROR
}
