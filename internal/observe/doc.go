// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package observe keeps in memory what can be said about a mount without reading its storage: counters, which requests
// and acts add to, and the board, which the tick works out once a minute.
//
// It knows no format: the root writes Prometheus' from it. It decides nothing, reads and writes nothing that is stored,
// and nothing in it can fail a request.
package observe
