// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package faketoken is PKCS#11 in memory, for tests without cgo: a [Device] stands for an HSM, and a [Library] for the
// library that a process speaks with it. Encryption is real; what goes wrong is chosen by the test: return values, hangs,
// restarts, removal, locked PINs, limits.
//
// It is stricter than many a token. What a caller must never do is kept in [Library.Misuse], which a test should find empty:
// C_Finalize with calls under way, one session used by two goroutines or after it was closed, an IV that is missing. A
// session in which a call failed answers CKR_OPERATION_ACTIVE from then on, handles change with each login, and the login
// ends with the last session, as the specification lets them.
package faketoken
