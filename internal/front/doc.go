// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package front serves a backend to Vault over gRPC, as the SDK's plugin package does, with an interceptor before the SDK's server: the
// calls that a backend answers [Direct]ly, from their encoded form, do not reach the SDK, which would decode a request twice and
// encode it anew. All other calls do. The package knows gRPC and the SDK's messages. It knows no path, no key and no rule.
package front
